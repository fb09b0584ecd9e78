use std::path::PathBuf;

use pulmoav_ops::device::is_out_of_memory;
use pulmoav_plan::PlanError;

/// Why a network cannot be built, run, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The plan inside the weights cannot be used.
    #[error("the model's plan: {0}")]
    Plan(#[from] PlanError),
    /// The weights lack a tensor that the plan's network needs.
    #[error(
        "the weights have no tensor `{name}` (expected shape {shape:?}); the file is incomplete or belongs to another plan"
    )]
    MissingTensor {
        /// Name of the tensor.
        name: String,
        /// Shape the network needs.
        shape: Vec<usize>,
    },
    /// The weights hold tensors that the plan's network does not use.
    #[error(
        "the weights hold {count} tensors that the plan's network does not use, the first is `{name}`; the file belongs to another plan"
    )]
    UnexpectedTensor {
        /// Name of the first one.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// The text tensors are not those that made the plan's embeddings.
    #[error(
        "the text tensors have the SHA-256 {found}, but the plan's embeddings were made by {expected}; get the model again"
    )]
    OtherEncoder {
        /// Of the tensors.
        found: String,
        /// What the plan says.
        expected: String,
    },
    /// A tensor has another shape or type than the plan's network needs.
    #[error("tensor `{name}` is {found}; the plan's network needs {expected}")]
    WrongTensor {
        /// Name of the tensor.
        name: String,
        /// Shape or type found.
        found: String,
        /// Shape or type needed.
        expected: String,
    },
    /// A file of the model directory is damaged or contradicts another.
    #[error("{path}: {problem}; fetch or save the model again", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of the model directory cannot be read or written.
    #[error("{path}: cannot {action}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `write` or `replace`.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The image or the prompts do not fit the network.
    #[error("the network got {what} of shape {found:?}; it takes {expected}")]
    Input {
        /// `an image` or `prompts`.
        what: &'static str,
        /// Shape given.
        found: Vec<usize>,
        /// Shape wanted, in words.
        expected: String,
    },
    /// An operator failed; a fault of ours, or memory has run out.
    #[error("the network's arithmetic failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    /// The stable code: `ERR_IO` for what the system refused, `ERR_MEMORY` where the
    /// device is full, `ERR_INTERNAL` for other arithmetic, else `ERR_MODEL`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "ERR_MODEL",
            Self::Io { .. } => "ERR_IO",
            Self::Tensor(error) if is_out_of_memory(error) => "ERR_MEMORY",
            Self::Tensor(_) => "ERR_INTERNAL",
            _ => "ERR_MODEL",
        }
    }

    /// The same as an error of the tape, which walks through blocks again.
    pub(crate) fn into_candle(self) -> candle_core::Error {
        match self {
            Self::Tensor(error) => error,
            error => candle_core::Error::wrap(error),
        }
    }
}
