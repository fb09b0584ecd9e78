//! What the operators' `cuda.rs` files share: embedded kernels, checked launches, tensors as device memory.
//!
//! One stream a device: kernels run in the order of their launches, so nothing here waits. Results are f32 or bf16 as
//! the input is; sums are f32. Numbers a channel (bias, gamma, beta) are f32 always.
#![allow(unsafe_code)] // Launches; each rests on the check of its arguments in `launch.rs`.

mod kernels;
mod launch;
mod sums;
mod values;

#[cfg(not(feature = "dynamic-loading"))]
compile_error!("feature `cuda` needs the flag that `npm run build:cuda` sets: --cfg feature=\"dynamic-loading\"");

pub(crate) use kernels::{Kernels, embedded};
pub(crate) use launch::{Kernel, Size, kernel_parameter, whole};
pub(crate) use sums::{COLUMN_THREADS, column_blocks, column_sums, span, sum_parts, widen};
pub(crate) use values::{Operand, Output, Values, given, new_bytes, tensor_of_bytes, with_bytes};
