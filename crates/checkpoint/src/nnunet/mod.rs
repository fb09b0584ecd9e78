//! nnU-Net v2's model folders: `TRAINER__PLANS__CONFIGURATION/` with `plans.json`, `dataset.json` and a checkpoint a
//! fold.
//!
//! Of a checkpoint only the tensors under `network_weights` and plain values are read. Names that are not on the closed
//! list are ignored as data wherever they stand; a tensor made by one is missing.
//!
//! Sources: the files of nnU-Net v2 (Isensee et al., Nature Methods 2021, 18:203–211) as nnunetv2 2.8 and
//! dynamic-network-architectures 0.4 write them.

mod architecture;
mod card;
mod document;
mod error;
mod folder;
mod import;
mod labels;
mod names;
mod open;
mod plans;
mod state;

pub use error::FolderError;
pub use folder::FolderRequest;
pub use import::import;
pub use open::{FoldReport, FolderReport, Inspected, ModelFolder, inspect, open};
