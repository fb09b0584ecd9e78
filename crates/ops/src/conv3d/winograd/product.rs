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
use crate::memory::extent;
use crate::simd::{Kernel, Lanes};

/// Most input channels multiplied at a time: a register tile's weights then stay in the first-level cache from one tile
/// to the next, and the transformed inputs in the second-level one beside the results.
pub(super) const CHUNK: usize = 64;
/// Values of a cache line.
const LINE: usize = 16;

/// The products of one point along z and y with up to [`CHUNK`] input channels; checks that panels and weights hold all
/// tiles and channels before it uses them.
pub(super) struct Products<'a, const R: usize, const P: usize> {
    /// The point's panels of inputs and of results.
    pub(super) input: &'a [f32],
    pub(super) input_panels: Panels<P>,
    pub(super) output: &'a mut [f32],
    pub(super) output_panels: Panels<P>,
    pub(super) groups: usize,
    /// The point's weights of the first vector of output channels: for each input channel the points along x, a vector
    /// each.
    pub(super) weights: &'a [f32],
    /// Values from one vector's weights to the next one's.
    pub(super) vector_step: usize,
    /// Vectors of input and of output channels.
    pub(super) input_vectors: usize,
    pub(super) output_vectors: usize,
    /// Whether there are no results yet to add to.
    pub(super) is_first: bool,
}

impl<const R: usize, const P: usize> Products<'_, R, P> {
    /// # Panics
    /// If the kernel would read or write beyond what there is.
    #[inline(always)]
    fn check<L: Lanes>(&self) {
        let tiles = self.groups * group(P);
        let input = self.input_panels.extent(1, tiles, self.input_vectors, P * group(P) * L::N);
        let output = self.output_panels.extent(1, tiles, self.output_vectors, R * group(P) * L::N);
        assert!(self.input.len() >= input && self.output.len() >= output, "panels end before the last group");
        assert!(self.input_panels.panel == P * group(P) * L::N, "panels of another level");
        let vector = self.input_vectors * L::N * P * L::N;
        assert!(self.weights.len() >= extent([(self.output_vectors, self.vector_step)], vector), "too few weights");
    }
}

impl<const R: usize, const P: usize> Kernel for Products<'_, R, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        self.check::<L>();
        // SAFETY: the check above; `Level::run`, below which kernels run, has asserted that the machine has the
        // instruction set.
        unsafe {
            if self.is_first {
                self.all::<L, true>();
            } else {
                self.all::<L, false>();
            }
        }
    }
}

impl<const R: usize, const P: usize> Products<'_, R, P> {
    /// The `FIRST` writes what the others add to.
    ///
    /// # Safety
    /// The products have passed [`Products::check`], and the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn all<L: Lanes, const FIRST: bool>(&mut self) {
        // SAFETY: by this function's contract the products are checked; all vectors are below `output_vectors`, two
        // only where there is a pair; and each arm's number of tiles divides a group.
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
    ///
    /// # Safety
    /// The products have passed [`Products::check`], the vectors are below `output_vectors`, `T` divides a group, and
    /// the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn vectors<L: Lanes, const V: usize, const T: usize, const FIRST: bool>(&mut self, vector: usize) {
        // SAFETY: `Products::check` found panels of all groups for all vectors of both, and all vectors' weights, of
        // which these are the first values.
        unsafe {
            let weights = self.weights.as_ptr().add(vector * self.vector_step);
            for at in 0..self.groups {
                for tile in (0..group(P)).step_by(T) {
                    let place = at * self.input_panels.group + tile * L::N;
                    let sums = self.sums::<L, V, T>(self.input.as_ptr().add(place), weights);
                    let place = at * self.output_panels.group + vector * self.output_panels.panel + tile * L::N;
                    let to = self.output.as_mut_ptr().add(place);
                    self.store::<L, V, T, FIRST>(&sums, to);
                }
            }
        }
    }

    /// # Safety
    /// The products have passed [`Products::check`]; `input` is where a tile of a group starts, of which `T` are left,
    /// and `weights` where a vector's weights do, of which `V` are left; the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn sums<L: Lanes, const V: usize, const T: usize>(
        &self,
        mut input: *const f32,
        mut weights: *const f32,
    ) -> [[[L; V]; T]; P] {
        // SAFETY: `Products::check` found a panel for each of the `input_vectors`, as far apart as the loop goes, and P
        // vectors of weights for each of their channels.
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
                // Behind the last panel this lies up to a group's tiles beyond, perhaps where nothing is.
                input = input.wrapping_add(P * group(P) * L::N);
            }
            sums
        }
    }

    /// Writes results, or adds to those of the channels before.
    ///
    /// # Safety
    /// The products have passed [`Products::check`]; `to` is where a tile of an output group starts, of which `T` tiles
    /// and `V` vectors are left; the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn store<L: Lanes, const V: usize, const T: usize, const FIRST: bool>(
        &self,
        sums: &[[[L; V]; T]; P],
        to: *mut f32,
    ) {
        for v in 0..V {
            for t in 0..T {
                // SAFETY: `Products::check` found R points of whole groups for all output vectors, borrowed mutably.
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
