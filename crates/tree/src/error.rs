//! Why a label map gives no trees.

use pulmoav_task::Cancelled;

/// A failure to measure the trees of a label map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The map has more values than vessels have classes.
    #[error(
        "the label map holds {found} values besides 0; expected vessels, at most {most} classes of them, so name the values \
         to measure"
    )]
    Values {
        /// How many it has.
        found: usize,
        /// How many are measured without being named.
        most: usize,
    },
    /// A scan or a map that goes with the label map has another shape.
    #[error(
        "{what} has shape {got:?}, the label map {expected:?}; expected the same grid, so resample one onto the other"
    )]
    Shape {
        /// "the scan" or "the airways".
        what: &'static str,
        /// Its shape, `[z, y, x]`.
        got: [usize; 3],
        /// The label map's.
        expected: [usize; 3],
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<Cancelled> for TreeError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl TreeError {
    /// The stable code people script against; `CANCELLED` for cancellation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Values { .. } | Self::Shape { .. } => "ERR_GEOMETRY",
            Self::Cancelled => "CANCELLED",
        }
    }
}
