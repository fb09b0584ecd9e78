//! A chest CT goes in, a label map comes out.
//!
//! prompts → prepare (orient, find the lungs, crop, resample, window) → tiles → network → blend → restore onto the
//! scan's own grid → tidy → keep. [`journey::segment`] is that walk; each step has its file.

pub mod budget;
pub mod clock;
mod error;
#[cfg(test)]
mod fixture;
pub mod journey;
pub mod keep;
pub mod prepare;
pub mod prompt;
pub mod restore;
pub mod tidy;
pub mod tiles;
pub mod walls;
pub mod words;

pub use error::SegmentError;
pub use journey::{Found, Memory, Request, Seconds, Segmentation, Segmenter, segment};
pub use keep::Kept;
