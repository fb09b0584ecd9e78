//! The register kernel of both directions.
//!
//! A register block is `R` rows × `V` neighbouring results × one vector of output channels, held in `R·V` registers
//! from the bias to the store. Inputs come as rows that lie channel by channel (`pack.rs`), so that neighbouring voxels
//! are neighbours in memory: one input value is spread over a vector once and multiplied with up to three neighbouring
//! taps, adding to three neighbouring results. With sixteen results and three taps that is 21 loads for 48
//! multiply-adds, so the multiply-add units are the limit and not the loads.
#![allow(unsafe_code)] // Raw loads: bounds checks in the innermost loop would cost more than its arithmetic.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use crate::simd::{Kernel, Lanes};

/// Up to this many neighbouring taps share one input value.
pub(super) const MAX_TAPS: usize = 3;

/// Neighbouring taps along x, for all input channels.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// Values from the row's start to the first tap of the first result, channel 0.
    pub(super) offset: usize,
    /// 1 to [`MAX_TAPS`].
    pub(super) taps: usize,
}

/// Some rows of results of one class and one vector of output channels.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct Rows<'a> {
    /// Channel 0 of the first row's inputs; every segment's offset + `(channels − 1)·pitch + (R − 1)·row_step` + width
    /// rounded up to `V` + taps − 1 values from here can be read. In place: `channels + (R − 1)·row_step + (width
    /// rounded up to V − 1)·place_step` values.
    pub(super) input: *const f32,
    /// Values between the inputs of neighbouring rows of results.
    pub(super) row_step: usize,
    /// Values between neighbouring channels; in place they lie side by side, whatever this says.
    pub(super) pitch: usize,
    /// Values between the inputs of neighbouring results: 1 where rows are packed.
    pub(super) place_step: usize,
    pub(super) channels: usize,
    /// Not looked at in place, where there is one tap at offset 0.
    pub(super) segments: &'a [Segment],
    /// For each segment, channel and tap one vector.
    pub(super) weights: *const f32,
    /// One vector.
    pub(super) bias: *const f32,
    /// The first result; results lie `voxel_step` and rows `line_step` values apart and can be written.
    pub(super) output: *mut f32,
    pub(super) voxel_step: usize,
    pub(super) line_step: usize,
    /// Results in a row (width), rows (height, at most `R`) and output channels (at most a vector's lanes) that exist.
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) lanes: usize,
    /// Whether results are written past the caches: whole vectors, aligned, that others read after [`Streamed`].
    pub(super) stream: bool,
}

/// What a thread has written past the caches is there for others to read.
pub(super) struct Streamed;

impl Kernel for Streamed {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        // SAFETY: `Level::run` vouches for the instruction set.
        unsafe { L::streamed() };
    }
}

/// Computes [`Rows`] with register blocks of `R` rows and `V` results.
pub(super) struct RegisterBlocks<'a, const R: usize, const V: usize>(pub(super) &'a Rows<'a>);

impl<const R: usize, const V: usize> Kernel for RegisterBlocks<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for x in (0..self.0.width).step_by(V) {
            // SAFETY: `Rows` vouches for its pointers, and `Level::run` for the instruction set.
            unsafe { register_block::<L, R, V>(self.0, x) };
        }
    }
}

#[inline(always)]
unsafe fn register_block<L: Lanes, const R: usize, const V: usize>(rows: &Rows, x: usize) {
    // SAFETY: see `Rows`.
    unsafe {
        let mut sums = [[L::load(rows.bias); V]; R];
        let mut weights = rows.weights;
        for segment in rows.segments {
            let input = rows.input.add(segment.offset + x);
            match segment.taps {
                3 => slide::<L, R, V, 3>(&mut sums, rows, input, weights),
                2 => slide::<L, R, V, 2>(&mut sums, rows, input, weights),
                _ => slide::<L, R, V, 1>(&mut sums, rows, input, weights),
            }
            weights = weights.add(rows.channels * segment.taps * L::N);
        }
        store(&sums, rows, x);
    }
}

/// As [`RegisterBlocks`] for one tap and inputs as they lie: those of neighbouring results are `place_step` apart,
/// channels side by side.
pub(super) struct RegisterBlocksInPlace<'a, const R: usize, const V: usize>(pub(super) &'a Rows<'a>);

impl<const R: usize, const V: usize> Kernel for RegisterBlocksInPlace<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let rows = self.0;
        for x in (0..rows.width).step_by(V) {
            // SAFETY: `Rows` vouches for its pointers, and `Level::run` for the instruction set.
            unsafe {
                let mut sums = [[L::load(rows.bias); V]; R];
                let input = rows.input.add(x * rows.place_step);
                for channel in 0..rows.channels {
                    let tap = L::load(rows.weights.add(channel * L::N));
                    for r in 0..R {
                        for v in 0..V {
                            let at = r.wrapping_mul(rows.row_step).wrapping_add(v.wrapping_mul(rows.place_step));
                            let value = L::splat(input.wrapping_add(at.wrapping_add(channel)));
                            sums[r][v] = sums[r][v].plus_product(value, tap);
                        }
                    }
                }
                store(&sums, rows, x);
            }
        }
    }
}

/// The block once for each number: the compiler unrolls short loops only, and a register cannot be indexed.
macro_rules! unrolled {
    ($index:ident of $count:literal, $($number:literal)*, $body:expr) => {
        $({
            const $index: usize = $number;
            const { assert!($index < $count) };
            $body
        })*
    };
}

/// Adds a segment of `T` taps to the register block.
#[inline(always)]
#[allow(clippy::absurd_extreme_comparisons)] // `unrolled!` compares its first number, 0, like the others.
unsafe fn slide<L: Lanes, const R: usize, const V: usize, const T: usize>(
    sums: &mut [[L; V]; R],
    rows: &Rows,
    mut input: *const f32,
    mut weights: *const f32,
) {
    // SAFETY: see `Rows`.
    unsafe {
        for _ in 0..rows.channels {
            let mut taps = [L::zero(); T];
            for t in 0..T {
                taps[t] = L::load(weights.add(t * L::N));
            }
            unrolled!(ROW of 4, 0 1 2 3, if ROW < R {
                let row = input.wrapping_add(ROW.wrapping_mul(rows.row_step));
                let sums = &mut sums[ROW];
                unrolled!(PLACE of 18, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17, if PLACE < V + T - 1 {
                    let value = L::splat(row.add(PLACE));
                    // Place p is tap t of result p − t.
                    unrolled!(TAP of 3, 0 1 2, if TAP < T && PLACE >= TAP && PLACE - TAP < V {
                        sums[PLACE - TAP] = sums[PLACE - TAP].plus_product(value, taps[TAP]);
                    });
                });
            });
            input = input.wrapping_add(rows.pitch);
            weights = weights.add(T * L::N);
        }
    }
}

#[inline(always)]
unsafe fn store<L: Lanes, const R: usize, const V: usize>(sums: &[[L; V]; R], rows: &Rows, x: usize) {
    let whole = rows.lanes == L::N;
    // SAFETY: only results that exist are written; see `Rows`.
    unsafe {
        for r in 0..R {
            for v in 0..V {
                if r < rows.height && x + v < rows.width {
                    let to = rows.output.add(r * rows.line_step + (x + v) * rows.voxel_step);
                    if rows.stream {
                        sums[r][v].stream(to);
                    } else if whole {
                        sums[r][v].store(to);
                    } else {
                        let mut part = [0f32; 16];
                        sums[r][v].store(part.as_mut_ptr());
                        std::ptr::copy_nonoverlapping(part.as_ptr(), to, rows.lanes);
                    }
                }
            }
        }
    }
}
