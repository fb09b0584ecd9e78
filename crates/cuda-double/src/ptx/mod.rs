//! PTX on the CPU. It is strict where a card is silent: an access outside of an allocation, one that is not aligned, a
//! race in shared memory, a lane that a shuffle waits for in vain, each ends the launch with words that say where.
//! Not seen are races between blocks in global memory, races inside a warp, and fences of memory that are missing.

#![allow(clippy::inline_always, reason = "what runs for each lane: a call would cost more than it does")]

mod arithmetic;
mod atomics;
mod bits;
mod block;
mod compare;
mod convert;
mod decode;
mod fault;
mod group;
mod kernel;
mod launch;
mod map;
mod matrix;
mod memory;
mod module;
mod names;
mod run;
mod source;
#[cfg(test)]
mod tests;
mod together;
mod value;

pub(crate) use block::{Copies, Launch, Order};
pub(crate) use kernel::Kernel;
pub(crate) use launch::launch;
pub(crate) use module::Module;
