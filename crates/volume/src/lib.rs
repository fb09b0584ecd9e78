//! Voxels and where they are in the body.

pub mod error;
pub mod geometry;
pub mod monitor;
pub mod volume;

pub use error::VolumeError;
pub use geometry::Orientation;
pub use volume::{Affine, Grid, Mask, Volume};
