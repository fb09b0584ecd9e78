//! Other people's checkpoints of the published family (docs/method.md, Import of published checkpoints): a file in, a
//! plan and its parameters out.
//!
//! The file may be PyTorch's zip or its older stream of pickles, or safetensors. Pickles are walked as data: an opcode
//! or a name that is not on a closed list ends the import, and nothing is ever executed.

mod card;
mod checkpoint;
mod container;
mod error;
mod globals;
pub(crate) mod names;
mod objects;
mod opcodes;
mod tensors;

pub use checkpoint::{ImportReport, ImportRequest, Imported, MappedTensor, UnusedTensor, import, read};
pub use error::ImportError;
