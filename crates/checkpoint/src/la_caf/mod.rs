//! Checkpoints of the published family (docs/method.md, Import of published checkpoints), in and out.
//!
//! An opcode or a name that is not on a closed list ends the import.

mod card;
mod checkpoint;
mod error;
mod export;
mod names;

pub use checkpoint::{ImportReport, ImportRequest, Imported, MappedTensor, UnusedTensor, import, read};
pub use error::ImportError;
pub use export::{ExportReport, export};
