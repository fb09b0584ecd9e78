//! A chest CT goes in, a label map comes out.

mod error;
pub mod prepare;

pub use error::SegmentError;
