//! Vectors of f32 for the hand-tiled kernels, and the choice of instruction set at run time.
//!
//! A kernel is a value that implements [`Kernel`]: its `run` is written once over [`Lanes`] and compiled for every [`Level`].
//! [`Kernel::run`] and everything it calls must be `#[inline(always)]`, since only then does the code land inside the function
//! that has the instruction set switched on.
#![allow(unsafe_code)] // Raw loads and stores, and functions that need an instruction set found at run time.
#![allow(clippy::inline_always)] // See above: correctness of the code's speed rests on it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// An instruction set, from the plainest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every machine of the target has; four lanes that the compiler may map to any vector unit.
    Portable = 1,
    /// x86-64 with AVX2 and FMA: eight lanes.
    Avx2 = 2,
    /// x86-64 with AVX-512F: sixteen lanes.
    Avx512 = 3,
}

/// The forced level (0 = none), see [`with_level`].
static FORCED: AtomicU8 = AtomicU8::new(0);
static FORCING: Mutex<()> = Mutex::new(());

impl Level {
    /// The level that kernels run at: the widest present, unless a test forces another.
    pub fn current() -> Self {
        match FORCED.load(Ordering::Relaxed) {
            1 => Self::Portable,
            2 => Self::Avx2,
            3 => Self::Avx512,
            _ => Self::widest(),
        }
    }

    /// Every level that this machine can run, plainest first.
    pub fn present() -> Vec<Self> {
        [Self::Portable, Self::Avx2, Self::Avx512].into_iter().filter(|&level| level <= Self::widest()).collect()
    }

    /// Lanes of one vector.
    pub fn lanes(self) -> usize {
        match self {
            Self::Portable => 4,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            // The detection macros keep their answer in an atomic.
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return if is_x86_feature_detected!("avx512f") { Self::Avx512 } else { Self::Avx2 };
            }
        }
        Self::Portable
    }

    /// Runs a kernel at this level.
    ///
    /// # Panics
    /// If the machine lacks the level.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        assert!(self <= Self::widest(), "this machine cannot run {self:?} kernels");
        match self {
            Self::Portable => kernel.run::<Portable>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the assertion above found the instruction sets on this machine.
            Self::Avx2 => unsafe { x86::run_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512 => unsafe { x86::run_avx512(kernel) },
            #[cfg(not(target_arch = "x86_64"))]
            // Never: the assertion above lets none of these pass, and this is what they would compute.
            Self::Avx2 | Self::Avx512 => kernel.run::<Portable>(),
        }
    }
}

/// Runs `body` with every kernel of this process at `level`; for tests, which it lets through one at a time.
///
/// # Panics
/// If the machine lacks the level.
pub fn with_level<T>(level: Level, body: impl FnOnce() -> T) -> T {
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            FORCED.store(0, Ordering::Relaxed);
        }
    }
    assert!(level <= Level::widest(), "this machine cannot run {level:?} kernels");
    let _one_at_a_time = FORCING.lock().unwrap_or_else(PoisonError::into_inner);
    let _release = Release;
    FORCED.store(level as u8, Ordering::Relaxed);
    body()
}

/// A piece of work that is compiled once a level.
pub trait Kernel {
    /// What the work yields.
    type Output;

    /// The work; `#[inline(always)]`, like everything below it.
    fn run<L: Lanes>(self) -> Self::Output;
}

/// A vector of [`Lanes::N`] values.
///
/// # Safety
/// The functions may only run where their instruction set is present, that is below [`Level::run`].
pub unsafe trait Lanes: Copy + 'static {
    /// Lanes.
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
pub struct Portable([f32; 4]);

// SAFETY: no instruction set is needed.
unsafe impl Lanes for Portable {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 4])
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the caller lets `from` be read.
        Self([unsafe { *from }; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller lets four values be read.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller lets four values be written.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

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
    unsafe fn prefetch(_: *const f32) {}

    const SQUARE: usize = 4;

    #[inline(always)]
    unsafe fn transpose_square(from: *const f32, from_step: usize, to: *mut f32, to_step: usize) {
        // SAFETY: the caller lets these values be read and written.
        unsafe {
            let rows = [0, 1, 2, 3].map(|i| Self::load(from.add(i * from_step)).0);
            for j in 0..4 {
                Self(rows.map(|row| row[j])).store(to.add(j * to_step));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_sub_ps,
        _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_storeu_ps, _mm512_sub_ps,
    };

    use super::{Kernel, Lanes};

    /// # Safety
    /// The machine has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx2>()
    }

    /// # Safety
    /// The machine has AVX-512F, AVX2 and FMA.
    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx512>()
    }

    /// Eight lanes.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(__m256);

    /// Sixteen lanes.
    #[derive(Clone, Copy)]
    pub(super) struct Avx512(__m512);

    /// Three rounds of pairwise exchange: neighbours, pairs, halves.
    ///
    /// # Safety
    /// AVX2 is present; 8 rows of 8 values can be read and written.
    #[inline(always)]
    unsafe fn transpose_8x8(from: *const f32, from_step: usize, to: *mut f32, to_step: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut rows = [_mm256_setzero_ps(); 8];
            for i in 0..8 {
                rows[i] = _mm256_loadu_ps(from.add(i * from_step));
            }
            let mut pairs = [_mm256_setzero_ps(); 8];
            for i in 0..4 {
                pairs[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                pairs[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            let mut quads = [_mm256_setzero_ps(); 8];
            for i in 0..2 {
                for j in 0..2 {
                    quads[4 * i + 2 * j] = _mm256_shuffle_ps::<0x44>(pairs[4 * i + j], pairs[4 * i + 2 + j]);
                    quads[4 * i + 2 * j + 1] = _mm256_shuffle_ps::<0xEE>(pairs[4 * i + j], pairs[4 * i + 2 + j]);
                }
            }
            for j in 0..4 {
                _mm256_storeu_ps(to.add(j * to_step), _mm256_permute2f128_ps::<0x20>(quads[j], quads[4 + j]));
                _mm256_storeu_ps(to.add((4 + j) * to_step), _mm256_permute2f128_ps::<0x31>(quads[j], quads[4 + j]));
            }
        }
    }

    macro_rules! lanes {
        ($name:ident, $n:literal, $zero:ident, $set1:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $sub:ident) => {
            // SAFETY: only `run_avx2` and `run_avx512` name the types, and they need the instruction sets.
            unsafe impl Lanes for $name {
                const N: usize = $n;

                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: the caller found the instruction set.
                    Self(unsafe { $zero() })
                }

                #[inline(always)]
                unsafe fn splat(from: *const f32) -> Self {
                    // SAFETY: as above, and the caller lets `from` be read.
                    Self(unsafe { $set1(*from) })
                }

                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: as above, and the caller lets `N` values be read.
                    Self(unsafe { $load(from) })
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: as above, and the caller lets `N` values be written.
                    unsafe { $store(to, self.0) }
                }

                #[inline(always)]
                unsafe fn plus_product(self, a: Self, b: Self) -> Self {
                    // SAFETY: the caller found the instruction set.
                    Self(unsafe { $fma(a.0, b.0, self.0) })
                }

                #[inline(always)]
                unsafe fn plus(self, other: Self) -> Self {
                    // SAFETY: as above.
                    Self(unsafe { $add(self.0, other.0) })
                }

                #[inline(always)]
                unsafe fn minus(self, other: Self) -> Self {
                    // SAFETY: as above.
                    Self(unsafe { $sub(self.0, other.0) })
                }

                #[inline(always)]
                unsafe fn prefetch(at: *const f32) {
                    // SAFETY: a prefetch of any address changes nothing.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
                }

                const SQUARE: usize = 8;

                #[inline(always)]
                unsafe fn transpose_square(from: *const f32, from_step: usize, to: *mut f32, to_step: usize) {
                    // SAFETY: the caller found the instruction set and lets the values be read and written.
                    unsafe { transpose_8x8(from, from_step, to, to_step) }
                }
            }
        };
    }
    lanes!(
        Avx2,
        8,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_sub_ps
    );
    lanes!(
        Avx512,
        16,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_sub_ps
    );
}
