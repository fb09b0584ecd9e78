//! Windows on the CPU, row by row.

use half::f16;
use rayon::prelude::*;

use super::{Map, Place, Rounding, Rows};

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

/// The grid that windows are cut out of.
pub(super) struct Source<'a> {
    pub(super) rows: &'a Rows<'a>,
    pub(super) shape: [usize; 3],
    pub(super) channels: usize,
}

/// See [`Image::cut`](super::Image::cut).
///
/// # Shapes
/// → `to`: `[z, y, x, c]` of `window`, which holds zeros.
pub(super) fn cut(source: &Source<'_>, sided: &[usize], place: Place, window: [usize; 3], to: &mut [f32]) {
    let &Source { rows, shape, channels } = source;
    let [zs, ys, xs] = common(place, shape, window);
    let row = window[2] * channels;
    let first = if place.mirrored[2] { window[2] - xs.window - xs.len } else { xs.window };
    to.par_chunks_mut((window[1] * row).max(1)).enumerate().for_each(|(z, plane)| {
        let z = kept(z, window[0], place.mirrored[0]);
        if !(zs.window..zs.window + zs.len).contains(&z) {
            return;
        }
        for y in 0..ys.len {
            let at = kept(ys.window + y, window[1], place.mirrored[1]) * row + first * channels;
            let to = &mut plane[at..at + xs.len * channels];
            rows(zs.grid + z - zs.window, ys.grid + y, xs.grid..xs.grid + xs.len, to);
            if place.mirrored[2] {
                mirror(to, channels);
            }
        }
    });
    if sided.is_empty() {
        return;
    }
    let sign = if place.mirrored[2] { -1.0 } else { 1.0 };
    let mut whole = vec![0.0; shape[2] * channels];
    rows(0, 0, 0..shape[2], &mut whole);
    for &channel in sided {
        let side = |x: usize| {
            let x = i64::from(place.first[2]) + kept(x, window[2], place.mirrored[2]) as i64;
            sign * whole[x.clamp(0, shape[2] as i64 - 1) as usize * channels + channel]
        };
        let line: Vec<f32> = (0..window[2]).map(side).collect();
        for row in to.chunks_exact_mut(row) {
            row.iter_mut().skip(channel).step_by(channels).zip(&line).for_each(|(to, &value)| *to = value);
        }
    }
}

/// Turns a row of voxels around, each of `channels` values.
fn mirror(row: &mut [f32], channels: usize) {
    let width = row.len() / channels;
    for x in 0..width / 2 {
        let (left, right) = row.split_at_mut((width - 1 - x) * channels);
        left[x * channels..][..channels].swap_with_slice(&mut right[..channels]);
    }
}

fn logistic(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

fn mapped(value: f32, map: Map) -> f32 {
    match map {
        Map::Same => value,
        Map::Logistic => logistic(value),
    }
}

fn rounded(value: f32, rounding: Rounding) -> f32 {
    match rounding {
        Rounding::F32 => value,
        Rounding::F16 => f16::from_f32(value).to_f32(),
    }
}

/// Sums over a grid, whose weights are there only while windows are added to their plane.
pub(super) struct Planes {
    /// `[z, y, x, c]`
    pub(super) values: Vec<f32>,
    /// `[y, x]` of each plane; none before the first window, and none after the last.
    weights: Vec<Vec<f32>>,
    /// Planes below this are finished.
    settled: usize,
}

impl Planes {
    pub(super) fn new(shape: [usize; 3], channels: usize) -> Self {
        let values = vec![0.0; shape.iter().product::<usize>() * channels];
        Self { values, weights: vec![Vec::new(); shape[0]], settled: 0 }
    }

    /// Sums as others left them.
    pub(super) fn of(values: Vec<f32>, weights: &[f32], depth: usize) -> Self {
        let plane = (weights.len() / depth.max(1)).max(1);
        Self { values, weights: weights.chunks(plane).map(<[f32]>::to_vec).collect(), settled: 0 }
    }

    /// The sums and their weights; none where planes are finished.
    pub(super) fn into_sums(self, plane: usize) -> Option<(Vec<f32>, Vec<f32>)> {
        let weights =
            self.weights.into_iter().flat_map(|weights| if weights.is_empty() { vec![0.0; plane] } else { weights });
        (self.settled == 0).then(|| (self.values, weights.collect()))
    }

    /// Adds a window; whether none of its planes was finished.
    ///
    /// # Shapes
    /// `answer`: `[z, y, x, c]`, `weights`: `[z, y, x]` of the window.
    pub(super) fn add(&mut self, grid: &Grid, answer: &[f32], weights: &[f32], place: Place, map: Map) -> bool {
        let is_open = common(place, grid.shape, grid.window)[0].grid >= self.settled;
        if is_open {
            match (grid.rounding, map) {
                (Rounding::F32, Map::Same) => self.add_rows(grid, answer, weights, place, |v| v, |sum| sum),
                (Rounding::F32, Map::Logistic) => self.add_rows(grid, answer, weights, place, logistic, |sum| sum),
                (rounding, map) => {
                    self.add_rows(grid, answer, weights, place, |v| mapped(v, map), |sum| rounded(sum, rounding));
                }
            }
        }
        is_open
    }

    fn add_rows(
        &mut self,
        grid: &Grid,
        answer: &[f32],
        weights: &[f32],
        place: Place,
        map: impl Fn(f32) -> f32 + Sync,
        round: impl Fn(f32) -> f32 + Sync,
    ) {
        let &Grid { shape: [_, height, width], channels, window, .. } = grid;
        let [zs, ys, xs] = common(place, grid.shape, window);
        let plane = height * width;
        let planes = self.values.par_chunks_mut(plane * channels).zip(&mut self.weights);
        planes.skip(zs.grid).take(zs.len).enumerate().for_each(|(z, (values, total))| {
            total.resize(plane, 0.0);
            for y in 0..ys.len {
                let to = (ys.grid + y) * width + xs.grid;
                let (z, y) = (zs.window + z, ys.window + y);
                let row = (z * window[1] + y) * window[2] + xs.window;
                let [z, y] = [(z, 0), (y, 1)].map(|(at, axis)| kept(at, window[axis], place.mirrored[axis]));
                let first = if place.mirrored[2] { window[2] - xs.window - xs.len } else { xs.window };
                let turned = ((z * window[1] + y) * window[2] + first) * channels;
                let (weights, answers) = (&weights[row..row + xs.len], &answer[turned..turned + xs.len * channels]);
                let (total, values) =
                    (&mut total[to..to + xs.len], &mut values[to * channels..(to + xs.len) * channels]);
                total.iter_mut().zip(weights).for_each(|(total, &weight)| *total = round(*total + weight));
                let add = |((sums, answers), &weight): ((&mut [f32], &[f32]), &f32)| {
                    sums.iter_mut().zip(answers).for_each(|(sum, &value)| *sum = round(*sum + weight * map(value)));
                };
                let (sums, answers) = (values.chunks_exact_mut(channels), answers.chunks_exact(channels));
                if place.mirrored[2] {
                    sums.zip(answers.rev()).zip(weights).for_each(add);
                } else {
                    sums.zip(answers).zip(weights).for_each(add);
                }
            }
        });
    }

    /// Divides the planes below one by their weights, which are let go.
    pub(super) fn settle(&mut self, below: usize, rounding: Rounding, map: Map) {
        let plane = (self.values.len() / self.weights.len().max(1)).max(1);
        let planes = self.values.par_chunks_mut(plane).zip(&mut self.weights).take(below).skip(self.settled);
        planes.for_each(|(values, weights)| {
            let weights = std::mem::take(weights);
            let channels = values.len().checked_div(weights.len()).unwrap_or(0).max(1);
            for (values, weight) in values.chunks_exact_mut(channels).zip(weights) {
                for value in values {
                    *value = if weight == 0.0 { 0.0 } else { mapped(rounded(*value / weight, rounding), map) };
                }
            }
        });
        self.settled = self.settled.max(below.min(self.weights.len()));
    }

    /// The means of all planes.
    pub(super) fn finish(mut self, rounding: Rounding, map: Map) -> Vec<f32> {
        self.settle(self.weights.len(), rounding, map);
        self.values
    }
}
