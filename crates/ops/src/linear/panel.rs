//! Rows times a panel of columns: the panel's weights are read in the order in which they lie, a block at a time; a
//! block meets all rows while the nearest cache holds it, and the next one is fetched meanwhile.
#![allow(unsafe_code)] // Raw vectors.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use crate::simd::{Kernel, Lanes};

/// Columns of a panel.
pub(super) const PANEL: usize = 64;

/// Rows whose sums fit into the registers together.
const ROWS: usize = 6;
/// Inputs of a block: with the next one being fetched, 32 KiB of weights.
const BLOCK: usize = 64;
/// Values of a line of the cache.
const LINE: usize = 16;

/// `y += x w`.
pub(super) struct Panel<'a> {
    /// `[rows, inputs]`.
    pub(super) x: &'a [f32],
    /// `[inputs, PANEL]`.
    pub(super) weight: &'a [f32],
    /// `[rows, PANEL]`.
    pub(super) y: &'a mut [f32],
}

impl Kernel for Panel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (rows, inputs) = (self.y.len() / PANEL, self.weight.len() / PANEL);
        let fits = self.y.len() == rows * PANEL && self.weight.len() == inputs * PANEL && self.x.len() == rows * inputs;
        assert!(fits, "linear: sizes disagree");
        // The next block is fetched by the first groups, a few lines with every row of weights.
        let lines = (PANEL / LINE).div_ceil(rows.div_ceil(ROWS).max(1));
        for (block, weight) in self.weight.chunks(BLOCK * PANEL).enumerate() {
            for (group, y) in self.y.chunks_mut(ROWS * PANEL).enumerate() {
                let x = &self.x[group * ROWS * inputs + block * BLOCK..];
                let left = (PANEL / LINE).saturating_sub(group * lines).min(lines);
                let fetch = Fetch { from: BLOCK * (PANEL + group * lines * LINE), lines: left };
                let registers = RegisterBlock { x, inputs, weight, fetch, y };
                match registers.y.len() / PANEL {
                    1 => registers.run::<L, 1>(),
                    2 => registers.run::<L, 2>(),
                    3 => registers.run::<L, 3>(),
                    4 => registers.run::<L, 4>(),
                    5 => registers.run::<L, 5>(),
                    _ => registers.run::<L, ROWS>(),
                }
            }
        }
    }
}

/// A group of at most [`ROWS`] rows and one block.
struct RegisterBlock<'a> {
    /// From the group's first row and the block's first input on; rows lie `inputs` values apart.
    x: &'a [f32],
    inputs: usize,
    weight: &'a [f32],
    fetch: Fetch,
    y: &'a mut [f32],
}

/// What to fetch meanwhile: with every row of weights so many `lines`, one after the other, the first one `from` values
/// on.
#[derive(Clone, Copy)]
struct Fetch {
    from: usize,
    lines: usize,
}

impl RegisterBlock<'_> {
    /// Works off `R` rows, as many columns at a time as the registers hold.
    #[inline(always)]
    fn run<L: Lanes, const R: usize>(self) {
        if L::N == 16 {
            self.columns::<L, R, 4>();
        } else {
            self.columns::<L, R, 2>();
        }
    }

    #[inline(always)]
    fn columns<L: Lanes, const R: usize, const V: usize>(mut self) {
        let length = self.weight.len() / PANEL;
        assert!(self.y.len() == R * PANEL && self.x.len() >= (R - 1) * self.inputs + length, "linear: sizes disagree");
        const { assert!(PANEL.is_multiple_of(V * L::N)) };
        for column in (0..PANEL).step_by(V * L::N) {
            // SAFETY: with the assertions, all `length` rows of weights and all `R` rows of `x` and `y` lie in their
            // slices, and so do the V · N columns from `column` on. `Level::run`, below which kernels run, has asserted
            // that the machine has the instruction set.
            unsafe { self.add::<L, R, V>(column, length) };
            self.fetch.lines = 0;
        }
    }

    /// # Safety
    /// `length` rows of weights and `R` rows of `x` and `y` lie in their slices, and so do the V · N columns from
    /// `column` on; the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn add<L: Lanes, const R: usize, const V: usize>(&mut self, column: usize, length: usize) {
        // SAFETY: by this function's contract all rows and columns lie in their slices; `y` is borrowed mutably.
        unsafe {
            let y = self.y.as_mut_ptr().add(column);
            let mut sums = [[L::zero(); V]; R];
            for r in 0..R {
                for v in 0..V {
                    sums[r][v] = L::load(y.add(r * PANEL + v * L::N));
                }
            }
            let fetch = self.fetch;
            let ahead = self.weight.as_ptr().wrapping_add(fetch.from);
            for i in 0..length {
                let weight = self.weight.as_ptr().add(i * PANEL);
                for line in 0..fetch.lines {
                    L::prefetch(ahead.wrapping_add((i * fetch.lines + line) * LINE));
                }
                let mut weights = [L::zero(); V];
                for v in 0..V {
                    weights[v] = L::load(weight.add(column + v * L::N));
                }
                for r in 0..R {
                    let x = L::splat(self.x.as_ptr().add(r * self.inputs + i));
                    for v in 0..V {
                        sums[r][v] = sums[r][v].plus_product(x, weights[v]);
                    }
                }
            }
            for r in 0..R {
                for v in 0..V {
                    sums[r][v].store(y.add(r * PANEL + v * L::N));
                }
            }
        }
    }
}
