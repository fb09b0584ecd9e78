//! A chest CT goes in, a label map comes out.
//!
//! prompts → prepare (orient, find the lungs, crop, resample, window) → tiles → network → blend → restore onto the
//! scan's own grid → postprocess → tidy → keep. [`pipeline::segment`] is that walk; each step has its file.
//! [`classes`] is the walk of other people's networks, which answer with classes.

pub mod boundary;
pub mod budget;
mod card;
pub mod classes;
mod doubt;
mod error;
#[cfg(test)]
mod fixture;
pub mod folds;
pub mod forecast;
pub mod keep;
mod on_card;
pub mod pipeline;
pub mod postprocess;
pub mod prepare;
pub mod prompt;
pub mod request;
pub mod restore;
mod room;
mod tidy;
pub mod tiles;
pub mod words;

pub use card::CardMemory;
pub use error::SegmentError;
pub use forecast::{Forecast, foretell};
pub use keep::Kept;
pub use pipeline::{Found, Memory, Seconds, Segmentation, Segmenter, segment};
pub use request::Request;
pub use room::wrong_kernels;
