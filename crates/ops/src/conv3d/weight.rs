//! The weight gradient on the CPU.
//!
//! Coarse rows are cut into blocks whose size depends on shapes alone; a task computes one block's gradient for one
//! vector of coarse channels (`weight_block.rs`), and the blocks' gradients are added in block order, so the result has
//! the same bits for any number of threads.
#![allow(unsafe_code)] // Tasks write their own places of the blocks' gradients.

use rayon::prelude::*;

use super::geometry::{Geometry, WeightOrder};
use super::weight_block::{Gradient, OneTap, RowPair, ThreeTaps, Walk};
use crate::memory::{Aligned, Results, product};
use crate::simd::Level;

/// Fine and coarse values of one block should stay in the second-level cache.
const BLOCK_BYTES: usize = 512 << 10;
/// Bytes of all blocks' gradients together, unless a single block needs more.
const PARTIAL_BYTES: usize = 64 << 20;
/// Values summed and reordered by one task of the final sum.
const SUM_CHUNK: usize = 1 << 14;

/// See [`super::reference::weight_gradient`].
pub(super) fn weight_gradient(g: &Geometry, fine: &[f32], coarse: &[f32], order: WeightOrder) -> Vec<f32> {
    let work = Work::new(g, fine, coarse);
    let partial = g.taps() * g.fine_channels * work.padded_channels;
    let rows = g.batch * g.coarse[0] * g.coarse[1];
    let blocks = rows.div_ceil(work.block_rows);
    let vectors = work.padded_channels / work.level.lanes();
    // SAFETY: each task has a block and a vector of its own, and `compute` writes all taps and channels of these: so
    // every value is written, and by one task. `for_each` returns after the last task.
    let partials = unsafe {
        Results::collect(product([blocks, partial]), |partials| {
            (0..blocks * vectors).into_par_iter().for_each(|task| {
                let (block, vector) = (task / vectors, task % vectors);
                let range = block * work.block_rows..rows.min((block + 1) * work.block_rows);
                work.compute(range, vector, partials.from(block * partial));
            });
        })
    };
    work.sum(&partials, order)
}

struct Work<'a> {
    g: &'a Geometry,
    fine: &'a [f32],
    coarse: &'a [f32],
    level: Level,
    /// Coarse channels rounded up to whole vectors.
    padded_channels: usize,
    /// Coarse rows of a block.
    block_rows: usize,
    /// The first coarse row whose last vector would reach beyond the array, and a longer copy from there on.
    tail_row: usize,
    tail: Aligned,
}

impl<'a> Work<'a> {
    fn new(g: &'a Geometry, fine: &'a [f32], coarse: &'a [f32]) -> Self {
        let level = Level::current();
        let padded_channels = g.coarse_channels.next_multiple_of(level.lanes());
        let row = g.coarse[2] * g.coarse_channels;
        let rows = g.batch * g.coarse[0] * g.coarse[1];
        assert_eq!(coarse.len(), rows * row, "the coarse array's length differs from its shape");
        assert_eq!(
            fine.len(),
            g.fine_shape().iter().product::<usize>(),
            "the fine array's length differs from its shape"
        );
        let excess = padded_channels - g.coarse_channels;
        let tail_row = rows - excess.div_ceil(row).min(rows);
        let mut tail = Aligned::zeros((rows - tail_row) * row + excess);
        tail[..(rows - tail_row) * row].copy_from_slice(&coarse[tail_row * row..]);
        Self { g, fine, coarse, level, padded_channels, block_rows: block_rows(g, padded_channels), tail_row, tail }
    }

    /// Writes the gradient of one block of coarse rows and one vector of coarse channels.
    ///
    /// # Safety
    /// Nobody else reads or writes this vector of the block's gradient meanwhile.
    unsafe fn compute(&self, rows: std::ops::Range<usize>, vector: usize, partial: Results) {
        let g = self.g;
        let [kd, kh, kw] = g.kernel;
        let lanes = self.level.lanes();
        let mut pairs = Vec::with_capacity(rows.len());
        for row_tap in 0..kd * kh {
            self.pair_rows(&rows, [row_tap / kh, row_tap % kh], vector * lanes, &mut pairs);
            let mut channel = 0;
            while channel < g.fine_channels {
                let place = (row_tap * kw * g.fine_channels + channel) * self.padded_channels + vector * lanes;
                let left = g.fine_channels - channel;
                let walk = Walk {
                    rows: &pairs,
                    channel,
                    fine_step: g.fine_channels,
                    coarse_step: g.coarse_channels,
                    fine_width: g.fine[2],
                    coarse_width: g.coarse[2],
                    padding: g.padding[2],
                    // SAFETY: taps and channels of the task's vector, which `compute`'s contract gives to this thread
                    // alone.
                    gradient: unsafe {
                        let steps = [self.padded_channels, g.fine_channels * self.padded_channels];
                        Gradient::new(partial.from(place), [left, kw], steps, lanes)
                    },
                };
                channel += self.run(&walk, left);
            }
        }
    }

    /// The pairs of rows of a block that meet at a tap along z and y, from fine channel 0 and coarse channel `first`.
    fn pair_rows<'b>(
        &'b self,
        rows: &std::ops::Range<usize>,
        tap: [usize; 2],
        first: usize,
        pairs: &mut Vec<RowPair<'b>>,
    ) {
        let g = self.g;
        pairs.clear();
        for row in rows.clone() {
            let (sample, z, y) =
                (row / (g.coarse[0] * g.coarse[1]), row / g.coarse[1] % g.coarse[0], row % g.coarse[1]);
            let fine_z = (z * g.stride[0] + tap[0]).wrapping_sub(g.padding[0]);
            let fine_y = (y * g.stride[1] + tap[1]).wrapping_sub(g.padding[1]);
            if fine_z < g.fine[0] && fine_y < g.fine[1] {
                let fine_row = (sample * g.fine[0] + fine_z) * g.fine[1] + fine_y;
                let length = g.coarse[2] * g.coarse_channels;
                let coarse = match row.checked_sub(self.tail_row) {
                    Some(row) => &self.tail[row * length + first..],
                    None => &self.coarse[row * length + first..],
                };
                let fine = &self.fine[fine_row * g.fine[2] * g.fine_channels..];
                pairs.push(RowPair { fine, coarse });
            }
        }
    }

    /// Runs the widest kernel that fits the channels left; returns how many it took.
    fn run(&self, walk: &Walk, left: usize) -> usize {
        if self.g.kernel[2] == 3 && self.g.stride[2] == 1 {
            return match (self.level, left) {
                (Level::Avx512, 8..) => self.three_taps::<8>(walk),
                (_, 4..) => self.three_taps::<4>(walk),
                (_, 2..) => self.three_taps::<2>(walk),
                _ => self.three_taps::<1>(walk),
            };
        }
        match (self.level, left) {
            (Level::Avx512, 16..) => self.one_tap::<16>(walk),
            (_, 8..) => self.one_tap::<8>(walk),
            (_, 4..) => self.one_tap::<4>(walk),
            (_, 2..) => self.one_tap::<2>(walk),
            _ => self.one_tap::<1>(walk),
        }
    }

    fn three_taps<const C: usize>(&self, walk: &Walk) -> usize {
        self.level.run(ThreeTaps::<C>(walk));
        C
    }

    fn one_tap<const C: usize>(&self, walk: &Walk) -> usize {
        for tap in 0..self.g.kernel[2] {
            self.level.run(OneTap::<C> { walk, tap, stride: self.g.stride[2] });
        }
        C
    }

    /// Adds the blocks' gradients in block order and brings them into the weight's order.
    fn sum(&self, partials: &[f32], order: WeightOrder) -> Vec<f32> {
        let (fine, coarse, padded) = (self.g.fine_channels, self.g.coarse_channels, self.padded_channels);
        let length = self.g.taps() * fine * padded;
        let mut total = vec![0f32; length];
        let chunk = SUM_CHUNK.next_multiple_of(padded);
        total.par_chunks_mut(chunk).enumerate().for_each(|(i, total)| {
            for partial in partials.chunks_exact(length) {
                for (sum, value) in total.iter_mut().zip(&partial[i * chunk..]) {
                    *sum += value;
                }
            }
        });
        match order {
            WeightOrder::FineCoarse if coarse == padded => total,
            WeightOrder::FineCoarse => total.chunks_exact(padded).flat_map(|row| &row[..coarse]).copied().collect(),
            WeightOrder::CoarseFine => {
                let mut turned = vec![0f32; self.g.taps() * fine * coarse];
                turned.par_chunks_mut(fine * coarse).zip(total.par_chunks(fine * padded)).for_each(|(to, from)| {
                    for (i, row) in from.chunks_exact(padded).enumerate() {
                        for (j, value) in row[..coarse].iter().enumerate() {
                            to[j * fine + i] = *value;
                        }
                    }
                });
                turned
            }
        }
    }
}

/// Coarse rows of a block: as many as the cache holds, but no more blocks than [`PARTIAL_BYTES`] has room for.
fn block_rows(g: &Geometry, padded_channels: usize) -> usize {
    let rows = g.batch * g.coarse[0] * g.coarse[1];
    let row_bytes = (g.fine[2] * g.fine_channels * g.stride[1] + g.coarse[2] * g.coarse_channels) * size_of::<f32>();
    let partial_bytes = g.taps() * g.fine_channels * padded_channels * size_of::<f32>();
    let most_blocks = (PARTIAL_BYTES / partial_bytes).max(1);
    (BLOCK_BYTES / row_bytes).max(rows.div_ceil(most_blocks)).clamp(1, rows)
}
