//! Why two label maps cannot be compared.

use pulmoav_task::Cancelled;

/// A failure to compare two label maps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The grids differ in shape.
    #[error(
        "{what} has shape {got:?}, the reference {expected:?}; expected the same grid, so resample one onto the other"
    )]
    Shape {
        /// "the prediction" or the mask's name.
        what: &'static str,
        /// Its shape, `[z, y, x]`.
        got: [usize; 3],
        /// The reference's shape.
        expected: [usize; 3],
    },
    /// The grids have one shape but lie elsewhere.
    #[error(
        "{what} lies up to {distance_mm:.3} mm away from the reference; expected the same grid, so resample one onto the other"
    )]
    Place {
        /// "the prediction" or the mask's name.
        what: &'static str,
        /// Largest distance between corresponding corners, in the affine's unit.
        distance_mm: f64,
    },
    /// A voxel holds a value that no target has.
    #[error("{what} holds label {label}, which is no target's; expected {expected}")]
    Label {
        /// "the prediction" or "the reference".
        what: &'static str,
        /// The value.
        label: u8,
        /// Names and values of the targets.
        expected: String,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<Cancelled> for EvaluateError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl EvaluateError {
    /// The stable code people script against; `CANCELLED` for cancellation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape { .. } | Self::Place { .. } | Self::Label { .. } => "ERR_GEOMETRY",
            Self::Cancelled => "CANCELLED",
        }
    }
}
