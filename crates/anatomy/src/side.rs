//! How the lungs are numbered.

/// Label of the patient's left lung.
pub const LEFT: u8 = 1;
/// Label of the patient's right lung.
pub const RIGHT: u8 = 2;
