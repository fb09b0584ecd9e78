//! Nearest and linear resampling.
//!
//! A new row lies between four source rows, two in each of two planes. The planes' rows are blended first; new rows
//! come in order, so the two blended last are kept and none is blended twice a plane. Blended rows then give one row,
//! and that the new voxels.

use pulmoav_simd::{Taps, combine};

use super::rows::{Block, collect_rows};
use crate::crop::{Extent, View};

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
    extent: &Extent,
    shape: [usize; 3],
    value: impl Fn(T) -> f32 + Sync + Send,
) -> Vec<f32> {
    let [_, height, width] = source.shape();
    let pairs: [Pairs; 3] = std::array::from_fn(|axis| {
        Pairs::within(source.shape()[axis], [extent.low[axis], extent.high[axis]], shape[axis])
    });
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
            mix(low, high, [to_low, to_high], &mut between.line);
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
        let (low, high) = (source.row(planes[0], y, low), source.row(planes[1], y, high));
        let [to_low, to_high] = weights;
        combine([low, high], &mut self.blended[y % 2], |[low, high], _| to_low * value(low) + to_high * value(high));
    }
}

/// `weights[0] · low + weights[1] · high`, voxel by voxel.
///
/// # Shapes
/// `low` and `high`: `[x]` → `sum` `[x]`.
pub fn mix(low: &[f32], high: &[f32], [to_low, to_high]: [f32; 2], sum: &mut [f32]) {
    combine([low, high], sum, |[low, high], _| to_low * low + to_high * high);
}

/// The two source voxels of each new one along an axis, and their weights.
#[derive(Debug)]
pub struct Pairs {
    from: Vec<u32>,
    /// Source voxels less one.
    last: u32,
    weights: Vec<[f32; 2]>,
    /// For whole rows; none for fewer than two source voxels.
    taps: Option<Taps<2>>,
}

impl Pairs {
    /// Those that take `size` voxels to `new_size`.
    pub fn new(size: usize, new_size: usize) -> Self {
        Self::within(size, [0.0, size as f64], new_size)
    }

    /// Those that take `size` voxels to `new_size` that fill the range between two faces; beyond the source its last
    /// voxel goes on.
    pub fn within(size: usize, [low, high]: [f64; 2], new_size: usize) -> Self {
        let (step, last) = ((high - low) / new_size as f64, size.saturating_sub(1));
        let places = (0..new_size).map(|voxel| ((voxel as f64 + 0.5) * step - 0.5 + low).clamp(0.0, last as f64));
        let from: Vec<u32> = places.clone().map(|at| at as u32).collect();
        let weights: Vec<[f32; 2]> = places.map(|at| [(1.0 - at.fract()) as f32, at.fract() as f32]).collect();
        // At the last voxel the one behind weighs nothing: there the one before stands in for it.
        let tap = |(&from, &[low, high]): (&u32, &[f32; 2])| match from as usize {
            from if from == last => (from - 1, [high, low]),
            from => (from, [low, high]),
        };
        let taps = (size > 1).then(|| Taps::new(size, from.iter().zip(&weights).map(tap)));
        Self { from, last: last as u32, weights, taps }
    }

    /// Those of one new voxel.
    #[inline]
    pub fn of(&self, voxel: usize) -> ([usize; 2], [f32; 2]) {
        let low = self.from[voxel];
        ([low, (low + 1).min(self.last)].map(|from| from as usize), self.weights[voxel])
    }

    /// All new voxels of a row.
    ///
    /// # Shapes
    /// `row`: `[x]` of the source → `to` `[x]`.
    pub fn apply(&self, row: &[f32], to: &mut [f32]) {
        match &self.taps {
            Some(taps) => taps.apply(row, to),
            None => to.fill(row.first().copied().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use pulmoav_simd::{Level, with_level};

    use super::*;

    #[test]
    fn a_row_is_as_its_voxels_one_by_one() {
        for level in Level::present() {
            for (size, new_size) in [(1, 5), (2, 2), (3, 40), (40, 57), (90, 53), (200, 31)] {
                let row: Vec<f32> = (0..size).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
                let pairs = with_level(level, || Pairs::new(size, new_size));
                let mut found = vec![9.0; new_size];
                pairs.apply(&row, &mut found);
                for (voxel, found) in found.into_iter().enumerate() {
                    let ([low, high], [to_low, to_high]) = pairs.of(voxel);
                    assert_eq!(
                        found,
                        to_low * row[low] + to_high * row[high],
                        "{size} → {new_size} at {level:?}, {voxel}"
                    );
                }
            }
        }
    }
}
