//! Skeletons and vessel trees of masks.

pub mod thinning;

pub use thinning::{skeleton, skeleton_of, skeleton_of_bits};
