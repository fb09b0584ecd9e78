//! DICOM segmentations (SEG): label maps that refer to the series they were made of. Binary, one segment a value.
//!
//! `source` takes from a series what its segmentation repeats, `frames` decides which slices are written, `write` puts
//! the data set together, and `read` reads ours and those of others. Source: DICOM PS3.3, A.51 and C.8.20.

mod colour;
mod frames;
mod identity;
mod read;
mod source;
mod write;

pub(in crate::formats) use read::{Opened, open};
pub use source::SourceSeries;
pub(in crate::formats) use write::Plan;

/// Segmentation storage.
const SOP_CLASS: &str = "1.2.840.10008.5.1.4.1.1.66.4";
/// Who uses the private group.
const CREATOR: &str = "pulmoav";
