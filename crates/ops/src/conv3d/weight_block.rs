//! The register kernels of the weight gradient.
//!
//! A register block is `C` input channels × some taps along x × one vector of output channels: it stays in registers
//! while the kernel walks over all rows of a block, so the gradient's memory is touched once a block. Where results lie
//! next to each other (stride 1) the three taps of a 3-wide kernel share each input value: it meets the gradients of
//! three neighbouring results, which move through three registers. With eight channels that is 9 loads for 24
//! multiply-adds. Other kernels go tap by tap.
#![allow(unsafe_code)] // Raw loads: bounds checks in the innermost loop would cost more than its arithmetic.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use crate::memory::{Results, extent};
use crate::simd::{Kernel, Lanes};

/// A row of the fine grid and the row of the coarse grid that meets it.
#[derive(Clone, Copy)]
pub(super) struct RowPair<'a> {
    /// `[x, channel]`, from channel 0.
    pub(super) fine: &'a [f32],
    /// `[x, channel]`, from the block's vector.
    pub(super) coarse: &'a [f32],
}

/// What both kernels are told; they check that all rows are long enough before they read them.
pub(super) struct Walk<'a> {
    pub(super) rows: &'a [RowPair<'a>],
    /// The block's first fine channel.
    pub(super) channel: usize,
    /// Values between neighbouring voxels of a fine row and of a coarse row.
    pub(super) fine_step: usize,
    pub(super) coarse_step: usize,
    /// Voxels of a fine row and of a coarse row.
    pub(super) fine_width: usize,
    pub(super) coarse_width: usize,
    pub(super) padding: usize,
    pub(super) gradient: Gradient,
}

/// Where a block's gradient is written.
#[derive(Clone, Copy)]
pub(super) struct Gradient {
    first: *mut f32,
    sizes: [usize; 2],
    steps: [usize; 2],
    lanes: usize,
}

impl Gradient {
    /// A vector of `lanes` values for each of so many fine channels and taps, so many values apart.
    ///
    /// # Safety
    /// Nobody else reads or writes these values before the kernel has returned.
    ///
    /// # Panics
    /// If `results` has fewer values.
    pub(super) unsafe fn new(results: Results, sizes: [usize; 2], steps: [usize; 2], lanes: usize) -> Self {
        let first = results.place(extent([(sizes[0], steps[0]), (sizes[1], steps[1])], lanes));
        Self { first, sizes, steps, lanes }
    }

    /// # Safety
    /// [`Walk::check`] found the channel and the tap, and the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn store<L: Lanes>(&self, channel: usize, tap: usize, sum: L) {
        // SAFETY: `Gradient::new` found room for the vectors of all channels and taps that `Walk::check` lets pass, and
        // its contract gives them to this thread alone.
        unsafe { sum.store(self.first.add(channel * self.steps[0] + tap * self.steps[1])) };
    }
}

impl Walk<'_> {
    /// # Panics
    /// If a kernel of `C` channels and `taps` taps would read or write beyond what there is.
    #[inline(always)]
    fn check<L: Lanes, const C: usize>(&self, taps: usize) {
        let fine = extent([(self.fine_width, self.fine_step)], self.channel.saturating_add(C));
        let coarse = extent([(self.coarse_width, self.coarse_step)], L::N);
        let fits = self.rows.iter().all(|row| row.fine.len() >= fine && row.coarse.len() >= coarse);
        assert!(fits, "a row ends before its last voxel");
        let Gradient { sizes, lanes, .. } = self.gradient;
        assert!(C <= sizes[0] && taps <= sizes[1] && L::N == lanes, "a gradient that is not for this kernel");
    }
}

/// Three taps of stride 1, `C` channels.
pub(super) struct ThreeTaps<'a, const C: usize>(pub(super) &'a Walk<'a>);

/// One tap of any stride, `C` channels.
pub(super) struct OneTap<'a, const C: usize> {
    pub(super) walk: &'a Walk<'a>,
    pub(super) tap: usize,
    pub(super) stride: usize,
}

impl<const C: usize> Kernel for ThreeTaps<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let walk = self.0;
        walk.check::<L, C>(3);
        let (width, coarse_width) = (walk.fine_width, walk.coarse_width);
        // Fine voxel u meets coarse voxel u + padding − tap.
        let whole = width.min(coarse_width.saturating_sub(walk.padding));
        // SAFETY: the check above found `C` values at each of `width` fine voxels and a vector at each coarse one, of
        // which these are at `padding` and the `whole` - 1 behind it, and room for the sums; `Level::run`, below which
        // kernels run, has asserted that the machine has the instruction set.
        unsafe {
            let mut sums = [[L::zero(); 3]; C];
            for row in walk.rows {
                let mut later = [coarse_or_zero::<L>(walk, row, 1), coarse_or_zero(walk, row, 2)];
                let mut fine = row.fine.as_ptr().wrapping_add(walk.channel);
                let mut coarse = row.coarse.as_ptr().wrapping_add(walk.padding * walk.coarse_step);
                for _ in 0..whole {
                    let now = L::load(coarse);
                    add(&mut sums, fine, [now, later[0], later[1]]);
                    later = [now, later[0]];
                    fine = fine.wrapping_add(walk.fine_step);
                    coarse = coarse.wrapping_add(walk.coarse_step);
                }
                for _ in whole..width {
                    add(&mut sums, fine, [L::zero(), later[0], later[1]]);
                    later = [L::zero(), later[0]];
                    fine = fine.wrapping_add(walk.fine_step);
                }
            }
            for c in 0..C {
                for tap in 0..3 {
                    walk.gradient.store(c, tap, sums[c][tap]);
                }
            }
        }
    }
}

/// The coarse voxel that fine voxel 0 meets with tap `tap`, or zero if there is none.
///
/// # Safety
/// `row` is one of a walk that has passed [`Walk::check`], and the machine has the instruction set of `L`.
#[inline(always)]
unsafe fn coarse_or_zero<L: Lanes>(walk: &Walk, row: &RowPair, tap: usize) -> L {
    match walk.padding.checked_sub(tap) {
        // SAFETY: the guard keeps the voxel below the width, for which `Walk::check` found a vector at each voxel.
        Some(v) if v < walk.coarse_width => unsafe { L::load(row.coarse.as_ptr().add(v * walk.coarse_step)) },
        // SAFETY: by this function's contract the machine has the instruction set.
        _ => unsafe { L::zero() },
    }
}

/// # Safety
/// `C` values can be read at `fine`, and the machine has the instruction set of `L`.
#[inline(always)]
unsafe fn add<L: Lanes, const C: usize, const T: usize>(sums: &mut [[L; T]; C], fine: *const f32, coarse: [L; T]) {
    for c in 0..C {
        // SAFETY: by this function's contract the value can be read and the machine has the instruction set.
        unsafe {
            let value = L::splat(fine.add(c));
            for tap in 0..T {
                sums[c][tap] = sums[c][tap].plus_product(value, coarse[tap]);
            }
        }
    }
}

impl<const C: usize> Kernel for OneTap<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { walk, tap, stride } = self;
        walk.check::<L, C>(tap + 1);
        // Coarse voxel v meets fine voxel v·stride + tap − padding, where that exists.
        let first = walk.padding.saturating_sub(tap).div_ceil(stride);
        let end = (walk.fine_width + walk.padding).saturating_sub(tap).div_ceil(stride).min(walk.coarse_width);
        let start =
            (first * stride + tap).wrapping_sub(walk.padding).wrapping_mul(walk.fine_step).wrapping_add(walk.channel);
        let fine_step = stride * walk.fine_step;
        // SAFETY: `first` and `end` keep coarse voxels below the coarse width and the fine ones that they meet within
        // the fine one, where the check above found `C` values and a vector at each voxel, and room for the sums;
        // `Level::run`, below which kernels run, has asserted that the machine has the instruction set.
        unsafe {
            let mut sums = [[L::zero(); 1]; C];
            for row in walk.rows {
                let mut fine = row.fine.as_ptr().wrapping_add(start);
                let mut coarse = row.coarse.as_ptr().wrapping_add(first * walk.coarse_step);
                for _ in first..end {
                    add(&mut sums, fine, [L::load(coarse)]);
                    fine = fine.wrapping_add(fine_step);
                    coarse = coarse.wrapping_add(walk.coarse_step);
                }
            }
            for c in 0..C {
                walk.gradient.store(c, tap, sums[c][0]);
            }
        }
    }
}
