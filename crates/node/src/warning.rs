//! Warnings as JavaScript gets them.

use napi_derive::napi;

/// Something a user should know that did not stop the work.
#[napi(object, object_from_js = false)]
pub struct Warning {
    /// A stable code. Of the file: `NOT_HU`, `NO_ORIENTATION`, `FORMS_DIFFER`, `UNITS`, `COARSE_SPACING`. Of DICOM:
    /// `FILES_SKIPPED`, `SERIES_CHOSEN`, `SINGLE_SLICE`, `DUPLICATE_SLICES`, `MISSING_SLICES`, `UNEVEN_SPACING`,
    /// `TILT_RESAMPLED`, `HU_CLIPPED`. Of the anatomy: `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`,
    /// `SIDES_UNCLEAR`, `ORIENTATION_UNCLEAR`. Of what was asked: `PROMPT_TRUNCATED`, `SMALLER_TILES`, `NOT_TIDIED`. Of a label map: `EMPTY_RESULT`.
    pub code: String,
    /// One sentence: what it is and, where something can be done, what to check.
    pub message: String,
}

impl From<pulmoav_task::Warning> for Warning {
    fn from(warning: pulmoav_task::Warning) -> Self {
        Self { code: warning.code.to_owned(), message: warning.message }
    }
}
