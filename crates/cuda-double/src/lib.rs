//! A stand-in for the CUDA driver and the libraries that candle loads with it, for machines without a GPU. Kernels run on
//! the CPU: PTX is interpreted, and cubins run what the host's compiler made of the same sources. One library has the
//! names of them all; links to it stand in for each (`scripts/cuda/double.mjs`). `settings` lists what can be asked of it.
#![cfg(unix)]

mod blas;
mod counts;
mod cudnn;
mod driver;
mod host;
mod nccl;
mod ptx;
mod rand;
mod settings;
