//! Networks that answer with classes: nnU-Net's models, used as nnU-Net uses them.
//!
//! scan → the network's axes → crop to what is not 0 → normalise → resample → sliding window → labels on the scan's own
//! grid. [`segment_classes`] is that walk; each step has its file. Where nnunetv2 rounds to f16, so does this: the
//! labels are those of its CPU path. [`totalsegmentator`] is TotalSegmentator's walk around two such models.

mod card;
mod error;
mod export;
#[cfg(test)]
mod fixture;
mod fold;
mod forecast;
mod frame;
mod gaussian;
mod memory;
mod network;
mod nonzero;
mod normalise;
#[cfg(test)]
mod parity;
mod prepare;
mod resampling;
mod rounding;
mod run;
mod slide;
mod sums;
pub mod totalsegmentator;
mod windows;
pub mod words;

pub use error::ClassError;
pub use fold::FoldNetwork;
pub use forecast::foretell_classes;
pub use memory::{ClassMemory, predict_classes};
pub use network::{CardNetwork, WindowNetwork};
pub use run::{ClassOutcome, ClassRequest, segment_classes};
