//! Structures of the anatomy as JavaScript gets them.

use napi_derive::napi;
use pulmoav_anatomy::Measured;
use pulmoav_segment::Kept;

/// How much of a structure there is in a label map.
#[napi(object, object_from_js = false)]
pub struct MeasuredStructure {
    /// Value in the label map.
    pub value: u8,
    /// `left lung`, `airways`, …
    pub name: String,
    /// Voxels with this value.
    pub voxels: f64,
    /// Their volume in ml.
    pub volume_ml: f64,
}

impl From<Measured> for MeasuredStructure {
    fn from(Measured { structure, voxels, volume_ml }: Measured) -> Self {
        Self { value: structure.value(), name: structure.name().to_owned(), voxels: voxels as f64, volume_ml }
    }
}

impl From<Kept> for MeasuredStructure {
    fn from(Kept { value, structure, voxels, volume_ml }: Kept) -> Self {
        Self { value, name: structure.name().to_owned(), voxels: voxels as f64, volume_ml }
    }
}
