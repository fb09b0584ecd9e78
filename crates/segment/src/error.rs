//! What can go wrong while a scan is segmented.

use pulmoav_model::ModelError;
use pulmoav_ops::device::is_out_of_memory;
use pulmoav_task::Cancelled;
use pulmoav_volume::VolumeError;

use crate::classes::ClassError;

/// Why there is no label map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The scan's geometry cannot be used.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The scan holds no voxel, or its data do not match its shape.
    #[error("the scan has shape {shape:?} and {values} values; expected at least one voxel and one value a voxel")]
    Shape {
        /// `[z, y, x]`.
        shape: [usize; 3],
        /// Values given.
        values: usize,
    },
    /// The scan is larger than a body can be.
    #[error(
        "the scan has shape {shape:?} at {spacing_mm:?} mm a voxel [z, y, x], which is larger than any body; correct the spacing or its unit in the header"
    )]
    Giant {
        /// `[z, y, x]`.
        shape: [usize; 3],
        /// `[z, y, x]`.
        spacing_mm: [f64; 3],
    },
    /// A target was asked for that the plan does not have, or two prompts mean one target.
    #[error("{problem}; this model knows {}", known.join(", "))]
    Prompt {
        /// Which prompt, and why not.
        problem: String,
        /// Names of the plan's targets.
        known: Vec<String>,
    },
    /// A sided target was asked for, but the scan does not say where left is.
    #[error(
        "`{name}` needs a side, but the scan says nothing of its orientation (sform and qform codes are 0); set one of them or ask for both sides"
    )]
    NoOrientation {
        /// Name of the target.
        name: String,
    },
    /// A sided target was asked for, it is in doubt which lung is the left one, and doubt was not to be accepted.
    #[error(
        "`{name}` needs a side, but this scan leaves it unclear which lung is the left one; check the orientation in its header, ask for both sides, or ask without strict"
    )]
    UnclearSides {
        /// Name of the target.
        name: String,
    },
    /// A structure was to be kept in the label map that cannot be.
    #[error("the {name} cannot be kept in the label map: {reason}")]
    Keep {
        /// Name of the structure.
        name: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The run would need more memory than it may have.
    #[error(
        "segmenting this scan needs {needed_bytes} bytes, {budget_bytes} are allowed; raise the limit or crop the scan"
    )]
    Memory {
        /// Smallest need over all tile sizes that the model allows.
        needed_bytes: u64,
        /// The caller's limit.
        budget_bytes: u64,
    },
    /// The device has no room for the network's work.
    #[error(
        "the device has no memory left for tiles of {tile:?} voxels, and none smaller are to be had; end what else uses it, or name another device"
    )]
    DeviceMemory {
        /// The smallest tile that was tried, `[z, y, x]`.
        tile: [usize; 3],
    },
    /// Networks that were to answer together were made with different plans, or there is none.
    #[error("models that answer together need one plan, but that of number {number} is another; name one of them")]
    Folds {
        /// Which of them, from 0.
        number: usize,
    },
    /// A network that answers with classes cannot be shown the scan, or its answer not be used.
    #[error(transparent)]
    Classes(#[from] ClassError),
    /// The network refused or failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Tensor arithmetic failed: a fault of ours, or memory has run out.
    #[error("tensor arithmetic failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<Cancelled> for SegmentError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl SegmentError {
    /// Whether the device had no room, so that less may fit.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Tensor(error) | Self::Model(ModelError::Tensor(error)) => is_out_of_memory(error),
            _ => false,
        }
    }

    /// The stable code people script against; `CANCELLED` for cancellation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Volume(error) => error.code(),
            Self::Shape { .. } | Self::Giant { .. } => "ERR_GEOMETRY",
            Self::Prompt { .. } | Self::NoOrientation { .. } | Self::UnclearSides { .. } => "ERR_PROMPT",
            Self::Keep { .. } => "ERR_USAGE",
            Self::Folds { .. } => "ERR_MODEL",
            Self::Memory { .. } | Self::DeviceMemory { .. } => "ERR_MEMORY",
            Self::Tensor(error) if is_out_of_memory(error) => "ERR_MEMORY",
            Self::Classes(error) => error.code(),
            Self::Model(error) => error.code(),
            Self::Tensor(_) => "ERR_INTERNAL",
            Self::Cancelled => "CANCELLED",
        }
    }
}
