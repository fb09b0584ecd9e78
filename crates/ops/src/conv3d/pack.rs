//! Inputs and weights in the order in which `register_block.rs` reads them.
//!
//! Inputs: a block of rows with its halo, each row channel by channel, zeros where the padding lies. Where results lie
//! `step` voxels apart, a row is cut into `step` *phases* (voxels 0, step, 2·step, … first), so that the taps of
//! neighbouring results are neighbours again. Weights: for each class and vector of output channels, its segments,
//! input channels, taps.
#![allow(unsafe_code)] // The transposition of a row works on raw vectors.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use rayon::prelude::*;

use super::pass::{Class, Pass};
use super::register_block::{MAX_TAPS, Segment, Segments};
use crate::memory::{Aligned, extent};
use crate::simd::{Kernel, Lanes};

/// How far ahead of the transposition inputs are fetched; the processor's own prefetcher is late for rows this short.
const PREFETCH_VOXELS: usize = 32;

/// How the rows of a block lie in memory.
#[derive(Clone, Copy)]
pub(super) struct RowLayout {
    /// Voxels of one phase, one channel.
    pub(super) pitch: usize,
    /// Values of a row.
    pub(super) row: usize,
    /// Rows of a plane.
    pub(super) rows: usize,
}

impl RowLayout {
    /// For register blocks of `results` neighbouring results; `rows` input rows to a plane.
    pub(super) fn new(pass: &Pass, results: usize, rows: usize) -> Self {
        let step = pass.step[2];
        let reach = pass.reach()[2];
        let phases = step.min(reach);
        let pitch = pass.largest_count()[2].next_multiple_of(results) + (reach - 1) / step;
        Self { pitch, row: phases * pass.input_channels * pitch, rows }
    }
}

/// A class' segments, in the order of its weights; offsets from the row that holds the first tap of the block's lowest
/// voxel.
pub(super) fn segments(pass: &Pass, class: &Class, layout: &RowLayout) -> Segments {
    let low = pass.low();
    let [z, y, x] = [0, 1, 2].map(|axis| (class.origin[axis] - low[axis]) as usize);
    let segment = |run: Run| {
        let place = x + run.tap[2];
        let (phase, shift) = (place % pass.step[2], place / pass.step[2]);
        let row = (z + run.tap[0]) * layout.rows + y + run.tap[1];
        Segment { offset: row * layout.row + phase * pass.input_channels * layout.pitch + shift, taps: run.taps }
    };
    Segments::new(each_run(pass, class).map(segment).collect())
}

/// All weights of a class: for each vector of output channels its runs, input channels, taps. Missing output channels
/// are 0.
pub(super) fn weights(pass: &Pass, class: &Class, weight: &[f32], lanes: usize) -> Aligned {
    let runs: Vec<Run> = each_run(pass, class).collect();
    let vector = class.taps.iter().product::<usize>() * pass.input_channels * lanes;
    let mut packed = Aligned::zeros(vector * pass.output_channels.div_ceil(lanes));
    if vector == 0 {
        return packed;
    }
    packed.par_chunks_mut(vector).enumerate().for_each(|(j, packed)| {
        let outputs = j * lanes..pass.output_channels.min((j + 1) * lanes);
        let mut rest = packed;
        for run in &runs {
            let (run_weights, later) = rest.split_at_mut(run.taps * pass.input_channels * lanes);
            rest = later;
            for t in 0..run.taps {
                let tap = [run.tap[0], run.tap[1], run.tap[2] + t * pass.step[2]];
                let tap_weights = pass.tap_weights(weight, class, tap);
                pack_tap(pass, tap_weights, outputs.clone(), &mut run_weights[t * lanes..], run.taps * lanes);
            }
        }
    });
    packed
}

/// One tap's weights for a vector of output channels: `to[i · step + lane]`, from input channel `i`.
fn pack_tap(pass: &Pass, weights: &[f32], outputs: std::ops::Range<usize>, to: &mut [f32], step: usize) {
    if pass.weight_is_transposed {
        for (lane, row) in weights.chunks_exact(pass.input_channels).skip(outputs.start).take(outputs.len()).enumerate()
        {
            for (to, &weight) in to[lane..].iter_mut().step_by(step).zip(row) {
                *to = weight;
            }
        }
    } else {
        for (to, row) in to.chunks_mut(step).zip(weights.chunks_exact(pass.output_channels)) {
            to[..outputs.len()].copy_from_slice(&row[outputs.clone()]);
        }
    }
}

/// Taps `tap`, `tap + step`, … along x.
struct Run {
    tap: [usize; 3],
    taps: usize,
}

fn each_run(pass: &Pass, class: &Class) -> impl Iterator<Item = Run> {
    let step = pass.step[2];
    let [tz, ty, tx] = class.taps;
    (0..tz * ty).flat_map(move |row| {
        (0..step.min(tx)).flat_map(move |phase| {
            let taps = (tx - phase).div_ceil(step);
            (0..taps).step_by(MAX_TAPS).map(move |first| Run {
                tap: [row / ty, row % ty, phase + first * step],
                taps: MAX_TAPS.min(taps - first),
            })
        })
    })
}

/// Copies one row of voxels into a row of a block, channel by channel.
pub(super) struct PackRow<'a> {
    /// `[x, c]`, or nothing if the row lies in the padding.
    pub(super) from: Option<&'a [f32]>,
    /// One row of the layout.
    pub(super) to: &'a mut [f32],
    pub(super) layout: RowLayout,
    pub(super) channels: usize,
    /// Input voxel of phase 0's first value.
    pub(super) low: isize,
    pub(super) step: usize,
}

impl Kernel for PackRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Some(from) = self.from else {
            self.to.fill(0.0);
            return;
        };
        let (pitch, channels, step) = (self.layout.pitch, self.channels, self.step);
        let width = from.len() / channels;
        for (phase, to) in self.to.chunks_exact_mut(channels * pitch).enumerate() {
            // Voxel e of this phase is input voxel low + phase + e·step.
            let first = self.low + phase as isize;
            let start = if first < 0 { (-first) as usize } else { 0 }.div_ceil(step).min(pitch);
            let end = (width as isize - first).max(0) as usize;
            let end = end.div_ceil(step).clamp(start, pitch);
            for row in to.chunks_exact_mut(pitch) {
                row[..start].fill(0.0);
                row[end..].fill(0.0);
            }
            if start < end {
                let from = &from[(first + (start * step) as isize) as usize * channels..];
                let block = Transposition {
                    from,
                    from_step: step * channels,
                    to,
                    to_step: pitch,
                    to_first: start,
                    count: end - start,
                    channels,
                };
                block.run::<L>();
            }
        }
    }
}

/// `to[c · to_step + to_first + e] = from[e · from_step + c]` for `count` voxels e.
pub(super) struct Transposition<'a> {
    pub(super) from: &'a [f32],
    pub(super) from_step: usize,
    pub(super) to: &'a mut [f32],
    pub(super) to_step: usize,
    pub(super) to_first: usize,
    pub(super) count: usize,
    pub(super) channels: usize,
}

impl Kernel for Transposition<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let channels = self.channels;
        let whole_channels = channels - channels % L::SQUARE;
        let whole_voxels = self.count - self.count % L::SQUARE;
        assert!(self.from.len() >= extent([(self.count, self.from_step)], channels), "a row is too short to pack");
        let to = extent([(channels, self.to_step)], self.to_first.saturating_add(self.count));
        assert!(self.to.len() >= to, "a packed row is too short");
        for e in (0..whole_voxels).step_by(L::SQUARE) {
            for c in (0..whole_channels).step_by(L::SQUARE) {
                // SAFETY: the assertions above hold `count` voxels of `channels` values in `from` and as many rows of
                // `count` values in `to`, of which this square is a part; `Level::run`, below which
                // kernels run, has asserted that the machine has the instruction set.
                unsafe {
                    let from = self.from.as_ptr().add(e * self.from_step + c);
                    let to = self.to.as_mut_ptr().add(c * self.to_step + self.to_first + e);
                    for ahead in 0..L::SQUARE {
                        L::prefetch(from.wrapping_add((PREFETCH_VOXELS + ahead) * self.from_step));
                    }
                    L::transpose_square(from, self.from_step, to, self.to_step);
                }
            }
        }
        for e in 0..self.count {
            let first = if e < whole_voxels { whole_channels } else { 0 };
            for c in first..channels {
                self.to[c * self.to_step + self.to_first + e] = self.from[e * self.from_step + c];
            }
        }
    }
}
