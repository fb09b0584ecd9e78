//! What can be wrong with a checkpoint of the published family.

use std::path::PathBuf;

use pulmoav_model::ModelError;
use pulmoav_plan::{LaCafVariant, PlanError};

use crate::CheckpointError;
use crate::error::told;

/// Why a checkpoint cannot be imported, or a model not exported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
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
            Self::Checkpoint(error) => error.code(),
            Self::OtherFamily { .. } | Self::Missing { .. } => "ERR_MODEL",
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
