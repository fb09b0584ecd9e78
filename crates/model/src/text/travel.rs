//! How text tensors travel: in a file of their own while a model is trained, then with its weights; and how they complete a
//! plan that a config gave without embeddings.

use std::path::Path;

use pulmoav_plan::{PLAN_VERSION, Plan};
use serde_json::{Value, json};

use super::Tower;
use super::tower::BUNDLED;
use crate::{ModelError, weights};

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

    /// Embeddings of prompts, row after row.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if an operator fails.
    pub fn embedding_values(&self, prompts: &[String]) -> Result<Vec<f32>, ModelError> {
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.embed(prompts)?.flatten_all()?.to_vec1()?)
    }

    /// A config's plan (a JSON object without version, text encoder and embeddings) with what this tower adds.
    ///
    /// # Errors
    /// An object that is no plan, or a plan that does not hold.
    pub fn complete(&self, plan: &str) -> Result<Plan, ModelError> {
        let Ok(mut plan) = serde_json::from_str::<Value>(plan) else { return Ok(Plan::from_json(plan)?) };
        let mut targets = plan["targets"].as_array().cloned().unwrap_or_default();
        let prompts: Vec<String> =
            targets.iter().map(|target| target["prompt"].as_str().unwrap_or_default().to_owned()).collect();
        let embeddings = self.embedding_values(&prompts)?;
        for (target, embedding) in targets.iter_mut().zip(embeddings.chunks(self.width())) {
            target["embedding"] = json!(embedding);
        }
        if !plan.is_object() {
            return Ok(Plan::from_json(&plan.to_string())?);
        }
        plan["version"] = json!(PLAN_VERSION);
        plan["targets"] = Value::Array(targets);
        plan["textEncoder"] = json!({ "id": BUNDLED, "sha256": self.sha256()? });
        Ok(Plan::from_json(&plan.to_string())?)
    }
}
