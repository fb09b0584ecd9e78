//! The products of both directions: for each point, tiles × input channels times input × output channels.
//!
//! A register tile holds the points along x of some tiles and vectors of output channels, so that `Aᵀ` along x is
//! applied before anything is stored and the output transform reads less. For 2³ results, with two vectors and three
//! tiles, that is 20 loads for 24 multiply-adds, with one vector and six tiles 28; for 4³ results, with one vector and
//! four tiles, 30, and with stride 2 25 for 20.
#![allow(unsafe_code)] // Raw loads: bounds checks in the innermost loop would cost more than its arithmetic.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use super::filter::output_line;
use super::tiling::{Panels, group};
use crate::simd::{Kernel, Lanes};

/// Most input channels multiplied at a time: a register tile's weights then stay in the first-level cache from one tile
/// to the next, and the transformed inputs in the second-level one beside the results.
pub(super) const CHUNK: usize = 64;
/// Values of a cache line.
const LINE: usize = 16;

/// The products of one point along z and y with up to [`CHUNK`] input channels.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct Products<const R: usize, const P: usize> {
    /// The point's panels of inputs and of results.
    pub(super) input: *const f32,
    pub(super) input_panels: Panels<P>,
    pub(super) output: *mut f32,
    pub(super) output_panels: Panels<P>,
    pub(super) groups: usize,
    /// The point's weights of the first vector of output channels: for each input channel the points along x, a vector
    /// each.
    pub(super) weights: *const f32,
    /// Values from one vector's weights to the next one's.
    pub(super) vector_step: usize,
    /// Vectors of input and of output channels.
    pub(super) input_vectors: usize,
    pub(super) output_vectors: usize,
    /// Whether there are no results yet to add to.
    pub(super) is_first: bool,
}

impl<const R: usize, const P: usize> Kernel for Products<R, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        // SAFETY: see the fields; `Level::run` vouches for the instruction set.
        unsafe {
            if self.is_first {
                self.all::<L, true>();
            } else {
                self.all::<L, false>();
            }
        }
    }
}

impl<const R: usize, const P: usize> Products<R, P> {
    /// The `FIRST` writes what the others add to.
    #[inline(always)]
    unsafe fn all<L: Lanes, const FIRST: bool>(&self) {
        // SAFETY: see the fields.
        unsafe {
            let mut vector = 0;
            while vector < self.output_vectors {
                let is_pair = vector + 1 < self.output_vectors;
                match (P, L::N) {
                    (4, 16) if is_pair => self.vectors::<L, 2, 3, FIRST>(vector),
                    (4, 16) => self.vectors::<L, 1, 6, FIRST>(vector),
                    (4, _) => self.vectors::<L, 1, 3, FIRST>(vector),
                    (_, 16) => self.vectors::<L, 1, 4, FIRST>(vector),
                    _ => self.vectors::<L, 1, 2, FIRST>(vector),
                }
                vector += if P == 4 && L::N == 16 { 2 } else { 1 };
            }
        }
    }

    /// `V` vectors of output channels from `vector` on, `T` tiles at a time.
    #[inline(always)]
    unsafe fn vectors<L: Lanes, const V: usize, const T: usize, const FIRST: bool>(&self, vector: usize) {
        // SAFETY: see the fields.
        unsafe {
            let weights = self.weights.add(vector * self.vector_step);
            for at in 0..self.groups {
                for tile in (0..group(P)).step_by(T) {
                    let place = at * self.input_panels.group + tile * L::N;
                    let sums = self.sums::<L, V, T>(self.input.add(place), weights);
                    let place = at * self.output_panels.group + vector * self.output_panels.panel + tile * L::N;
                    self.store::<L, V, T, FIRST>(&sums, self.output.add(place));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn sums<L: Lanes, const V: usize, const T: usize>(
        &self,
        mut input: *const f32,
        mut weights: *const f32,
    ) -> [[[L; V]; T]; P] {
        // SAFETY: see the fields.
        unsafe {
            let mut sums = [[[L::zero(); V]; T]; P];
            for _ in 0..self.input_vectors {
                for channel in 0..L::N {
                    for line in 2 * channel..2 * channel + 2 {
                        L::prefetch(input.wrapping_add(P * group(P) * L::N + line * LINE));
                    }
                    for x in 0..P {
                        let mut factors = [L::zero(); V];
                        for v in 0..V {
                            factors[v] = L::load(weights.wrapping_add(v.wrapping_mul(self.vector_step)).add(x * L::N));
                        }
                        for t in 0..T {
                            let value = L::splat(input.add((x * group(P) + t) * L::N + channel));
                            for v in 0..V {
                                sums[x][t][v] = sums[x][t][v].plus_product(value, factors[v]);
                            }
                        }
                    }
                    weights = weights.add(P * L::N);
                }
                input = input.add(P * group(P) * L::N);
            }
            sums
        }
    }

    /// Writes results, or adds to those of the channels before.
    #[inline(always)]
    unsafe fn store<L: Lanes, const V: usize, const T: usize, const FIRST: bool>(
        &self,
        sums: &[[[L; V]; T]; P],
        to: *mut f32,
    ) {
        for v in 0..V {
            for t in 0..T {
                // SAFETY: the caller's panels hold all tiles and vectors.
                unsafe {
                    let mut line = [L::zero(); P];
                    for x in 0..P {
                        line[x] = sums[x][t][v];
                    }
                    let line = output_line::<L, R, P>(line);
                    for x in 0..R {
                        let to = to.add(v.wrapping_mul(self.output_panels.panel)).add((x * group(P) + t) * L::N);
                        let sum = if FIRST { line[x] } else { line[x].plus(L::load(to)) };
                        sum.store(to);
                    }
                }
            }
        }
    }
}
