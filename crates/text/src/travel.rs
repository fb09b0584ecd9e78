//! How text tensors travel: in a file of their own while a model is trained, then with its weights.

use std::path::Path;

use pulmoav_model::{ModelError, weights};

use crate::Tower;

impl Tower {
    /// Reads a file of text tensors.
    ///
    /// # Errors
    /// [`ModelError`]; a damaged file is one clear [`ModelError::Damaged`].
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let tensors = weights::load_tensors(path)?;
        Self::from_tensors(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)))
    }

    /// The tower that travels with a model directory's weights.
    ///
    /// # Errors
    /// As [`weights::load`], and where the model has no text tensors.
    pub fn of_model(directory: &Path) -> Result<Self, ModelError> {
        let (_, parameters) = weights::load(directory)?;
        Self::from_tensors(parameters.frozen_iter())
    }

    /// Writes the text tensors; the file is replaced at once or not at all.
    ///
    /// # Errors
    /// [`ModelError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        weights::save_tensors(path, &self.tensors().iter().cloned().collect())
    }
}
