//! Windows on the CPU, row by row.

use half::f16;
use rayon::prelude::*;

use super::{Map, Place, Rounding};

/// Values that one task works on.
const BLOCK: usize = 1 << 14;

/// The grid of the sums, and the windows on it.
pub(super) struct Grid {
    pub(super) shape: [usize; 3],
    pub(super) channels: usize,
    pub(super) window: [usize; 3],
    pub(super) rounding: Rounding,
}

/// What a window and a grid have in common along an axis.
struct Common {
    grid: usize,
    window: usize,
    len: usize,
}

fn common(place: Place, grid: [usize; 3], window: [usize; 3]) -> [Common; 3] {
    std::array::from_fn(|axis| {
        let first = i64::from(place.first[axis]);
        let low = first.max(0);
        let high = (first + window[axis] as i64).min(grid[axis] as i64);
        Common { grid: low as usize, window: (low - first) as usize, len: (high - low).max(0) as usize }
    })
}

/// Where a voxel of a window is kept.
fn kept(at: usize, size: usize, mirrored: bool) -> usize {
    if mirrored { size - 1 - at } else { at }
}

/// See [`Image::cut`](super::Image::cut).
///
/// # Shapes
/// `image`: `[z, y, x, c]` of `shape` → `to`: `[z, y, x, c]` of `window`, which holds zeros.
pub(super) fn cut(image: &[f32], shape: [usize; 3], sided: &[usize], place: Place, window: [usize; 3], to: &mut [f32]) {
    let [_, height, width] = shape;
    let channels = image.len() / shape.iter().product::<usize>();
    let [zs, ys, xs] = common(place, shape, window);
    for z in 0..zs.len {
        for y in 0..ys.len {
            let from = (((zs.grid + z) * height + ys.grid + y) * width + xs.grid) * channels;
            let from = &image[from..from + xs.len * channels];
            let [z, y] =
                [(zs.window + z, 0), (ys.window + y, 1)].map(|(at, axis)| kept(at, window[axis], place.mirrored[axis]));
            let row = &mut to[(z * window[1] + y) * window[2] * channels..][..window[2] * channels];
            if place.mirrored[2] {
                let voxels = row.chunks_exact_mut(channels).rev().skip(xs.window);
                voxels.zip(from.chunks_exact(channels)).for_each(|(to, from)| to.copy_from_slice(from));
            } else {
                row[xs.window * channels..][..xs.len * channels].copy_from_slice(from);
            }
        }
    }
    let sign = if place.mirrored[2] { -1.0 } else { 1.0 };
    for &channel in sided {
        let side = |x: usize| {
            let x = i64::from(place.first[2]) + kept(x, window[2], place.mirrored[2]) as i64;
            sign * image[x.clamp(0, width as i64 - 1) as usize * channels + channel]
        };
        let line: Vec<f32> = (0..window[2]).map(side).collect();
        for row in to.chunks_exact_mut(window[2] * channels) {
            row.iter_mut().skip(channel).step_by(channels).zip(&line).for_each(|(to, &value)| *to = value);
        }
    }
}

fn mapped(value: f32, map: Map) -> f32 {
    match map {
        Map::Same => value,
        Map::Logistic => 1.0 / (1.0 + (-value).exp()),
    }
}

fn rounded(value: f32, rounding: Rounding) -> f32 {
    match rounding {
        Rounding::F32 => value,
        Rounding::F16 => f16::from_f32(value).to_f32(),
    }
}

/// Adds a window to `[values, weights]` of the grid.
///
/// # Shapes
/// `answer`: `[z, y, x, c]`, `weights`: `[z, y, x]` of the window.
pub(super) fn add(grid: &Grid, sums: [&mut Vec<f32>; 2], answer: &[f32], weights: &[f32], place: Place, map: Map) {
    let &Grid { shape: [_, height, width], channels, window, rounding } = grid;
    let [zs, ys, xs] = common(place, grid.shape, window);
    let [values, total] = sums;
    let plane = height * width;
    let planes = values.par_chunks_mut(plane * channels).zip(total.par_chunks_mut(plane));
    planes.skip(zs.grid).take(zs.len).enumerate().for_each(|(z, (values, total))| {
        for y in 0..ys.len {
            let to = (ys.grid + y) * width + xs.grid;
            let (z, y) = (zs.window + z, ys.window + y);
            let row = (z * window[1] + y) * window[2];
            let [z, y] = [(z, 0), (y, 1)].map(|(at, axis)| kept(at, window[axis], place.mirrored[axis]));
            let turned = (z * window[1] + y) * window[2];
            for x in 0..xs.len {
                let (weight, to) = (weights[row + xs.window + x], to + x);
                let from = turned + kept(xs.window + x, window[2], place.mirrored[2]);
                total[to] = rounded(total[to] + weight, rounding);
                let values = &mut values[to * channels..][..channels];
                for (sum, &value) in values.iter_mut().zip(&answer[from * channels..][..channels]) {
                    *sum = rounded(*sum + weight * mapped(value, map), rounding);
                }
            }
        }
    });
}

/// Divides by the weights.
pub(super) fn finish(values: &mut [f32], weights: &[f32], rounding: Rounding, map: Map) {
    let channels = values.len().checked_div(weights.len()).unwrap_or(0).max(1);
    values.par_chunks_mut(channels).zip(weights).with_min_len(BLOCK).for_each(|(values, &weight)| {
        for value in values {
            *value = if weight == 0.0 { 0.0 } else { mapped(rounded(*value / weight, rounding), map) };
        }
    });
}
