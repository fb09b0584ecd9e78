//! The choice of instruction set at run time, and what is compiled for each.
#![allow(unsafe_code)] // Functions that need an instruction set found at run time.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::lanes::{Lanes, Portable};
#[cfg(target_arch = "x86_64")]
use crate::x86;

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
            // SAFETY: the assertion above: `widest` has detected AVX2 and FMA on this machine.
            Self::Avx2 => unsafe { x86::run_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the assertion above: `widest` has detected AVX-512F, AVX2 and FMA on this machine.
            Self::Avx512 => unsafe { x86::run_avx512(kernel) },
            #[cfg(not(target_arch = "x86_64"))]
            // Never: the assertion above lets none of these pass, and this is what they would compute.
            Self::Avx2 | Self::Avx512 => kernel.run::<Portable>(),
        }
    }
}

/// Runs `body` with every kernel of this process at `level`; for tests, which it lets through one at a time.
///
/// Other tests of the same binary run meanwhile, and see the level change: where kernels round otherwise at another
/// level, a test that compares two runs bit for bit must do so within one call of this.
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
