//! Warnings as JavaScript gets them.

use napi_derive::napi;

/// Something a user should know that did not stop the work.
#[napi(object, object_from_js = false)]
pub struct Warning {
    /// A stable code. Of the file: `NOT_HU`, `NO_ORIENTATION`, `FORMS_DIFFER`, `UNITS`, `COARSE_SPACING`. Of DICOM:
    /// `FILES_SKIPPED`, `SERIES_CHOSEN`, `SINGLE_SLICE`, `DUPLICATE_SLICES`, `MISSING_SLICES`, `UNEVEN_SPACING`,
    /// `TILT_RESAMPLED`, `HU_CLIPPED`. Of the anatomy: `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`,
    /// `SIDES_UNCLEAR`, `ORIENTATION_UNCLEAR`. Of what was asked: `PROMPT_TRUNCATED`, `SMALLER_TILES`, `NOT_TIDIED`,
    /// `VALUE_MISSING`. Of a label map: `EMPTY_RESULT`, `CLASSES_UNCLEAR`. Of a card: `PLAIN_LAUNCHES`,
    /// `WRONG_KERNEL`.
    pub code: String,
    /// One sentence: what it is and, where something can be done, what to check.
    pub message: String,
}

impl From<pulmoav_task::Warning> for Warning {
    fn from(warning: pulmoav_task::Warning) -> Self {
        Self { code: warning.code.to_owned(), message: warning.message }
    }
}

/// Values that were asked for, but that no voxel of a label map has.
pub fn missing_values(counts: &[u64; 256], asked: impl IntoIterator<Item = u8>) -> Option<pulmoav_task::Warning> {
    let joined = |values: Vec<u8>| values.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let is_there = |value: u8| counts[usize::from(value)] > 0;
    let missing: Vec<u8> = asked.into_iter().filter(|&value| !is_there(value)).collect();
    let present: Vec<u8> = (1..=255).filter(|&value| is_there(value)).collect();
    (!missing.is_empty()).then(|| {
        let there = if present.is_empty() { "it is empty".to_owned() } else { format!("it has {}", joined(present)) };
        let message = format!("no voxel of the label map has the value {}; {there}", joined(missing));
        pulmoav_task::Warning::new("VALUE_MISSING", message)
    })
}
