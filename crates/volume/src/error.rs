//! What can go wrong with a volume, told so that the reader knows what to do.

use std::io;
use std::path::{Path, PathBuf};

use pulmoav_task::Cancelled;

/// A failure in reading, writing, placing or computing on a volume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// The bytes of a file are not a volume that this crate reads.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found, what was expected and the cure.
        problem: String,
    },
    /// A file is asked for under a name that does not say what to write.
    #[error("{}: {problem}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What was expected.
        problem: String,
    },
    /// The shape or place of a volume cannot be used.
    #[error("{subject}: {problem}")]
    Geometry {
        /// The file, or what the volume is for.
        subject: String,
        /// What was found, what was expected and the cure.
        problem: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file may not be written because it is the one that was read.
    #[error("{} is the input itself; give the output another name", path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// There is not enough memory.
    #[error("{subject}: needs {bytes} bytes of memory, which could not be had; free memory or use a smaller volume")]
    Memory {
        /// The file, or what the memory is for.
        subject: String,
        /// Bytes asked for.
        bytes: u64,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<Cancelled> for VolumeError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl VolumeError {
    /// The stable code people script against; `CANCELLED` for cancellation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format { .. } => "ERR_FORMAT",
            Self::Name { .. } => "ERR_USAGE",
            Self::Geometry { .. } => "ERR_GEOMETRY",
            Self::Io { .. } | Self::SameFile { .. } => "ERR_IO",
            Self::Memory { .. } => "ERR_MEMORY",
            Self::Cancelled => "CANCELLED",
        }
    }

    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn name(path: &Path, problem: impl Into<String>) -> Self {
        Self::Name { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn geometry(subject: impl std::fmt::Display, problem: impl Into<String>) -> Self {
        Self::Geometry { subject: subject.to_string(), problem: problem.into() }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}
