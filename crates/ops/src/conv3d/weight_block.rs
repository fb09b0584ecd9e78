//! The register kernels of the weight gradient.
//!
//! A register block is `C` input channels × some taps along x × one vector of output channels: it stays in registers
//! while the kernel walks over all rows of a block, so the gradient's memory is touched once a block. Where results lie
//! next to each other (stride 1) the three taps of a 3-wide kernel share each input value: it meets the gradients of
//! three neighbouring results, which move through three registers. With eight channels that is 9 loads for 24
//! multiply-adds. Other kernels go tap by tap.
#![allow(unsafe_code)] // Raw loads: bounds checks in the innermost loop would cost more than its arithmetic.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use crate::simd::{Kernel, Lanes};

/// A row of the fine grid and the row of the coarse grid that meets it.
#[derive(Clone, Copy)]
pub(super) struct RowPair {
    /// `[x, channel]`, from the block's first channel.
    pub(super) fine: *const f32,
    /// `[x, channel]`, from the block's vector.
    pub(super) coarse: *const f32,
}

/// What both kernels are told.
///
/// # Safety
/// Whoever builds one makes sure that all voxels of all rows can be read: `C` values on the fine side, a vector on the
/// coarse side.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) rows: &'a [RowPair],
    /// Values between neighbouring voxels of a fine row and of a coarse row.
    pub(super) fine_step: usize,
    pub(super) coarse_step: usize,
    /// Voxels of a fine row and of a coarse row.
    pub(super) fine_width: usize,
    pub(super) coarse_width: usize,
    pub(super) padding: usize,
    /// The gradient of tap 0 and the block's first channel: one vector can be written there, and one for every further
    /// channel and tap.
    pub(super) gradient: *mut f32,
    /// Values between the gradients of neighbouring channels and of neighbouring taps.
    pub(super) channel_step: usize,
    pub(super) tap_step: usize,
}

/// Three taps of stride 1, `C` channels.
pub(super) struct ThreeTaps<'a, const C: usize>(pub(super) Walk<'a>);

/// One tap of any stride, `C` channels.
pub(super) struct OneTap<'a, const C: usize> {
    pub(super) walk: Walk<'a>,
    pub(super) tap: usize,
    pub(super) stride: usize,
}

impl<const C: usize> Kernel for ThreeTaps<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let walk = self.0;
        let (width, coarse_width) = (walk.fine_width, walk.coarse_width);
        // Fine voxel u meets coarse voxel u + padding − tap.
        let whole = width.min(coarse_width.saturating_sub(walk.padding));
        // SAFETY: `Walk` vouches for its pointers, and `Level::run` for the instruction set.
        unsafe {
            let mut sums = [[L::zero(); 3]; C];
            for row in walk.rows {
                let mut later = [coarse_or_zero::<L>(&walk, row, 1), coarse_or_zero(&walk, row, 2)];
                let mut fine = row.fine;
                let mut coarse = row.coarse.wrapping_add(walk.padding * walk.coarse_step);
                for _ in 0..whole {
                    let now = L::load(coarse);
                    add(&mut sums, fine, [now, later[0], later[1]]);
                    later = [now, later[0]];
                    fine = fine.add(walk.fine_step);
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
                    sums[c][tap].store(walk.gradient.add(c * walk.channel_step + tap * walk.tap_step));
                }
            }
        }
    }
}

/// The coarse voxel that fine voxel 0 meets with tap `tap`, or zero if there is none.
#[inline(always)]
unsafe fn coarse_or_zero<L: Lanes>(walk: &Walk, row: &RowPair, tap: usize) -> L {
    match walk.padding.checked_sub(tap) {
        // SAFETY: the voxel exists.
        Some(v) if v < walk.coarse_width => unsafe { L::load(row.coarse.add(v * walk.coarse_step)) },
        // SAFETY: the caller found the instruction set.
        _ => unsafe { L::zero() },
    }
}

#[inline(always)]
unsafe fn add<L: Lanes, const C: usize, const T: usize>(sums: &mut [[L; T]; C], fine: *const f32, coarse: [L; T]) {
    for c in 0..C {
        // SAFETY: `Walk` vouches for `C` values.
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
        // Coarse voxel v meets fine voxel v·stride + tap − padding, where that exists.
        let first = walk.padding.saturating_sub(tap).div_ceil(stride);
        let end = (walk.fine_width + walk.padding).saturating_sub(tap).div_ceil(stride).min(walk.coarse_width);
        let start = (first * stride + tap).wrapping_sub(walk.padding).wrapping_mul(walk.fine_step);
        let fine_step = stride * walk.fine_step;
        // SAFETY: `Walk` vouches for its pointers, and `Level::run` for the instruction set.
        unsafe {
            let mut sums = [[L::zero(); 1]; C];
            for row in walk.rows {
                let mut fine = row.fine.wrapping_add(start);
                let mut coarse = row.coarse.wrapping_add(first * walk.coarse_step);
                for _ in first..end {
                    add(&mut sums, fine, [L::load(coarse)]);
                    fine = fine.wrapping_add(fine_step);
                    coarse = coarse.wrapping_add(walk.coarse_step);
                }
            }
            for c in 0..C {
                sums[c][0].store(walk.gradient.add(c * walk.channel_step + tap * walk.tap_step));
            }
        }
    }
}
