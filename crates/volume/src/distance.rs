//! Exact Euclidean distances on a grid, in mm.
//!
//! Squared distances add up over the axes. Along x they follow from the nearest target of each row; along y and z each
//! row takes the least over the rows around it, the nearest first, until those further off cannot lower it.

#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use pulmoav_simd::{Kernel, Lanes, Level};
use rayon::prelude::*;

/// Squared distance in mm² from each voxel's centre to the nearest voxel where `target` is true; infinite when none is.
///
/// # Shapes
/// `target`: `[z, y, x]` of `shape`; the result too.
pub fn squared_distance_mm2(
    target: impl Fn(usize) -> bool + Sync,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
) -> Vec<f32> {
    near_squared_distance_mm2(target, shape, spacing_mm, f64::INFINITY)
}

/// As [`squared_distance_mm2`] where the distance is at most `reach_mm`, infinite beyond; the shorter the reach, the
/// faster.
///
/// # Shapes
/// `target`: `[z, y, x]` of `shape`; the result too.
pub fn near_squared_distance_mm2(
    target: impl Fn(usize) -> bool + Sync,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    reach_mm: f64,
) -> Vec<f32> {
    let [depth, height, width] = shape;
    let (plane, level) = (height * width, Level::current());
    let mut along_x = vec![f32::INFINITY; depth * plane];
    if along_x.is_empty() {
        return along_x;
    }
    along_x.par_chunks_mut(plane).enumerate().for_each(|(z, slice)| {
        for (y, row) in slice.chunks_exact_mut(width).enumerate() {
            nearest_in_row(row, |x| target(z * plane + y * width + x), spacing_mm[2] as f32);
        }
    });
    let mut along_y = vec![f32::INFINITY; depth * plane];
    along_y.par_chunks_mut(plane).zip(along_x.par_chunks(plane)).for_each(|(to, from)| {
        for (y, to) in to.chunks_exact_mut(width).enumerate() {
            let row = |y: usize| &from[y * width..][..width];
            level.run(Lower { to, here: y, row, count: height, step_mm: spacing_mm[1], reach_mm });
        }
    });
    let bound = (reach_mm * reach_mm) as f32;
    let mut field = along_x;
    field.par_chunks_mut(plane).enumerate().for_each(|(z, slice)| {
        slice.fill(f32::INFINITY);
        for (y, to) in slice.chunks_exact_mut(width).enumerate() {
            let row = |z: usize| &along_y[z * plane + y * width..][..width];
            level.run(Lower { to, here: z, row, count: depth, step_mm: spacing_mm[0], reach_mm });
        }
        for d in slice.iter_mut().filter(|d| **d > bound) {
            *d = f32::INFINITY;
        }
    });
    field
}

/// Squared distances within one row.
fn nearest_in_row(row: &mut [f32], target: impl Fn(usize) -> bool, step_mm: f32) {
    let mut steps = f32::INFINITY;
    for (x, to) in row.iter_mut().enumerate() {
        steps = if target(x) { 0.0 } else { steps + 1.0 };
        *to = steps;
    }
    let mut steps = f32::INFINITY;
    for to in row.iter_mut().rev() {
        steps = if *to == 0.0 { 0.0 } else { steps + 1.0 };
        *to = (to.min(steps) * step_mm).powi(2);
    }
}

/// Lowers one row by those that lie side by side with it along an axis: the least over number `here` and the others
/// within reach, each with its squared distance added. A row without any target holds only infinity.
struct Lower<'a, R> {
    to: &'a mut [f32],
    here: usize,
    row: R,
    count: usize,
    step_mm: f64,
    reach_mm: f64,
}

impl<'a, R: Fn(usize) -> &'a [f32]> Kernel for Lower<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let square = |step: usize| ((step as f64 * self.step_mm).powi(2)) as f32;
        for step in 0..self.count.max(1) {
            if step as f64 * self.step_mm > self.reach_mm {
                break;
            }
            let sides = [self.here.checked_sub(step), Some(self.here + step).filter(|&at| step > 0 && at < self.count)];
            let mut above = u32::MAX;
            for from in sides.into_iter().flatten().map(&self.row).filter(|from| from[0].is_finite()) {
                above = 0;
                for (to, &from) in self.to.iter_mut().zip(from) {
                    let other = from + square(step);
                    *to = if other < *to { other } else { *to };
                    above |= u32::from(*to > square(step + 1));
                }
            }
            if above == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_distances_are_the_same_within_reach() {
        let (shape, spacing_mm) = ([7, 11, 13], [2.0, 1.25, 0.75]);
        let target = |index: usize| index % 97 == 13;
        let all = squared_distance_mm2(target, shape, spacing_mm);
        let near = near_squared_distance_mm2(target, shape, spacing_mm, 4.0);
        for (all, near) in all.into_iter().zip(near) {
            let expected = if all <= 16.0 { all } else { f32::INFINITY };
            assert!(near == expected || (near - expected).abs() < 1e-4, "{near}, expected {expected}");
        }
    }

    #[test]
    fn equals_brute_force() {
        let shape = [4, 5, 6];
        let spacing = [2.5, 1.0, 0.7];
        let points = [[0, 0, 1], [3, 4, 5], [2, 0, 3]];
        let inside = |i: usize| points.iter().any(|p: &[usize; 3]| (p[0] * 5 + p[1]) * 6 + p[2] == i);
        let found = squared_distance_mm2(inside, shape, spacing);
        for z in 0..4 {
            for y in 0..5 {
                for x in 0..6 {
                    let square = |p: &[usize; 3]| {
                        (0..3).map(|a| (([z, y, x][a] as f64 - p[a] as f64) * spacing[a]).powi(2)).sum::<f64>()
                    };
                    let expected = points.iter().map(square).fold(f64::INFINITY, f64::min);
                    assert!((f64::from(found[(z * 5 + y) * 6 + x]) - expected).abs() < 1e-4);
                }
            }
        }
        assert!(squared_distance_mm2(|_| false, shape, spacing).iter().all(|d| d.is_infinite()));
    }
}
