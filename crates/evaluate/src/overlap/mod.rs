//! Scores that are read off counts of voxels.

pub(crate) mod confusion;
pub(crate) mod dice;
pub(crate) mod iou;
pub(crate) mod leakage;
pub(crate) mod precision;
pub(crate) mod recall;
pub(crate) mod swap;
pub(crate) mod volume;
pub(crate) mod voxels;
