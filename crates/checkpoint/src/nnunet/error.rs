//! What can be wrong with a model folder.

use std::path::PathBuf;

use pulmoav_model::ModelError;
use pulmoav_plan::PlanError;

use crate::CheckpointError;

/// Why a model folder cannot be used. Each is one sentence: what, where, what is supported.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder is no trainer's folder of nnU-Net v2.
    #[error("{path} is no nnU-Net v2 model folder: {problem}", path = path.display())]
    NotAModel {
        /// The folder.
        path: PathBuf,
        /// What was found, and where to look.
        problem: String,
    },
    /// A checkpoint that was asked for, or any, is not there.
    #[error("{path} {problem}", path = path.display())]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
        /// What is missing, and what is there.
        problem: String,
    },
    /// What was asked for is no name of a fold or of a checkpoint.
    #[error("`{given}` is no {wanted}")]
    Request {
        /// What was given.
        given: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A file is no JSON.
    #[error("{path} is broken at line {line}, column {column}: {problem}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A value has another type than nnU-Net writes, or is missing.
    #[error("{path}: `{field}` is {found}; expected {expected}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field's place in it.
        field: String,
        /// What stands there, shortened.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A value asks for something that is not done here.
    #[error("{path}: `{field}` is {found}, which is not supported; supported: {supported}", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The field's place in it.
        field: String,
        /// What stands there, shortened.
        found: String,
        /// What is supported.
        supported: String,
    },
    /// A tensor of the plans' network is not in the checkpoint.
    #[error(
        "{path} has no tensor `{key}` of shape {expected:?}{more}; it belongs to another network than the plans describe",
        path = path.display(), more = and_more(*count)
    )]
    MissingTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The first missing tensor's key.
        key: String,
        /// Its shape.
        expected: Vec<usize>,
        /// How many are missing.
        count: usize,
    },
    /// What should be a tensor is none that can be read.
    #[error("{path}: `{key}` is no tensor that can be read: {problem}; nothing in the file was executed", path = path.display())]
    NoTensor {
        /// The checkpoint.
        path: PathBuf,
        /// Its key.
        key: String,
        /// Why not.
        problem: String,
    },
    /// The checkpoint has a tensor that the plans' network does not have.
    #[error(
        "{path} has a tensor `{key}` of shape {found:?}{more}, which the plans' network does not have; supported are the networks that the plans describe, unchanged",
        path = path.display(), more = and_more(*count)
    )]
    ExtraTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The first such tensor's key.
        key: String,
        /// Its shape.
        found: Vec<usize>,
        /// How many there are.
        count: usize,
    },
    /// A tensor has another shape than the plans' network.
    #[error("{path}: tensor `{key}` has shape {found:?}; the plans' network has {expected:?}", path = path.display())]
    MisshapenTensor {
        /// The checkpoint.
        path: PathBuf,
        /// Its key.
        key: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// A tensor stands in the checkpoint twice, with other numbers.
    #[error("{path}: tensors `{key}` and `{other}` should be the same and differ; the checkpoint was changed by hand", path = path.display())]
    Disagreement {
        /// The checkpoint.
        path: PathBuf,
        /// The one that would be used.
        key: String,
        /// The other one.
        other: String,
    },
    /// The network was trained with batch norm, whatever the plans say.
    #[error("{path}: tensor `{key}` belongs to a batch norm, which is not supported; supported: instance norm", path = path.display())]
    BatchNorm {
        /// The checkpoint.
        path: PathBuf,
        /// The first such tensor's key.
        key: String,
    },
    /// Weights are NaN or infinite.
    #[error("{path}: tensor `{key}` is not finite everywhere; its training has failed", path = path.display())]
    NotFinite {
        /// The checkpoint.
        path: PathBuf,
        /// Its key.
        key: String,
    },
    /// The file of a checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// What the files say makes no plan.
    #[error("{path}: {source}", path = path.display())]
    Plan {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: PlanError,
    },
    /// The tensors do not make the network, or the model directory cannot be written.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl FolderError {
    /// The stable code: `ERR_USAGE` for what was asked wrongly, `ERR_IO` for what the system refused, else
    /// `ERR_MODEL`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Request { .. } => "ERR_USAGE",
            Self::Io { .. } => "ERR_IO",
            Self::Checkpoint(CheckpointError::NotACheckpoint { .. }) => "ERR_MODEL",
            Self::Checkpoint(error) => error.code(),
            Self::Model(error) => error.code(),
            _ => "ERR_MODEL",
        }
    }
}

fn and_more(count: usize) -> String {
    if count > 1 { format!(" and {} more", count - 1) } else { String::new() }
}
