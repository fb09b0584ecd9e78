//! Vectors of f32 for hand-written kernels, the choice of instruction set at run time, and the safe kernels that others
//! build upon.
//!
//! A kernel is a value that implements [`Kernel`]: its `run` is written once over [`Lanes`] and compiled for every
//! [`Level`]. [`Kernel::run`] and everything it calls must be `#[inline(always)]`, since only then does the code land
//! inside the function that has the instruction set switched on. A `run` of plain loops that leaves [`Lanes`] alone
//! needs no `unsafe`: the compiler makes vectors of the level's width of them.

mod combine;
mod lanes;
mod level;
mod taps;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use combine::combine;
pub use lanes::{Lanes, MAX_LANES};
pub use level::{Kernel, Level, with_level};
pub use taps::Taps;
