//! What can go wrong while training.

use std::path::{Path, PathBuf};

use pulmoav_model::ModelError;
use pulmoav_ops::device::is_out_of_memory;
use pulmoav_segment::SegmentError;
use pulmoav_task::Cancelled;
use pulmoav_text::corpus::LexiconError;

/// A failure of the training pipeline.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A data set, cache file or checkpoint is not what it claims to be.
    #[error("{path}: {problem}")]
    Format {
        /// The file or folder.
        path: PathBuf,
        /// What was found, what was expected, what to do.
        problem: String,
    },
    /// A setting is out of its range.
    #[error("config: {0}")]
    Config(String),
    /// A volume could not be read.
    #[error("{path}: {source}")]
    Volume {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: pulmoav_volume::VolumeError,
    },
    /// Preparing or segmenting a case failed.
    #[error("case {case}: {source}")]
    Segment {
        /// The case's name.
        case: String,
        /// What the segment pipeline says.
        source: SegmentError,
    },
    /// A validation case cannot be scored.
    #[error("case {case}: {source}")]
    Evaluate {
        /// The case's name.
        case: String,
        /// What the evaluate pipeline says.
        source: Box<pulmoav_evaluate::EvaluateError>,
    },
    /// The network could not be built, loaded or saved.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tensor operation failed: a bug of ours, or memory ran out.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// A bug of ours.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<LexiconError> for TrainError {
    fn from(error: LexiconError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<Cancelled> for TrainError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl TrainError {
    /// The stable code that crosses the door.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "ERR_IO",
            Self::Format { .. } => "ERR_FORMAT",
            Self::Config(_) => "ERR_CONFIG",
            Self::Volume { source, .. } => source.code(),
            Self::Segment { source, .. } => source.code(),
            Self::Evaluate { source, .. } => source.code(),
            Self::Model(source) => source.code(),
            Self::Tensor(error) if is_out_of_memory(error) => "ERR_MEMORY",
            Self::Tensor(_) | Self::Internal(_) => "ERR_INTERNAL",
            Self::Cancelled => "CANCELLED",
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// What reading a volume gives, with its file.
    pub(crate) fn volume(path: &Path) -> impl FnOnce(pulmoav_volume::VolumeError) -> Self + '_ {
        move |source| match source {
            pulmoav_volume::VolumeError::Cancelled => Self::Cancelled,
            source => Self::Volume { path: path.to_owned(), source },
        }
    }

    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.into() }
    }
}
