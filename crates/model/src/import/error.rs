//! What can be wrong with other people's checkpoints.

use std::path::{Path, PathBuf};

use pulmoav_plan::{LaCafVariant, PlanError};

use crate::ModelError;

/// How many names a message lists.
const NAMES_TOLD: usize = 12;

/// Why a checkpoint cannot be imported, or a model not exported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
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
    /// The tensors are not those of this family, or a model is of another one.
    #[error("{path}: {problem}", path = path.display())]
    OtherFamily {
        /// The file or the model directory.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// Tensors that the network needs are not there.
    #[error(
        "{path} lacks {count} tensors of variant `{variant}`: {told}",
        path = path.display(), count = names.len(), variant = variant_name(*variant), told = told(names)
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The variant that was looked for.
        variant: LaCafVariant,
        /// Every name that is missing, sorted.
        names: Vec<String>,
    },
    /// The checkpoint has another number of prompts than was said.
    #[error(
        "the checkpoint has {found} prompts, but {given} were named; name all of them in the checkpoint's order with --prompts"
    )]
    PromptCount {
        /// Rows of its embeddings.
        found: usize,
        /// Prompts given or assumed.
        given: usize,
    },
    /// The plan does not hold.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The tensors do not make the network, or the model directory cannot be read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl ImportError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "ERR_IO",
            Self::NotACheckpoint { .. } => "ERR_FORMAT",
            Self::Damaged { .. } | Self::Refused { .. } | Self::OtherFamily { .. } | Self::Missing { .. } => {
                "ERR_MODEL"
            }
            Self::PromptCount { .. } => "ERR_USAGE",
            Self::Plan(error) => error.code(),
            Self::Model(error) => error.code(),
        }
    }
}

/// As it stands in a plan.
pub(crate) fn variant_name(variant: LaCafVariant) -> &'static str {
    match variant {
        LaCafVariant::LaCaf => "la-caf",
        LaCafVariant::Gap => "gap",
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
    /// See [`ImportError::Damaged`].
    Damaged(String),
    /// See [`ImportError::Refused`].
    Refused(String),
    /// See [`ImportError::NotACheckpoint`].
    NotACheckpoint,
}

impl Fault {
    /// The error of that file.
    pub(crate) fn of(self, path: &Path) -> ImportError {
        let path = path.to_owned();
        match self {
            Self::Damaged(problem) => ImportError::Damaged { path, problem },
            Self::Refused(problem) => ImportError::Refused { path, problem },
            Self::NotACheckpoint => ImportError::NotACheckpoint { path },
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
