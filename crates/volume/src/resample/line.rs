//! One axis of a resampling as others do it: the values that each new one is a sum of, and their weights.

use std::ops::{Add, Mul, Sub};

use super::filter::Filter;

/// Edge voxels that scipy puts before and behind a line before it looks for the coefficients of a spline.
const PAD: usize = 12;
/// The most values that a new one is a sum of.
pub(super) const MAX_TAPS: usize = 4;

/// The numbers that are computed with: f64 as scipy, f32 as PyTorch.
pub(super) trait Real:
    Copy + Default + PartialOrd + Send + Sync + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// The nearest number.
    fn of(value: f64) -> Self;
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }
}

/// One axis of a resampling.
#[derive(Debug, Clone)]
pub(super) struct Line<T> {
    /// Voxels of the source.
    pub(super) size: usize,
    /// Edge voxels before and behind them.
    pub(super) pad: [usize; 2],
    /// How many values each new one is a sum of.
    pub(super) taps: usize,
    /// The first of them, edge voxels counted, for each new one.
    pub(super) from: Vec<usize>,
    /// Their weights.
    pub(super) weights: Vec<[T; MAX_TAPS]>,
    /// What makes coefficients of voxels, where the weights are for such.
    pub(super) filter: Option<Filter>,
}

impl<T: Real> Line<T> {
    /// New voxels that are the old ones.
    fn identity(size: usize) -> Self {
        Self::nearest(size, (0..size).collect())
    }

    fn nearest(size: usize, from: Vec<usize>) -> Self {
        let weights = vec![[T::of(1.0), T::of(0.0), T::of(0.0), T::of(0.0)]; from.len()];
        Self { size, pad: [0; 2], taps: 1, from, weights, filter: None }
    }

    /// Whether the new voxels are the old ones.
    pub(super) fn is_identity(&self) -> bool {
        self.taps == 1 && self.size == self.from.len() && self.from.iter().enumerate().all(|(to, &from)| to == from)
    }

    /// Voxels with those at the edges.
    pub(super) fn padded(&self) -> usize {
        self.size + self.pad[0] + self.pad[1]
    }

    /// The voxel at a place of the padded line.
    pub(super) fn voxel(&self, place: usize) -> usize {
        place.saturating_sub(self.pad[0]).min(self.size - 1)
    }
}

impl Line<f64> {
    /// `scipy.ndimage.zoom(order = order, grid_mode = True, mode = "nearest")` along one axis, orders 0 to 3.
    ///
    /// New voxel `o` lies at `(o + ½) · n / m − ½`. Beyond its ends the line goes on with its edge voxels: at order 1 both
    /// neighbours of a new one may be the same, and its value as good as that.
    pub(super) fn spline(size: usize, new_size: usize, order: u8) -> Self {
        if size == new_size {
            return Self::identity(size);
        }
        let (step, last) = (size as f64 / new_size as f64, (size - 1) as f64);
        let places = (0..new_size).map(|voxel| (voxel as f64 + 0.5) * step - 0.5);
        match order {
            0 => Self::nearest(size, places.map(|at| (at.clamp(0.0, last) + 0.5).floor() as usize).collect()),
            1 => {
                let taps = places.map(|at| {
                    let first = 1.0 - (at - at.floor());
                    ((at.floor() + 1.0) as usize, [first, 1.0 - first, 0.0, 0.0])
                });
                Self::of(size, [1, 1], 2, taps, None)
            }
            2 => {
                let taps = places.map(|at| at + PAD as f64).map(|at| {
                    let middle = (at + 0.5).floor();
                    (middle as usize - 1, quadratic(at - middle))
                });
                Self::of(size, [PAD; 2], 3, taps, Some(Filter::QUADRATIC))
            }
            _ => {
                let taps = places.map(|at| at + PAD as f64).map(|at| {
                    let below = at.floor();
                    (below as usize - 1, cubic(at - below))
                });
                Self::of(size, [PAD; 2], 4, taps, Some(Filter::CUBIC))
            }
        }
    }
}

impl Line<f32> {
    /// PyTorch's `interpolate(mode = "linear", align_corners = False)` along one axis, places and weights in f32.
    pub(super) fn torch_linear(size: usize, new_size: usize) -> Self {
        if size == new_size {
            return Self::identity(size);
        }
        let scale = size as f32 / new_size as f32;
        let taps = (0..new_size).map(|voxel| {
            let at = (scale * (voxel as f32 + 0.5) - 0.5).max(0.0);
            let below = (at as usize).min(size - 1);
            let behind = (at - below as f32).clamp(0.0, 1.0);
            (below, [1.0 - behind, behind, 0.0, 0.0])
        });
        Self::of(size, [0, 1], 2, taps, None)
    }

    /// PyTorch's `interpolate(mode = "nearest-exact")` along one axis.
    pub(super) fn torch_nearest(size: usize, new_size: usize) -> Self {
        if size == new_size {
            return Self::identity(size);
        }
        let scale = size as f32 / new_size as f32;
        let from = (0..new_size).map(|voxel| ((voxel as f32 + 0.5) * scale).floor() as usize);
        Self::nearest(size, from.map(|from| from.min(size - 1)).collect())
    }
}

impl<T: Real> Line<T> {
    fn of(
        size: usize,
        pad: [usize; 2],
        count: usize,
        taps: impl Iterator<Item = (usize, [T; MAX_TAPS])>,
        filter: Option<Filter>,
    ) -> Self {
        let (from, weights) = taps.unzip();
        Self { size, pad, taps: count, from, weights, filter }
    }
}

/// Weights of the coefficients before, at and behind a place at most half a voxel from the middle one.
fn quadratic(t: f64) -> [f64; MAX_TAPS] {
    let (before, middle) = (0.5 * (0.5 - t) * (0.5 - t), 0.75 - t * t);
    [before, middle, 1.0 - before - middle, 0.0]
}

/// Weights of the coefficients before, below, above and behind a place `t` in 0..1 beyond the one below.
fn cubic(t: f64) -> [f64; MAX_TAPS] {
    let u = 1.0 - t;
    let below = (t * t * (t - 2.0) * 3.0 + 4.0) / 6.0;
    let above = (u * u * (u - 2.0) * 3.0 + 4.0) / 6.0;
    let before = u * u * u / 6.0;
    [before, below, above, 1.0 - before - below - above]
}
