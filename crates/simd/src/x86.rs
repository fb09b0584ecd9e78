//! The vectors of x86-64, and the functions that have their instruction sets switched on.
#![allow(unsafe_code)] // Intrinsics, raw loads and stores.
#![allow(clippy::inline_always)] // `Kernel` demands it.

use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm_sfence, _mm256_add_ps, _mm256_blendv_ps,
    _mm256_castsi256_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_mul_ps, _mm256_permute2f128_ps,
    _mm256_permutevar8x32_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_slli_epi32,
    _mm256_storeu_ps, _mm256_stream_ps, _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_blend_ps, _mm512_mul_ps, _mm512_permutex2var_ps,
    _mm512_permutexvar_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps, _mm512_stream_ps,
    _mm512_sub_ps, _mm512_test_epi32_mask,
};

use crate::lanes::Lanes;
use crate::level::Kernel;

/// # Safety
/// The machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

/// # Safety
/// The machine has AVX-512F, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(crate) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

/// Eight lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

/// Three rounds of pairwise exchange: neighbours, pairs, halves.
///
/// # Safety
/// AVX2 is present; 8 rows of 8 values can be read and written.
#[inline(always)]
unsafe fn transpose_8x8(from: *const f32, from_step: usize, to: *mut f32, to_step: usize) {
    // SAFETY: by this function's contract AVX2 is present and the rows can be read and written.
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

/// # Safety
/// AVX2 is present; 8 values can be read.
#[inline(always)]
unsafe fn pick_8_of_8(from: *const f32, index: __m256i) -> __m256 {
    // SAFETY: by this function's contract AVX2 is present and the values can be read.
    unsafe { _mm256_permutevar8x32_ps(_mm256_loadu_ps(from), index) }
}

/// # Safety
/// AVX2 is present; 16 values can be read.
#[inline(always)]
unsafe fn pick_8_of_16(from: *const f32, index: __m256i) -> __m256 {
    // SAFETY: by this function's contract AVX2 is present and the values can be read.
    unsafe {
        // The permutation looks at an index's three lowest bits, the choice between two at a lane's highest.
        let (low, high) = (pick_8_of_8(from, index), pick_8_of_8(from.add(8), index));
        _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index)))
    }
}

/// # Safety
/// AVX2 is present; 32 values can be read.
#[inline(always)]
unsafe fn pick_8_of_32(from: *const f32, index: __m256i) -> __m256 {
    // SAFETY: by this function's contract AVX2 is present and the values can be read.
    unsafe {
        let (low, high) = (pick_8_of_16(from, index), pick_8_of_16(from.add(16), index));
        _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<27>(index)))
    }
}

/// # Safety
/// AVX-512F is present; 16 values can be read.
#[inline(always)]
unsafe fn pick_16_of_16(from: *const f32, index: __m512i) -> __m512 {
    // SAFETY: by this function's contract AVX-512F is present and the values can be read.
    unsafe { _mm512_permutexvar_ps(index, _mm512_loadu_ps(from)) }
}

/// # Safety
/// AVX-512F is present; 32 values can be read.
#[inline(always)]
unsafe fn pick_16_of_32(from: *const f32, index: __m512i) -> __m512 {
    // SAFETY: by this function's contract AVX-512F is present and the values can be read.
    unsafe { _mm512_permutex2var_ps(_mm512_loadu_ps(from), index, _mm512_loadu_ps(from.add(16))) }
}

/// # Safety
/// AVX-512F is present; 64 values can be read.
#[inline(always)]
unsafe fn pick_16_of_64(from: *const f32, index: __m512i) -> __m512 {
    // SAFETY: by this function's contract AVX-512F is present and the values can be read.
    unsafe {
        // The permutation looks at an index's five lowest bits.
        let (low, high) = (pick_16_of_32(from, index), pick_16_of_32(from.add(32), index));
        _mm512_mask_blend_ps(_mm512_test_epi32_mask(index, _mm512_set1_epi32(32)), low, high)
    }
}

macro_rules! lanes {
    (
        $name:ident, $n:literal, $zero:ident, $set1:ident, $load:ident, $store:ident, $stream:ident, $fma:ident, $add:ident, $sub:ident, $mul:ident,
        $load_index:ident, $pick:ident, $pick_from_two:ident, $pick_from_four:ident
    ) => {
        // SAFETY: the lanes are those of the type, squares are of eight, and the functions read and write what they
        // name. Only `run_avx2` and `run_avx512` name the types, and they need the instruction sets.
        unsafe impl Lanes for $name {
            const N: usize = $n;

            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: the contract of `Lanes::zero`: the instruction set is present.
                Self(unsafe { $zero() })
            }

            #[inline(always)]
            unsafe fn splat(from: *const f32) -> Self {
                // SAFETY: the contract of `Lanes::splat`: the instruction set is present and `from` can be read.
                Self(unsafe { $set1(*from) })
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: the contract of `Lanes::load`: the instruction set is present and `N` values can be read.
                Self(unsafe { $load(from) })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: the contract of `Lanes::store`: the instruction set is present and `N` values can be written.
                unsafe { $store(to, self.0) }
            }

            #[inline(always)]
            unsafe fn stream(self, to: *mut f32) {
                // SAFETY: the contract of `Lanes::stream`: the instruction set is present, `N` values can be written,
                // and their place is aligned.
                unsafe { $stream(to.cast(), self.0) }
            }

            #[inline(always)]
            unsafe fn streamed() {
                // SAFETY: every x86-64 machine has the instruction.
                unsafe { _mm_sfence() }
            }

            #[inline(always)]
            unsafe fn plus_product(self, a: Self, b: Self) -> Self {
                // SAFETY: the contract of `Lanes::plus_product`: the instruction set is present.
                Self(unsafe { $fma(a.0, b.0, self.0) })
            }

            #[inline(always)]
            unsafe fn plus(self, other: Self) -> Self {
                // SAFETY: the contract of `Lanes::plus`: the instruction set is present.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn minus(self, other: Self) -> Self {
                // SAFETY: the contract of `Lanes::minus`: the instruction set is present.
                Self(unsafe { $sub(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn times(self, other: Self) -> Self {
                // SAFETY: the contract of `Lanes::times`: the instruction set is present.
                Self(unsafe { $mul(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn pick(from: *const f32, index: *const u32) -> Self {
                // SAFETY: the contract of `Lanes::pick`: the instruction set is present, and values and indices can be
                // read.
                Self(unsafe { $pick(from, $load_index(index.cast())) })
            }

            #[inline(always)]
            unsafe fn pick_from_two(from: *const f32, index: *const u32) -> Self {
                // SAFETY: the contract of `Lanes::pick_from_two`: the instruction set is present, and values and
                // indices can be read.
                Self(unsafe { $pick_from_two(from, $load_index(index.cast())) })
            }

            #[inline(always)]
            unsafe fn pick_from_four(from: *const f32, index: *const u32) -> Self {
                // SAFETY: the contract of `Lanes::pick_from_four`: the instruction set is present, and values and
                // indices can be read.
                Self(unsafe { $pick_from_four(from, $load_index(index.cast())) })
            }

            #[inline(always)]
            unsafe fn prefetch(at: *const f32) {
                // SAFETY: a prefetch of any address changes nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
            }

            const SQUARE: usize = 8;

            #[inline(always)]
            unsafe fn transpose_square(from: *const f32, from_step: usize, to: *mut f32, to_step: usize) {
                // SAFETY: the contract of `Lanes::transpose_square`: the instruction set is present, and the squares
                // can be read and written.
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
    _mm256_stream_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_loadu_si256,
    pick_8_of_8,
    pick_8_of_16,
    pick_8_of_32
);
lanes!(
    Avx512,
    16,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_stream_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_loadu_si512,
    pick_16_of_16,
    pick_16_of_32,
    pick_16_of_64
);
