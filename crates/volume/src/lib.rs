//! Voxels and where they are in the body.

pub mod bits;
pub mod components;
pub mod crop;
pub mod dilation;
pub mod distance;
pub mod error;
pub mod formats;
pub mod geometry;
pub mod hounsfield;
pub mod image;
pub mod label;
pub mod nearest;
mod quaternion;
pub mod resample;
pub mod volume;
pub mod voxels;

pub use error::VolumeError;
pub use geometry::Orientation;
pub use image::{Header, Image, Info};
pub use volume::{Affine, Grid, Mask, Volume};
pub use voxels::{DataType, Voxel, Voxels};
