//! Other people's checkpoints: a file in, a plan and its parameters out. One folder a family.
//!
//! The file may be PyTorch's zip or its older stream of pickles, or safetensors. Pickles are walked as data: nothing in
//! them is ever imported, built or called.

mod container;
mod error;
mod facts;
mod globals;
pub mod la_caf;
pub mod nnunet;
mod objects;
mod opcodes;
mod tensors;

pub use error::CheckpointError;
