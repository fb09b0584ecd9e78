//! From a model folder to a model directory of ours.

use std::path::Path;

use pulmoav_model::weights::save_classes;

use super::card::card;
use super::error::FolderError;
use super::folder::FolderRequest;
use super::open::{ModelFolder, open};

/// Writes the model directory of a model folder: `model.safetensors`, `plan.json`, `card.md`. It gives the same
/// network bit for bit ([`pulmoav_model::weights::load_classes`]).
///
/// # Errors
/// As [`open`], and where the directory cannot be written.
pub fn import(request: &FolderRequest, directory: &Path) -> Result<ModelFolder, FolderError> {
    let model = open(request)?;
    save_classes(directory, &model.plan, &model.folds, Some(&card(&model)))?;
    Ok(model)
}
