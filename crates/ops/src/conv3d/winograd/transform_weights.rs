//! The matrices applied to weights and their gradients along all three axes, a vector at a time.
#![allow(unsafe_code)] // Raw loads and stores: bounds checks would cost more than the sums between them.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use super::filter::{weight_gradient_line, weight_line};
use crate::memory::{Results, extent};
use crate::simd::{Kernel, Lanes};

/// `Gᵀ u G` of the sums of some parts, for some pairs of fine and coarse channels.
pub(super) struct TransformWeightGradient<'a, const P: usize> {
    sums: &'a [f32],
    parts: usize,
    step: usize,
    values: usize,
    to: *mut f32,
}

impl<'a, const P: usize> TransformWeightGradient<'a, P> {
    /// From `values` sums of every part and point, whole vectors, to as many results of every tap; points, and taps,
    /// lie `step` values apart.
    ///
    /// # Safety
    /// Nobody else reads or writes these results before the kernel has returned.
    ///
    /// # Panics
    /// If there are fewer sums or results.
    pub(super) unsafe fn new(sums: &'a [f32], parts: usize, step: usize, values: usize, results: Results) -> Self {
        let points = P * P * P;
        let enough = sums.len() >= extent([(parts, points.saturating_mul(step)), (points, step)], values);
        assert!(enough && parts > 0, "the sums end before the last part");
        Self { sums, parts, step, values, to: results.place(extent([(27, step)], values)) }
    }
}

impl<const P: usize> Kernel for TransformWeightGradient<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        assert!(self.values.is_multiple_of(L::N), "values that are not whole vectors");
        for at in (0..self.values).step_by(L::N) {
            // SAFETY: `new` found the values of all parts, points and taps, of which by the assertion this is a whole
            // vector, and its contract gives the results to this thread alone; `Level::run`, below which kernels run,
            // has asserted that the machine has the instruction set.
            unsafe {
                let mut along_x = [[[L::zero(); 3]; P]; P];
                for z in 0..P {
                    for y in 0..P {
                        let mut line = [L::zero(); P];
                        for x in 0..P {
                            line[x] = self.sum((P * z + y) * P + x, at);
                        }
                        along_x[z][y] = weight_gradient_line(line);
                    }
                }
                for x in 0..3 {
                    let mut along_y = [[L::zero(); P]; 3];
                    for z in 0..P {
                        let mut line = [L::zero(); P];
                        for y in 0..P {
                            line[y] = along_x[z][y][x];
                        }
                        let line = weight_gradient_line(line);
                        for y in 0..3 {
                            along_y[y][z] = line[y];
                        }
                    }
                    for y in 0..3 {
                        let line = weight_gradient_line(along_y[y]);
                        for z in 0..3 {
                            line[z].store(self.to.add((9 * z + 3 * y + x).wrapping_mul(self.step) + at));
                        }
                    }
                }
            }
        }
    }
}

impl<const P: usize> TransformWeightGradient<'_, P> {
    /// A point's sums over all parts.
    ///
    /// # Safety
    /// `point` is below P³, a vector from `at` on is among the values, and the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn sum<L: Lanes>(&self, point: usize, at: usize) -> L {
        // SAFETY: `new` found the values of all parts and points.
        unsafe {
            let mut from = self.sums.as_ptr().add(point.wrapping_mul(self.step) + at);
            let mut sum = L::load(from);
            for _ in 1..self.parts {
                from = from.add((P * P * P).wrapping_mul(self.step));
                sum = sum.plus(L::load(from));
            }
            sum
        }
    }
}

/// `G w Gᵀ` for one vector of output channels: for each point along z and y and each input channel the points along x.
pub(super) struct TransformWeights<'a, const PZ: usize, const P: usize> {
    taps: &'a [&'a [f32]],
    step: usize,
    channels: usize,
    lanes: usize,
    to: *mut f32,
}

impl<'a, const PZ: usize, const P: usize> TransformWeights<'a, PZ, P> {
    /// Taps of the kernel: nine a layer, and three layers but for flat tiles.
    pub(super) const TAPS: usize = if PZ == 1 { 9 } else { 27 };

    /// From a vector of `lanes` weights of every tap and channel, `step` values from channel to channel, to the points
    /// of all.
    ///
    /// # Safety
    /// Nobody else reads or writes the first PZ · P² · `channels` · `lanes` results before the kernel has returned.
    ///
    /// # Panics
    /// If there are other taps, or fewer weights or results.
    pub(super) unsafe fn new(
        taps: &'a [&'a [f32]],
        step: usize,
        channels: usize,
        lanes: usize,
        results: Results,
    ) -> Self {
        assert!(taps.len() == Self::TAPS, "taps that are not the tile's");
        let tap = extent([(channels, step)], lanes);
        assert!(taps.iter().all(|weights| weights.len() >= tap), "a tap ends before its last channel");
        Self {
            taps,
            step,
            channels,
            lanes,
            to: results.place(extent([(PZ * P * P, channels * lanes)], channels * lanes)),
        }
    }
}

impl<const PZ: usize, const P: usize> Kernel for TransformWeights<'_, PZ, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        assert!(self.lanes == L::N, "weights that are for another level");
        let row_step = self.channels * P * L::N;
        for channel in 0..self.channels {
            // SAFETY: `new` found the vectors of all taps and channels and room for all points, of which by the
            // assertion these are whole ones, and its contract gives the latter to this thread alone; `Level::run`,
            // below which kernels run, has asserted that the machine has the instruction set.
            unsafe {
                let mut along_z = [[[L::zero(); 3]; 3]; PZ];
                for row in 0..9 {
                    let line = self.along_z::<L>(row, channel);
                    for z in 0..PZ {
                        along_z[z][row / 3][row % 3] = line[z];
                    }
                }
                for z in 0..PZ {
                    let mut along_y = [[L::zero(); 3]; P];
                    for x in 0..3 {
                        let line = weight_line::<L, P>([along_z[z][0][x], along_z[z][1][x], along_z[z][2][x]]);
                        for y in 0..P {
                            along_y[y][x] = line[y];
                        }
                    }
                    for y in 0..P {
                        let line = weight_line::<L, P>(along_y[y]);
                        let to = self.to.add((P * z + y) * row_step + channel * (P * L::N));
                        for x in 0..P {
                            line[x].store(to.add(x * L::N));
                        }
                    }
                }
            }
        }
    }
}

impl<const PZ: usize, const P: usize> TransformWeights<'_, PZ, P> {
    /// The points along z of a row of taps.
    ///
    /// # Safety
    /// `row` is below 9 and the channel below their number, and the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn along_z<L: Lanes>(&self, row: usize, channel: usize) -> [L; PZ] {
        // SAFETY: `new` found a vector of every channel of nine taps, three times as many but for flat tiles.
        unsafe {
            let mut line = [L::zero(); 3];
            for z in 0..Self::TAPS / 9 {
                line[z] = L::load(self.taps[9 * z + row].as_ptr().add(channel * self.step));
            }
            if PZ == 1 { [line[0]; PZ] } else { weight_line(line) }
        }
    }
}
