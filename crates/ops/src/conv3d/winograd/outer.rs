//! The products of the weight's gradient: for each point, fine channels × tiles times tiles × coarse channels.
//!
//! A register tile holds some fine channels × vectors of coarse channels while the kernel walks over a block's tiles:
//! with eight channels and two vectors 10 loads for 16 multiply-adds.
#![allow(unsafe_code)] // Raw loads: bounds checks in the innermost loop would cost more than its arithmetic.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use super::tiling::{Panels, group};
use crate::simd::{Kernel, Lanes};

/// All products of the points along x of one point along z and y.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct OuterProducts<const P: usize> {
    /// The point's panels of both grids.
    pub(super) fine: *const f32,
    pub(super) fine_panels: Panels<P>,
    pub(super) coarse: *const f32,
    pub(super) coarse_panels: Panels<P>,
    pub(super) tiles: usize,
    /// Vectors of channels.
    pub(super) fine_vectors: usize,
    pub(super) coarse_vectors: usize,
    /// The sums of the first point and channels: a coarse vector can be written for every fine channel and point along
    /// x.
    pub(super) sums: *mut f32,
    /// Values between the sums of neighbouring fine channels and of neighbouring points.
    pub(super) channel_step: usize,
    pub(super) point_step: usize,
    /// Whether there are no sums yet to add to.
    pub(super) is_first: bool,
}

impl<const P: usize> Kernel for OuterProducts<P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        // SAFETY: see the fields; `Level::run` vouches for the instruction set.
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

impl<const P: usize> OuterProducts<P> {
    /// `C` fine channels and `V` coarse vectors at a time.
    #[inline(always)]
    unsafe fn point<L: Lanes, const C: usize, const V: usize>(&self, x: usize) {
        for fine in (0..self.fine_vectors * L::N).step_by(C) {
            for vector in (0..self.coarse_vectors).step_by(V) {
                // SAFETY: see the fields.
                unsafe {
                    let row = x * group(P) * L::N;
                    let from = self.fine.add(row + fine / L::N * self.fine_panels.panel + fine % L::N);
                    let coarse = self.coarse.add(row + vector * self.coarse_panels.panel);
                    let to = self.sums.add(x * self.point_step + fine * self.channel_step + vector * L::N);
                    self.tile::<L, C, V>(from, coarse, to);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<L: Lanes, const C: usize, const V: usize>(
        &self,
        mut fine: *const f32,
        mut coarse: *const f32,
        to: *mut f32,
    ) {
        // SAFETY: see the fields.
        unsafe {
            let mut sums = [[L::zero(); V]; C];
            if !self.is_first {
                for c in 0..C {
                    for v in 0..V {
                        sums[c][v] = L::load(to.add(c.wrapping_mul(self.channel_step) + v * L::N));
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
                    sums[c][v].store(to.add(c.wrapping_mul(self.channel_step) + v * L::N));
                }
            }
        }
    }
}
