//! Vectors of f32: what every instruction set does, and the plain ones.
#![allow(unsafe_code)] // Raw loads and stores.
#![allow(clippy::inline_always)] // `Kernel` demands it.

/// Most lanes that a vector has.
pub const MAX_LANES: usize = 16;

/// A vector of [`Lanes::N`] values.
///
/// # Safety
/// Who implements it promises what kernels rely upon: [`Lanes::N`] is a power of two and at most [`MAX_LANES`],
/// [`Lanes::SQUARE`] divides [`MAX_LANES`], and the functions read and write the values that they name and no others.
/// Each function may only run where the type's instruction set is present, that is below
/// [`Level::run`](crate::Level::run).
pub unsafe trait Lanes: Copy + 'static {
    /// Lanes: a power of two, at most [`MAX_LANES`].
    const N: usize;

    /// All lanes zero.
    ///
    /// # Safety
    /// The level's instruction set is present.
    unsafe fn zero() -> Self;

    /// All lanes `*from`.
    ///
    /// # Safety
    /// As [`Lanes::zero`]; `from` can be read.
    unsafe fn splat(from: *const f32) -> Self;

    /// `N` values.
    ///
    /// # Safety
    /// As [`Lanes::zero`]; `N` values can be read; no alignment is needed.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes `N` values.
    ///
    /// # Safety
    /// As [`Lanes::zero`]; `N` values can be written; no alignment is needed.
    unsafe fn store(self, to: *mut f32);

    /// Writes `N` values past the caches, for results that are larger than these.
    ///
    /// # Safety
    /// As [`Lanes::store`]; `to` is aligned to the vector, and nobody reads it before this thread has called
    /// [`Lanes::streamed`].
    unsafe fn stream(self, to: *mut f32);

    /// Lets others see what this thread has written by [`Lanes::stream`].
    ///
    /// # Safety
    /// As [`Lanes::zero`].
    unsafe fn streamed();

    /// `self + a · b`, rounded once where the level has a fused instruction.
    ///
    /// # Safety
    /// As [`Lanes::zero`].
    #[must_use]
    unsafe fn plus_product(self, a: Self, b: Self) -> Self;

    /// `self + other`.
    ///
    /// # Safety
    /// As [`Lanes::zero`].
    #[must_use]
    unsafe fn plus(self, other: Self) -> Self;

    /// `self − other`.
    ///
    /// # Safety
    /// As [`Lanes::zero`].
    #[must_use]
    unsafe fn minus(self, other: Self) -> Self;

    /// `self · other`.
    ///
    /// # Safety
    /// As [`Lanes::zero`].
    #[must_use]
    unsafe fn times(self, other: Self) -> Self;

    /// Lane `i` is `from[index[i]]`, chosen from one vector.
    ///
    /// # Safety
    /// As [`Lanes::zero`]; `N` values and `N` indices can be read, and each index is below `N`.
    unsafe fn pick(from: *const f32, index: *const u32) -> Self;

    /// Lane `i` is `from[index[i]]`, chosen from two vectors.
    ///
    /// # Safety
    /// As [`Lanes::zero`]; `2N` values and `N` indices can be read, and each index is below `2N`.
    unsafe fn pick_from_two(from: *const f32, index: *const u32) -> Self;

    /// Lane `i` is `from[index[i]]`, chosen from four vectors.
    ///
    /// # Safety
    /// As [`Lanes::zero`]; `4N` values and `N` indices can be read, and each index is below `4N`.
    unsafe fn pick_from_four(from: *const f32, index: *const u32) -> Self;

    /// Asks the cache for the line of `at`; any address will do.
    ///
    /// # Safety
    /// As [`Lanes::zero`].
    unsafe fn prefetch(at: *const f32);

    /// Side of the square of [`Lanes::transpose_square`].
    const SQUARE: usize;

    /// `to[j · to_step + i] = from[i · from_step + j]` for `i`, `j` below [`Lanes::SQUARE`].
    ///
    /// # Safety
    /// As [`Lanes::zero`]; the values named can be read and written.
    unsafe fn transpose_square(from: *const f32, from_step: usize, to: *mut f32, to_step: usize);
}

/// Four plain lanes.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

// SAFETY: four lanes and squares of four, and the functions read and write what they name; no instruction set is
// needed.
unsafe impl Lanes for Portable {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 4])
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the contract of `Lanes::splat`: `from` can be read.
        Self([unsafe { *from }; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the contract of `Lanes::load`: `N`, which is four, values can be read.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the contract of `Lanes::store`: `N`, which is four, values can be written.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the contract of `Lanes::stream` has that of `Lanes::store` in it.
        unsafe { self.store(to) }
    }

    #[inline(always)]
    unsafe fn streamed() {}

    #[inline(always)]
    unsafe fn plus_product(self, a: Self, b: Self) -> Self {
        let (s, a, b) = (self.0, a.0, b.0);
        Self([s[0] + a[0] * b[0], s[1] + a[1] * b[1], s[2] + a[2] * b[2], s[3] + a[3] * b[3]])
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]])
    }

    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]])
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]])
    }

    #[inline(always)]
    unsafe fn pick(from: *const f32, index: *const u32) -> Self {
        // SAFETY: the contract of `Lanes::pick`: `N` indices can be read, and the values that they name.
        unsafe { Self(index.cast::<[u32; 4]>().read_unaligned().map(|index| *from.add(index as usize))) }
    }

    #[inline(always)]
    unsafe fn pick_from_two(from: *const f32, index: *const u32) -> Self {
        // SAFETY: the contract of `Lanes::pick_from_two`: `N` indices can be read, and the values that they name, which
        // is all that `pick` asks for here.
        unsafe { Self::pick(from, index) }
    }

    #[inline(always)]
    unsafe fn pick_from_four(from: *const f32, index: *const u32) -> Self {
        // SAFETY: the contract of `Lanes::pick_from_four`: `N` indices can be read, and the values that they name,
        // which is all that `pick` asks for here.
        unsafe { Self::pick(from, index) }
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}

    const SQUARE: usize = 4;

    #[inline(always)]
    unsafe fn transpose_square(from: *const f32, from_step: usize, to: *mut f32, to_step: usize) {
        // SAFETY: the contract of `Lanes::transpose_square`: four values of each of four rows can be read and written.
        unsafe {
            let rows = [0, 1, 2, 3].map(|i| Self::load(from.add(i * from_step)).0);
            for j in 0..4 {
                Self(rows.map(|row| row[j])).store(to.add(j * to_step));
            }
        }
    }
}
