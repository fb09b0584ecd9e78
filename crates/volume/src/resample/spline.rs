//! Cubic resampling: interpolating B-splines.
//!
//! A spline is a sum of bells, one a voxel; how high each is (its coefficient) comes from a filter that undoes what
//! four bells add up to at a voxel. Axis by axis: along y and x plane by plane, then along z for each row of the new
//! planes, so voxels pass through memory twice. Along y and z, where a voxel is a whole row, that filter is two
//! recursions (M. Unser, *Splines: a perfect fit for signal and image processing*, 1999, box 2). Along x they would
//! wait for every voxel's neighbour, so there it is a chain of filters that do not. Voxels stay what they are at both
//! ends for ever.

use pulmoav_simd::{Taps, combine};

use super::rows::{Block, collect_rows};
use crate::crop::View;

/// Pole of the inverse filter, √3 − 2, and what its recursions must be multiplied by.
const POLE: f64 = -0.267_949_192_431_122_7;
const GAIN: f64 = 6.0;

/// Voxels before and behind those of the source that a spline looks at.
const MARGIN: usize = 2;

/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`. Memory beside the result: the source's planes at the size of new
/// ones.
pub(super) fn cubic(source: &View<'_, f32>, shape: [usize; 3]) -> Vec<f32> {
    let [depth, height, width] = source.shape();
    let [_, new_height, new_width] = shape;
    let [along_z, along_y] = [0, 1].map(|axis| Spline::new(source.shape()[axis], shape[axis], GAIN));
    let along_x = Spline::new(width, shape[2], Chain::gain()).taps(width);
    let state = || (Sweep::new(height, width), Chain::new(width));
    let planes = collect_rows([depth, new_height, new_width], Block::Plane, state, |(sweep, chain), z, y, row| {
        if y == 0 {
            sweep.start(|y, row| source.copy_row(z, y, row));
        }
        sweep.next(along_y.from[y], along_y.weights[y], chain.voxels());
        along_x.apply(chain.coefficients(), row);
    });
    collect_rows(
        shape,
        Block::Column,
        || Sweep::new(depth, new_width),
        |sweep, y, z, row| {
            if z == 0 {
                sweep.start(|z, row| row.copy_from_slice(&planes[(z * new_height + y) * new_width..][..new_width]));
            }
            sweep.next(along_z.from[z], along_z.weights[z], row);
        },
    )
}

/// The first of the four coefficients, margin counted, and the weights of each new voxel along one axis.
struct Spline {
    from: Vec<usize>,
    weights: Vec<[f32; 4]>,
}

impl Spline {
    fn new(size: usize, new_size: usize, gain: f64) -> Self {
        let step = size as f64 / new_size as f64;
        let places = (0..new_size).map(|voxel| (voxel as f64 + 0.5) * step - 0.5);
        // The first of the four lies one voxel before the one below.
        let from = places.clone().map(|at| (at.floor() as isize - 1 + MARGIN as isize) as usize).collect();
        let weights = places.map(|at| weights(at - at.floor()).map(|weight| (gain * weight) as f32)).collect();
        Self { from, weights }
    }

    /// For all new voxels of a line of coefficients that came from `size` voxels.
    fn taps(self, size: usize) -> Taps<4> {
        Taps::new(size + 2 * MARGIN, self.from.into_iter().zip(self.weights))
    }
}

/// Weights of the coefficients before, below, above and behind a place `t` in 0..1 beyond the one below.
fn weights(t: f64) -> [f64; 4] {
    [
        (1.0 - t).powi(3) / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t.powi(3)) / 6.0,
        (1.0 + 3.0 * t + 3.0 * t * t - 3.0 * t.powi(3)) / 6.0,
        t.powi(3) / 6.0,
    ]
}

/// A line of voxels that are rows: the recursion from its end to its start, then, as far as the next new row asks for
/// it, the one back.
struct Sweep {
    width: usize,
    /// Rows with their margins; the first `done` hold coefficients.
    rows: Vec<f32>,
    done: usize,
    /// The first row as it was read.
    edge: Vec<f32>,
}

impl Sweep {
    /// For lines of `size` rows.
    fn new(size: usize, width: usize) -> Self {
        Self { width, rows: vec![0.0; (size + 2 * MARGIN) * width], done: 0, edge: vec![0.0; width] }
    }

    /// Reads a line by `read(index, row)`.
    fn start(&mut self, read: impl Fn(usize, &mut [f32])) {
        let (pole, rest) = (POLE as f32, (1.0 - POLE) as f32);
        let size = self.rows.len() / self.width - 2 * MARGIN;
        for index in (0..size + 2 * MARGIN).rev() {
            let (row, after) = self.rows[index * self.width..].split_at_mut(self.width);
            read(index.saturating_sub(MARGIN).min(size - 1), row);
            if index == 0 {
                self.edge.copy_from_slice(row);
            }
            if after.is_empty() {
                for value in row.iter_mut() {
                    *value /= rest;
                }
            } else {
                combine([&*after], row, |[after], value| value + pole * after);
            }
        }
        self.done = 0;
    }

    /// The new row of four coefficients from row `from` on, which is never before the last one's.
    fn next(&mut self, from: usize, [a, b, c, d]: [f32; 4], to: &mut [f32]) {
        while self.done < from + 4 {
            self.turn();
        }
        let mut rows = self.rows[from * self.width..].chunks_exact(self.width);
        let [Some(first), Some(second), Some(third), Some(fourth)] = std::array::from_fn(|_| rows.next()) else {
            return;
        };
        combine([first, second, third, fourth], to, |[first, second, third, fourth], _| {
            a * first + b * second + c * third + d * fourth
        });
    }

    /// Makes one more row of coefficients.
    fn turn(&mut self) {
        let (pole, rest, square) = (POLE as f32, (1.0 - POLE) as f32, (1.0 - POLE * POLE) as f32);
        let (before, row) = self.rows.split_at_mut(self.done * self.width);
        let row = &mut row[..self.width];
        if self.done == 0 {
            for (value, &edge) in row.iter_mut().zip(&self.edge) {
                let steady = edge / rest;
                *value = -pole * (steady / rest + (*value - steady) / square);
            }
        } else {
            let before = &before[(self.done - 1) * self.width..];
            combine([before], row, |[before], value| pole * (before - value));
        }
        self.done += 1;
    }
}

/// A line of voxels filtered without a recursion: 1 / ((1 − p·z)(1 − p/z)) is the product of 1 + p^2m + p^m · (z^m +
/// 1/z^m) for m = 1, 2, 4, …; p^16 is below the rounding of f32.
struct Chain {
    line: Vec<f32>,
    other: Vec<f32>,
}

impl Chain {
    const REACHES: [usize; 4] = [1, 2, 4, 8];
    /// What is filled on both sides.
    const PAD: usize = 15 + MARGIN;

    fn new(width: usize) -> Self {
        let line = vec![0.0; width + 2 * Self::PAD];
        Self { other: line.clone(), line }
    }

    /// What the coefficients must be multiplied by.
    fn gain() -> f64 {
        let lost: f64 = Self::REACHES.iter().map(|&reach| 1.0 + POLE.powi(2 * reach as i32)).product();
        -GAIN * POLE * lost
    }

    /// Where the voxels go.
    fn voxels(&mut self) -> &mut [f32] {
        let end = self.line.len() - Self::PAD;
        &mut self.line[Self::PAD..end]
    }

    /// Their coefficients, with margins.
    fn coefficients(&mut self) -> &[f32] {
        let (pad, end) = (Self::PAD, self.line.len() - Self::PAD);
        let (first, last) = (self.line[pad], self.line[end - 1]);
        self.line[..pad].fill(first);
        self.line[end..].fill(last);
        let mut len = self.line.len();
        for reach in Self::REACHES {
            // Each filter's line is shorter than the last by what it looks at.
            let weight = (POLE.powi(reach as i32) / (1.0 + POLE.powi(2 * reach as i32))) as f32;
            let (before, behind) = (&self.line[..len], &self.line[2 * reach..len]);
            let to = &mut self.other[..behind.len()];
            combine([before, &before[reach..], behind], to, |[before, middle, behind], _| {
                middle + weight * (before + behind)
            });
            std::mem::swap(&mut self.line, &mut self.other);
            len -= 2 * reach;
        }
        &self.line[..len]
    }
}
