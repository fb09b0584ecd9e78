//! The register kernel of both directions.
//!
//! A register block is `R` rows × `V` neighbouring results × one vector of output channels, held in `R·V` registers
//! from the bias to the store. Inputs come as rows that lie channel by channel (`pack.rs`), so that neighbouring voxels
//! are neighbours in memory: one input value is spread over a vector once and multiplied with up to three neighbouring
//! taps, adding to three neighbouring results. With sixteen results and three taps that is 21 loads for 48
//! multiply-adds, so the multiply-add units are the limit and not the loads.
#![allow(unsafe_code)] // Raw loads: bounds checks in the innermost loop would cost more than its arithmetic.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use crate::memory::{Results, extent};
use crate::simd::{Kernel, Lanes, MAX_LANES};

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

/// The segments of one class, and what they touch.
pub(super) struct Segments {
    list: Vec<Segment>,
    /// Taps of all segments.
    taps: usize,
    /// Values from the row's start to the last tap of the first result, channel 0.
    reach: usize,
}

impl Segments {
    /// # Panics
    /// If a segment has no taps or too many.
    pub(super) fn new(list: Vec<Segment>) -> Self {
        assert!(list.iter().all(|segment| (1..=MAX_TAPS).contains(&segment.taps)), "a segment has 1 to 3 taps");
        let taps = list.iter().map(|segment| segment.taps).sum();
        let reach = list.iter().map(|segment| segment.offset + segment.taps).max().unwrap_or(0);
        Self { list, taps, reach }
    }
}

/// Some rows of results of one class and one vector of output channels; kernels check that inputs, weights and bias are
/// long enough before they read them.
pub(super) struct Rows<'a> {
    /// From channel 0 of the first row's inputs on.
    pub(super) input: &'a [f32],
    /// Values between the inputs of neighbouring rows of results.
    pub(super) row_step: usize,
    /// Values between neighbouring channels; in place they lie side by side, whatever this says.
    pub(super) pitch: usize,
    /// Values between the inputs of neighbouring results in place; those of packed rows lie side by side.
    pub(super) place_step: usize,
    pub(super) channels: usize,
    /// Not looked at in place, where there is one tap at offset 0.
    pub(super) segments: &'a Segments,
    /// For each segment, channel and tap one vector.
    pub(super) weights: &'a [f32],
    /// One vector.
    pub(super) bias: &'a [f32],
    pub(super) target: Target,
}

/// Where results are written.
pub(super) struct Target {
    first: *mut f32,
    line_step: usize,
    voxel_step: usize,
    height: usize,
    width: usize,
    lanes: usize,
    stream: bool,
}

impl Target {
    /// `height` rows of `width` results of `lanes` output channels, `line_step` and `voxel_step` values apart. With
    /// `stream` whole vectors are written past the caches, for others to read after [`Streamed`].
    ///
    /// # Safety
    /// Nobody else reads or writes these results before the kernel has returned, or with `stream` before this thread
    /// has run [`Streamed`].
    ///
    /// # Panics
    /// If `results` has fewer values, or with `stream` one that is not aligned to whole vectors.
    #[inline(always)]
    pub(super) unsafe fn new(
        results: Results,
        [line_step, voxel_step]: [usize; 2],
        [height, width]: [usize; 2],
        lanes: usize,
        stream: bool,
    ) -> Self {
        let first = results.place(extent([(height, line_step), (width, voxel_step)], lanes));
        let bytes = lanes * size_of::<f32>();
        let aligned = || first.addr().is_multiple_of(bytes) && (line_step | voxel_step).is_multiple_of(lanes);
        assert!(!stream || lanes.is_power_of_two() && aligned(), "results to stream are not aligned");
        Self { first, line_step, voxel_step, height, width, lanes, stream }
    }
}

impl Rows<'_> {
    /// # Panics
    /// If a kernel of `R` rows and `V` results would read beyond what there is: for each result, `place_step` values
    /// apart, and each channel, `channel_step` apart, `taps` of the `reach` values from there on.
    #[inline(always)]
    fn check<L: Lanes, const R: usize, const V: usize>(
        &self,
        [place_step, channel_step]: [usize; 2],
        taps: usize,
        reach: usize,
    ) {
        let Target { height, width, lanes, stream, .. } = self.target;
        const { assert!(L::N <= MAX_LANES) };
        let axes = [(R, self.row_step), (self.channels, channel_step), (width.next_multiple_of(V), place_step)];
        assert!(taps == 0 || self.input.len() >= extent(axes, reach), "the inputs end before the last tap");
        assert!(self.weights.len() >= extent([(taps, self.channels * L::N)], self.channels * L::N), "too few weights");
        let fits = self.channels > 0 && height <= R && lanes <= L::N;
        assert!(fits && self.bias.len() >= L::N, "rows that are not for this kernel");
        assert!(!stream || lanes == L::N, "part of a vector cannot be streamed");
    }
}

/// What a thread has written past the caches is there for others to read.
pub(super) struct Streamed;

impl Kernel for Streamed {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        // SAFETY: kernels are run by `Level::run`, which has asserted that the machine has the instruction set.
        unsafe { L::streamed() };
    }
}

/// Computes [`Rows`] with register blocks of `R` rows and `V` results.
pub(super) struct RegisterBlocks<'a, const R: usize, const V: usize>(pub(super) &'a Rows<'a>);

impl<const R: usize, const V: usize> Kernel for RegisterBlocks<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let rows = self.0;
        rows.check::<L, R, V>([1, rows.pitch], rows.segments.taps, rows.segments.reach);
        for x in (0..rows.target.width).step_by(V) {
            // SAFETY: the check above and x, which is less than the width; `Level::run`, which runs kernels, has
            // asserted that the machine has the instruction set.
            unsafe { register_block::<L, R, V>(rows, x) };
        }
    }
}

/// # Safety
/// `rows` has passed [`Rows::check`] for all its segments, `x` is a result of its rows and a multiple of `V`, and the
/// machine has the instruction set of `L`.
#[inline(always)]
unsafe fn register_block<L: Lanes, const R: usize, const V: usize>(rows: &Rows, x: usize) {
    // SAFETY: `Rows::check` found a vector of bias, all segments' weights and inputs for the width rounded up to `V`;
    // `Segments::new` found the numbers of taps to be those of the arms.
    unsafe {
        let mut sums = [[L::load(rows.bias.as_ptr()); V]; R];
        let mut weights = rows.weights.as_ptr();
        for segment in &rows.segments.list {
            let input = rows.input.as_ptr().add(segment.offset + x);
            match segment.taps {
                3 => slide::<L, R, V, 3>(&mut sums, rows, input, weights),
                2 => slide::<L, R, V, 2>(&mut sums, rows, input, weights),
                _ => slide::<L, R, V, 1>(&mut sums, rows, input, weights),
            }
            weights = weights.add(rows.channels * segment.taps * L::N);
        }
        store(&sums, &rows.target, x);
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
        rows.check::<L, R, V>([rows.place_step, 1], 1, 1);
        for x in (0..rows.target.width).step_by(V) {
            // SAFETY: the check above found a vector of bias, one of weights for each channel, and inputs for `R` rows
            // and the width rounded up to `V`; `Level::run`, which runs kernels, has asserted that the machine has the
            // instruction set.
            unsafe {
                let mut sums = [[L::load(rows.bias.as_ptr()); V]; R];
                let input = rows.input.as_ptr().add(x * rows.place_step);
                for channel in 0..rows.channels {
                    let tap = L::load(rows.weights.as_ptr().add(channel * L::N));
                    for r in 0..R {
                        for v in 0..V {
                            let at = r.wrapping_mul(rows.row_step).wrapping_add(v.wrapping_mul(rows.place_step));
                            let value = L::splat(input.wrapping_add(at.wrapping_add(channel)));
                            sums[r][v] = sums[r][v].plus_product(value, tap);
                        }
                    }
                }
                store(&sums, &rows.target, x);
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
///
/// # Safety
/// `rows` has passed [`Rows::check`]; `input` is where a segment of `T` taps starts for a result at a multiple of `V`,
/// `weights` where its weights start; the machine has the instruction set of `L`.
#[inline(always)]
#[allow(clippy::absurd_extreme_comparisons)] // `unrolled!` compares its first number, 0, like the others.
unsafe fn slide<L: Lanes, const R: usize, const V: usize, const T: usize>(
    sums: &mut [[L; V]; R],
    rows: &Rows,
    mut input: *const f32,
    mut weights: *const f32,
) {
    // SAFETY: `Rows::check` found `T` vectors of weights for each channel, and for each channel and row the inputs of
    // the segment's `T` taps for `V` results from any multiple of `V` on.
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

/// # Safety
/// `target` is that of rows that have passed [`Rows::check`], and the machine has the instruction set of `L`.
#[inline(always)]
unsafe fn store<L: Lanes, const R: usize, const V: usize>(sums: &[[L; V]; R], target: &Target, x: usize) {
    let whole = target.lanes == L::N;
    // SAFETY: `Target::new` found room for `lanes` values of every row below the height and result below the width, its
    // contract gives them to this thread alone, and it found those to stream aligned. `Rows::check` found that `lanes`
    // are a vector where one is streamed, and at most one elsewhere, which `MAX_LANES` values have room for.
    unsafe {
        for r in 0..R {
            for v in 0..V {
                if r < target.height && x + v < target.width {
                    let to = target.first.add(r * target.line_step + (x + v) * target.voxel_step);
                    if target.stream {
                        sums[r][v].stream(to);
                    } else if whole {
                        sums[r][v].store(to);
                    } else {
                        let mut part = [0f32; MAX_LANES];
                        sums[r][v].store(part.as_mut_ptr());
                        std::ptr::copy_nonoverlapping(part.as_ptr(), to, target.lanes);
                    }
                }
            }
        }
    }
}
