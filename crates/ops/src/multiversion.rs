//! One body, compiled for the portable baseline and for AVX2, chosen at run time.
//!
//! Bodies use plain `a * b + c` (never `mul_add`) and fixed lanes for sums, so both versions give the same bits.

/// Whether the wide version may run.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn is_wide() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
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
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $ty),*) $(-> $ret)? {
                    portable($($arg),*)
                }
                if $crate::multiversion::is_wide() {
                    // SAFETY: `is_wide` has just found avx2 and fma on this machine.
                    return unsafe { wide($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    };
}
pub(crate) use multiversion;
