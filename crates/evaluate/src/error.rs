//! Why two label maps cannot be compared.

use pulmoav_task::Cancelled;

/// A failure to compare two label maps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The grids differ in shape.
    #[error(
        "{what} has shape {got:?}, the reference {expected:?}, and its corner beside voxel {corner:?} lies \
         {distance_mm:.3} mm away; expected the same grid, so resample one onto the other (--resample)"
    )]
    Shape {
        /// "the prediction" or the mask's name.
        what: &'static str,
        /// Its shape, `[z, y, x]`.
        got: [usize; 3],
        /// The reference's shape.
        expected: [usize; 3],
        /// The reference's voxel, `[z, y, x]`, at the corner that is furthest off.
        corner: [usize; 3],
        /// How far that is, in the affine's unit.
        distance_mm: f64,
    },
    /// The grids have one shape but lie elsewhere.
    #[error(
        "{what} lies up to {distance_mm:.3} mm away from the reference, most at voxel {corner:?}; expected the same \
         grid, so resample one onto the other (--resample)"
    )]
    Place {
        /// "the prediction" or the mask's name.
        what: &'static str,
        /// The voxel, `[z, y, x]`, at the corner that is furthest off.
        corner: [usize; 3],
        /// How far that is, in the affine's unit.
        distance_mm: f64,
    },
    /// A map cannot be resampled.
    #[error("a label map's affine has no three directions; expected one that can be inverted to resample it")]
    Flat,
    /// A voxel holds a value that no target has.
    #[error("{what} holds label {label}; expected {expected}")]
    Label {
        /// "the prediction", "the reference" or "the map of lungs".
        what: &'static str,
        /// The value.
        label: u8,
        /// Names and values of the targets.
        expected: String,
    },
    /// The trees of a label map could not be measured.
    #[error(transparent)]
    Tree(pulmoav_tree::TreeError),
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
            Self::Shape { .. } | Self::Place { .. } | Self::Flat | Self::Label { .. } => "ERR_GEOMETRY",
            Self::Tree(error) => error.code(),
            Self::Cancelled => "CANCELLED",
        }
    }
}
