//! Scores of surfaces: of surface elements with their areas, as google-deepmind/surface-distance defines them, and of
//! border voxels, as MONAI and MetricsReloaded do.

pub(crate) mod areas;
pub(crate) mod average;
pub(crate) mod borders;
pub(crate) mod contact;
pub(crate) mod hausdorff;
pub(crate) mod nsd;
pub(crate) mod profile;
pub(crate) mod surfels;
pub(crate) mod voxel_average;
pub(crate) mod voxel_hausdorff;
