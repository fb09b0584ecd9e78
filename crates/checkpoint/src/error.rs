//! What can be wrong with other people's files.

use std::path::{Path, PathBuf};

/// How many names a message lists.
const NAMES_TOLD: usize = 12;

/// Why the file of a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is of another kind.
    #[error("{path} is no checkpoint: expected a PyTorch file (.pth, .pt) or a safetensors file", path = path.display())]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// The file is cut, contradicts itself or claims more than it holds.
    #[error("{path} is damaged: {problem}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file holds more than plain tensors; nothing of it was executed.
    #[error(
        "{path} was refused: {problem}. Only plain data and tensors are read and nothing in the file was executed; save the model's state_dict() with torch.save or as safetensors",
        path = path.display()
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// The opcode, the global or the container's feature that is not read.
        problem: String,
    },
}

impl CheckpointError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "ERR_IO",
            Self::NotACheckpoint { .. } => "ERR_FORMAT",
            Self::Damaged { .. } | Self::Refused { .. } => "ERR_MODEL",
        }
    }
}

/// The first names, and how many more there are.
pub(crate) fn told(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(NAMES_TOLD).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(NAMES_TOLD);
    first.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// What is wrong with the bytes of a file whose name is known further up.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    /// See [`CheckpointError::Damaged`].
    Damaged(String),
    /// See [`CheckpointError::Refused`].
    Refused(String),
    /// See [`CheckpointError::NotACheckpoint`].
    NotACheckpoint,
}

impl Fault {
    /// The error of that file.
    pub(crate) fn of(self, path: &Path) -> CheckpointError {
        let path = path.to_owned();
        match self {
            Self::Damaged(problem) => CheckpointError::Damaged { path, problem },
            Self::Refused(problem) => CheckpointError::Refused { path, problem },
            Self::NotACheckpoint => CheckpointError::NotACheckpoint { path },
        }
    }
}

/// The file contradicts itself.
pub(crate) fn damaged<T>(problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Damaged(problem.into()))
}

/// The file asks for what is not done.
pub(crate) fn refused<T>(problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Refused(problem.into()))
}
