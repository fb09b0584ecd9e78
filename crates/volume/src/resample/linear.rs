//! Nearest and linear resampling.
//!
//! A new row lies between four source rows, two in each of two planes. The planes' rows are blended first; new rows come in order, so
//! the two blended last are kept and none is blended twice a plane. Blended rows then give one row, and that the new voxels.

use super::rows::{Block, collect_rows};
use crate::crop::View;

/// Nearest voxels.
///
/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`.
pub(super) fn nearest(source: &View<'_, f32>, shape: [usize; 3]) -> Vec<f32> {
    let from: [Vec<usize>; 3] = std::array::from_fn(|axis| nearest_of(source.shape()[axis], shape[axis]));
    let line = || vec![0f32; source.shape()[2]];
    collect_rows(shape, Block::Plane, line, |line, z, y, row| {
        source.copy_row(from[0][z], from[1][y], line);
        row.iter_mut().zip(&from[2]).for_each(|(to, &from)| *to = line[from]);
    })
}

/// The source voxel of each new one along an axis.
fn nearest_of(size: usize, new_size: usize) -> Vec<usize> {
    let step = size as f64 / new_size as f64;
    let at = |voxel: usize| (voxel as f64 + 0.5) * step - 0.5;
    (0..new_size).map(|voxel| ((at(voxel) + 0.5).floor() as usize).min(size - 1)).collect()
}

/// Linear interpolation of `value(voxel)`, computed while reading.
///
/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`.
pub(super) fn linear<T: Copy + Default + Sync>(
    source: &View<'_, T>,
    shape: [usize; 3],
    value: impl Fn(T) -> f32 + Sync + Send,
) -> Vec<f32> {
    let [_, height, width] = source.shape();
    let pairs: [Pairs; 3] = std::array::from_fn(|axis| Pairs::new(source.shape()[axis], shape[axis]));
    collect_rows(
        shape,
        Block::Plane,
        || Between::new(width),
        |between, z, y, row| {
            let (rows, [to_low, to_high]) = pairs[1].of(y);
            for y in rows {
                between.blend(source, pairs[0].of(z), y, z * height + y, &value);
            }
            let [low, high] = rows.map(|y| &between.blended[y % 2]);
            mix(low, high, [to_low, to_high], &mut between.line, |value| value);
            pairs[2].apply(&between.line, row);
        },
    )
}

/// Rows between two planes.
struct Between<T> {
    /// A row of either plane.
    source: [Vec<T>; 2],
    /// The last two blended rows, in the places of their parities, and which they are.
    blended: [Vec<f32>; 2],
    which: [usize; 2],
    line: Vec<f32>,
}

impl<T: Copy + Default> Between<T> {
    fn new(width: usize) -> Self {
        let row = || vec![0f32; width];
        Self {
            source: [vec![T::default(); width], vec![T::default(); width]],
            blended: [row(), row()],
            which: [usize::MAX; 2],
            line: row(),
        }
    }

    /// Row y between two planes, unless it is still there; `name` tells it from those of all other places.
    fn blend(
        &mut self,
        source: &View<'_, T>,
        (planes, weights): ([usize; 2], [f32; 2]),
        y: usize,
        name: usize,
        value: impl Fn(T) -> f32,
    ) {
        if self.which[y % 2] == name {
            return;
        }
        self.which[y % 2] = name;
        let [low, high] = &mut self.source;
        source.copy_row(planes[0], y, low);
        source.copy_row(planes[1], y, high);
        mix(low, high, weights, &mut self.blended[y % 2], value);
    }
}

fn mix<T: Copy>(low: &[T], high: &[T], [to_low, to_high]: [f32; 2], sum: &mut [f32], value: impl Fn(T) -> f32) {
    for ((to, &low), &high) in sum.iter_mut().zip(low).zip(high) {
        *to = to_low * value(low) + to_high * value(high);
    }
}

/// The two source voxels of each new one along an axis, and their weights.
#[derive(Debug)]
pub struct Pairs {
    from: Vec<[u32; 2]>,
    weights: Vec<[f32; 2]>,
}

impl Pairs {
    /// Those that take `size` voxels to `new_size`.
    pub fn new(size: usize, new_size: usize) -> Self {
        let (step, last) = (size as f64 / new_size as f64, size.saturating_sub(1));
        let places = (0..new_size).map(|voxel| ((voxel as f64 + 0.5) * step - 0.5).clamp(0.0, last as f64));
        let from = places.clone().map(|at| [at as u32, (at as u32 + 1).min(last as u32)]).collect();
        let weights = places.map(|at| [(1.0 - at.fract()) as f32, at.fract() as f32]).collect();
        Self { from, weights }
    }

    /// Those of one new voxel.
    #[inline]
    pub fn of(&self, voxel: usize) -> ([usize; 2], [f32; 2]) {
        (self.from[voxel].map(|from| from as usize), self.weights[voxel])
    }

    /// Those of each new voxel.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ([usize; 2], [f32; 2])> + '_ {
        self.from.iter().zip(&self.weights).map(|(from, &weights)| (from.map(|from| from as usize), weights))
    }

    /// All new voxels of a line.
    fn apply(&self, line: &[f32], to: &mut [f32]) {
        for (to, ([low, high], [to_low, to_high])) in to.iter_mut().zip(self.iter()) {
            *to = to_low * line[low] + to_high * line[high];
        }
    }
}
