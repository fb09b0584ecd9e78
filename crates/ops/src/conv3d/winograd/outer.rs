//! The products of the weight's gradient: for each point, fine channels × tiles times tiles × coarse channels.
//!
//! A register tile holds some fine channels × vectors of coarse channels while the kernel walks over a block's tiles:
//! with eight channels and two vectors 10 loads for 16 multiply-adds.
#![allow(unsafe_code)] // Raw loads: bounds checks in the innermost loop would cost more than its arithmetic.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use super::CHANNELS;
use super::tiling::{Panels, group};
use crate::memory::{Results, extent};
use crate::simd::{Kernel, Lanes};

/// All products of the points along x of one point along z and y; checks that both grids' panels hold all tiles and
/// channels before it reads them.
pub(super) struct OuterProducts<'a, const P: usize> {
    /// The point's panels of both grids.
    pub(super) fine: &'a [f32],
    pub(super) fine_panels: Panels<P>,
    pub(super) coarse: &'a [f32],
    pub(super) coarse_panels: Panels<P>,
    pub(super) tiles: usize,
    /// Vectors of channels, which are whole sixteens of channels.
    pub(super) fine_vectors: usize,
    pub(super) coarse_vectors: usize,
    pub(super) sums: Sums,
}

/// Where the sums of the points along x are.
pub(super) struct Sums {
    first: *mut f32,
    point_step: usize,
    channel_step: usize,
    channels: [usize; 2],
    is_first: bool,
}

impl Sums {
    /// Of `P` points times fine times coarse `channels`, so many values apart, the coarse ones side by side.
    ///
    /// # Safety
    /// Nobody else reads or writes these sums before the kernel has returned, and all of them have been written unless
    /// they are the first, so that there are none yet to add to.
    ///
    /// # Panics
    /// If `results` has fewer values.
    pub(super) unsafe fn new<const P: usize>(
        results: Results,
        channels: [usize; 2],
        [point_step, channel_step]: [usize; 2],
        is_first: bool,
    ) -> Self {
        let first = results.place(extent([(P, point_step), (channels[0], channel_step)], channels[1]));
        Self { first, point_step, channel_step, channels, is_first }
    }
}

impl<const P: usize> OuterProducts<'_, P> {
    /// # Panics
    /// If the kernel would read or write beyond what there is.
    #[inline(always)]
    fn check<L: Lanes>(&self) {
        let fine = self.fine_panels.extent(1, self.tiles, self.fine_vectors, P * group(P) * L::N);
        let coarse = self.coarse_panels.extent(1, self.tiles, self.coarse_vectors, P * group(P) * L::N);
        assert!(self.fine.len() >= fine && self.coarse.len() >= coarse, "panels end before the last tile");
        let channels = [self.fine_vectors * L::N, self.coarse_vectors * L::N];
        let whole = channels.iter().all(|channels| channels.is_multiple_of(CHANNELS));
        assert!(whole && self.sums.channels == channels, "channels that are not the sums'");
    }
}

impl<const P: usize> Kernel for OuterProducts<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        self.check::<L>();
        // SAFETY: the check above found the panels and sums of whole sixteens of channels, which each arm's channels
        // and vectors divide; `Level::run`, below which kernels run, has asserted that the machine has the instruction
        // set.
        unsafe {
            for x in 0..P {
                match L::N {
                    16 if self.coarse_vectors.is_multiple_of(2) => self.point::<L, 8, 2>(x),
                    16 => self.point::<L, 16, 1>(x),
                    8 => self.point::<L, 8, 1>(x),
                    _ => self.point::<L, 4, 2>(x),
                }
            }
        }
    }
}

impl<const P: usize> OuterProducts<'_, P> {
    /// `C` fine channels and `V` coarse vectors at a time.
    ///
    /// # Safety
    /// The products have passed [`OuterProducts::check`], `x` is below `P`, `C` divides the fine channels and the
    /// lanes, or the other way round, `V` divides the coarse vectors, and the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn point<L: Lanes, const C: usize, const V: usize>(&self, x: usize) {
        for fine in (0..self.fine_vectors * L::N).step_by(C) {
            for vector in (0..self.coarse_vectors).step_by(V) {
                // SAFETY: `OuterProducts::check` found P points of all tiles for each vector of channels, and
                // `Sums::new` room for P points of all pairs of channels, of which these are the first.
                unsafe {
                    let row = x * group(P) * L::N;
                    let from = self.fine.as_ptr().add(row + fine / L::N * self.fine_panels.panel + fine % L::N);
                    let coarse = self.coarse.as_ptr().add(row + vector * self.coarse_panels.panel);
                    let to =
                        self.sums.first.add(x * self.sums.point_step + fine * self.sums.channel_step + vector * L::N);
                    self.tile::<L, C, V>(from, coarse, to);
                }
            }
        }
    }

    /// # Safety
    /// The products have passed [`OuterProducts::check`]; `fine`, `coarse` and `to` are the places of one point, the
    /// first tile and channels of which `C` and `V` vectors exist; the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const C: usize, const V: usize>(
        &self,
        mut fine: *const f32,
        mut coarse: *const f32,
        to: *mut f32,
    ) {
        // SAFETY: `OuterProducts::check` found whole groups of panels up to the last tile, and `Sums::new` room for the
        // sums; its contract gives these to this thread alone, and has those written that are not the first.
        unsafe {
            let mut sums = [[L::zero(); V]; C];
            if !self.sums.is_first {
                for c in 0..C {
                    for v in 0..V {
                        sums[c][v] = L::load(to.add(c.wrapping_mul(self.sums.channel_step) + v * L::N));
                    }
                }
            }
            let mut left = self.tiles;
            while left > 0 {
                let tiles = left.min(group(P));
                for t in 0..tiles {
                    let mut factors = [L::zero(); V];
                    for v in 0..V {
                        factors[v] = L::load(coarse.add(v.wrapping_mul(self.coarse_panels.panel)).add(t * L::N));
                    }
                    for c in 0..C {
                        let value = L::splat(fine.add(t * L::N + c));
                        for v in 0..V {
                            sums[c][v] = sums[c][v].plus_product(value, factors[v]);
                        }
                    }
                }
                fine = fine.wrapping_add(self.fine_panels.group);
                coarse = coarse.wrapping_add(self.coarse_panels.group);
                left -= tiles;
            }
            for c in 0..C {
                for v in 0..V {
                    sums[c][v].store(to.add(c.wrapping_mul(self.sums.channel_step) + v * L::N));
                }
            }
        }
    }
}
