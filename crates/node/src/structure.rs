//! Structures of the anatomy as JavaScript gets them.

use pulmoav_anatomy::Measured;
use pulmoav_segment::Kept;
use serde::Serialize;

/// How much of a structure there is in a label map.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasuredStructure {
    value: u8,
    name: &'static str,
    voxels: u64,
    volume_ml: f64,
}

impl From<Measured> for MeasuredStructure {
    fn from(Measured { structure, voxels, volume_ml }: Measured) -> Self {
        Self { value: structure.value(), name: structure.name(), voxels, volume_ml }
    }
}

impl From<Kept> for MeasuredStructure {
    fn from(Kept { value, structure, voxels, volume_ml }: Kept) -> Self {
        Self { value, name: structure.name(), voxels, volume_ml }
    }
}
