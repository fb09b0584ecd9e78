//! What went right but should be known.

use serde::Serialize;

/// A condition that does not stop the work but may change what its result means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A stable code. Of the file: `NOT_HU`, `NO_ORIENTATION`, `UNITS`, `COARSE_SPACING`; of DICOM what
    /// `docs/dicom.md` lists. Of the anatomy: `NO_LUNGS`,
    /// `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`, `SIDES_UNCLEAR`, `ORIENTATION_UNCLEAR`. Of a label map: `EMPTY_RESULT`,
    /// `CLASSES_UNCLEAR`. Of a card: `PLAIN_LAUNCHES`, `WRONG_KERNEL`.
    pub code: &'static str,
    /// One sentence for people.
    pub message: String,
}

impl Warning {
    /// A warning with one of the stable codes.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Whether it leaves open which side is the left one.
    pub fn doubts_sides(&self) -> bool {
        matches!(self.code, "SIDES_UNCLEAR" | "ORIENTATION_UNCLEAR")
    }
}
