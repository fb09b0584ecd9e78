//! Voxels and where they are in the body.

pub mod volume;

pub use volume::{Affine, Grid, Mask, Volume};
