//! The lungs' sides: how they are numbered, and when there is none.

/// Label of the patient's left lung.
pub const LEFT: u8 = 1;
/// Label of the patient's right lung.
pub const RIGHT: u8 = 2;

/// A lung smaller than this is none.
pub const MIN_LUNG_ML: f64 = 100.0;

/// How many voxels have this side.
pub(crate) fn count_of(sides: &[u8], side: u8) -> usize {
    sides.iter().map(|&v| usize::from(v == side)).sum()
}
