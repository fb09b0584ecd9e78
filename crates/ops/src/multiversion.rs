//! One body, compiled for the portable baseline and for AVX2, chosen at run time.
//!
//! Bodies use plain `a * b + c` (never `mul_add`) and fixed lanes for sums, so both versions give the same bits.

#[cfg(target_arch = "x86_64")]
use crate::simd::Level;

/// Whether the wide version is to run; if so, the machine has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn is_wide() -> bool {
    Level::current() >= Level::Avx2
}

/// Defines a function whose body LLVM vectorises twice: for the baseline and, on x86-64, for AVX2.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code, clippy::inline_always, clippy::ptr_arg, clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn portable($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                /// # Safety
                /// The machine has AVX2 and FMA.
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $ty),*) $(-> $ret)? {
                    portable($($arg),*)
                }
                if $crate::multiversion::is_wide() {
                    // SAFETY: `is_wide` has just said that this machine has avx2 and fma: a level is only ever current
                    // where present.
                    return unsafe { wide($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    };
}
pub(crate) use multiversion;
