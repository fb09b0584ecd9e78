//! Voxels and where they are in the body.

pub mod components;
pub mod crop;
pub mod distance;
pub mod error;
pub mod geometry;
pub mod lungs;
pub mod monitor;
pub mod resample;
pub mod volume;

pub use error::VolumeError;
pub use geometry::Orientation;
pub use volume::{Affine, Grid, Mask, Volume};
