//! Exact dilation by a ball, many voxels a step.

use rayon::prelude::*;

/// Voxels in one word.
const WORD: usize = 64;
/// Distances that differ by less are the same: a voxel just within reach stays there however its distance is rounded.
const SAME_MM2: f64 = 1e-6;

/// True where a voxel's centre is at most `reach_mm` from that of a voxel where `target` is true.
///
/// The same as where [`near_squared_distance_mm2`](crate::distance::near_squared_distance_mm2) is finite, but faster.
///
/// # Shapes
/// `target`: `[z, y, x]` of `shape`; the result too.
pub fn dilated(
    target: impl Fn(usize) -> bool + Sync,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    reach_mm: f64,
) -> Vec<bool> {
    let [depth, height, width] = shape;
    let mut within = vec![false; depth * height * width];
    if within.is_empty() {
        return within;
    }
    let ball = Ball::new(spacing_mm, reach_mm);
    let bits = Bits::grown_along_x(target, shape, ball.steps(2));
    within.par_chunks_mut(height * width).enumerate().for_each_init(
        || vec![0u64; bits.words],
        |words, (z, slice)| {
            for (y, row) in slice.chunks_exact_mut(width).enumerate() {
                words.fill(0);
                for (other_z, other_y, steps) in ball.rows_around(z, y, [depth, height]) {
                    let other = bits.row(steps, other_z * height + other_y);
                    words.iter_mut().zip(other).for_each(|(to, from)| *to |= from);
                }
                for (voxels, word) in row.chunks_mut(WORD).zip(&*words) {
                    for (bit, voxel) in voxels.iter_mut().enumerate() {
                        *voxel = word >> bit & 1 != 0;
                    }
                }
            }
        },
    );
    within
}

/// A ball of voxels.
struct Ball {
    spacing_mm: [f64; 3],
    reach_mm: f64,
    /// Steps along z, along y, and the most along x that stay inside with them.
    rows: Vec<(isize, isize, usize)>,
}

impl Ball {
    fn new(spacing_mm: [f64; 3], reach_mm: f64) -> Self {
        let mut ball = Self { spacing_mm, reach_mm, rows: Vec::new() };
        let [most_z, most_y] = [0, 1].map(|axis| ball.steps(axis) as isize);
        for z in -most_z..=most_z {
            for y in -most_y..=most_y {
                let left_mm2 =
                    reach_mm.powi(2) - (z as f64 * spacing_mm[0]).powi(2) - (y as f64 * spacing_mm[1]).powi(2);
                if left_mm2 >= -SAME_MM2 {
                    ball.rows.push((z, y, ((left_mm2.max(0.0) + SAME_MM2).sqrt() / spacing_mm[2]) as usize));
                }
            }
        }
        ball
    }

    /// Its radius along an axis.
    fn steps(&self, axis: usize) -> usize {
        ((self.reach_mm.powi(2) + SAME_MM2).sqrt() / self.spacing_mm[axis]) as usize
    }

    /// The rows of the array that it meets, with how far it reaches along x in each.
    fn rows_around(
        &self,
        z: usize,
        y: usize,
        [depth, height]: [usize; 2],
    ) -> impl Iterator<Item = (usize, usize, usize)> {
        self.rows.iter().filter_map(move |&(step_z, step_y, steps)| {
            let z = z.checked_add_signed(step_z).filter(|&z| z < depth)?;
            let y = y.checked_add_signed(step_y).filter(|&y| y < height)?;
            Some((z, y, steps))
        })
    }
}

/// Rows of single bits, grown along x by 0, 1, 2, … voxels.
struct Bits {
    /// Words in a row.
    words: usize,
    /// All rows for each number of steps.
    grown: Vec<Vec<u64>>,
}

impl Bits {
    fn grown_along_x(target: impl Fn(usize) -> bool + Sync, shape: [usize; 3], steps: usize) -> Self {
        let width = shape[2];
        let words = width.div_ceil(WORD);
        let mut first = vec![0u64; shape[0] * shape[1] * words];
        first.par_chunks_mut(words * shape[1]).enumerate().for_each(|(z, slice)| {
            for (y, row) in slice.chunks_exact_mut(words).enumerate() {
                let start = (z * shape[1] + y) * width;
                for (number, word) in row.iter_mut().enumerate() {
                    let voxels = number * WORD..((number + 1) * WORD).min(width);
                    for x in voxels {
                        *word |= u64::from(target(start + x)) << (x % WORD);
                    }
                }
            }
        });
        let mut grown = vec![first];
        for step in 0..steps.min(width) {
            let from = &grown[step];
            let mut to = vec![0u64; from.len()];
            to.par_chunks_mut(words * shape[1]).zip(from.par_chunks(words * shape[1])).for_each(|(to, from)| {
                for (to, from) in to.chunks_exact_mut(words).zip(from.chunks_exact(words)) {
                    for (number, to) in to.iter_mut().enumerate() {
                        let before = if number > 0 { from[number - 1] >> (WORD - 1) } else { 0 };
                        let after = from.get(number + 1).map_or(0, |word| word << (WORD - 1));
                        *to = from[number] | from[number] << 1 | before | from[number] >> 1 | after;
                    }
                }
            });
            grown.push(to);
        }
        Self { words, grown }
    }

    fn row(&self, steps: usize, row: usize) -> &[u64] {
        &self.grown[steps.min(self.grown.len() - 1)][row * self.words..][..self.words]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::near_squared_distance_mm2;

    #[test]
    fn equals_the_distance_within_reach() {
        for (shape, spacing_mm) in
            [([7, 11, 13], [2.0, 1.25, 0.75]), ([5, 4, 131], [1.0, 3.0, 0.5]), ([1, 1, 64], [1.0; 3])]
        {
            for (reach_mm, every) in [(0.0, 5), (2.0, 31), (4.0, 97), (9.0, 211), (100.0, 300)] {
                let target = |index: usize| index % every == every / 2;
                let near = near_squared_distance_mm2(target, shape, spacing_mm, reach_mm);
                let expected: Vec<bool> = near.into_iter().map(f32::is_finite).collect();
                assert_eq!(dilated(target, shape, spacing_mm, reach_mm), expected, "{shape:?} {reach_mm} mm");
            }
        }
        assert!(dilated(|_| true, [0, 3, 3], [1.0; 3], 2.0).is_empty());
    }
}
