//! Where embeddings come from: a model's own small tower, or a CLIP text model in Hugging Face's folder layout.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pulmoav_plan::{PLAN_VERSION, Plan};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tower::BUNDLED;
use super::{PromptIds, TextEncoder, Tokenizer, Tower, load_checkpoint};
use crate::ModelError;
use crate::weights::WEIGHTS_FILE;

/// A text encoder, of whichever kind.
#[derive(Debug, Clone)]
pub enum TextModel {
    /// A model's own small tower.
    Tower(Tower),
    /// CLIP's.
    Clip {
        /// The encoder.
        encoder: TextEncoder,
        /// Its folder.
        folder: PathBuf,
    },
}

impl TextModel {
    /// Reads a directory: one with a `config.json` but no `plan.json` is a CLIP folder, any other a model of ours.
    ///
    /// # Errors
    /// As [`load_checkpoint`] and [`Tower::of_model`].
    pub fn open(directory: &Path) -> Result<Self, ModelError> {
        if directory.join("config.json").is_file() && !directory.join("plan.json").is_file() {
            return Ok(Self::Clip { encoder: load_checkpoint(directory)?, folder: directory.to_owned() });
        }
        Tower::of_model(directory).map(Self::Tower)
    }

    /// Width of the embeddings.
    pub fn width(&self) -> usize {
        match self {
            Self::Tower(tower) => tower.width(),
            Self::Clip { encoder, .. } => encoder.config().embedding_width(),
        }
    }

    /// Embeddings of prompts, row after row, not normalised; a prompt's overlong end is not read.
    ///
    /// # Shapes
    /// p prompts → p · `width` numbers.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if an operator fails.
    pub fn embedding_values<S: AsRef<str>>(&self, prompts: &[S]) -> Result<Vec<f32>, ModelError> {
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let rows = match self {
            Self::Tower(tower) => tower.embed(prompts)?,
            Self::Clip { encoder, .. } => {
                encoder.embed(&tokens(prompts).into_iter().map(|p| p.ids).collect::<Vec<_>>())?
            }
        };
        Ok(rows.flatten_all()?.to_vec1()?)
    }

    /// A config's plan (a JSON object without version, text encoder and embeddings) with what this encoder adds.
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
        let (id, sha256) = self.identity()?;
        plan["version"] = json!(PLAN_VERSION);
        plan["targets"] = Value::Array(targets);
        plan["textEncoder"] = json!({ "id": id, "sha256": sha256 });
        Ok(Plan::from_json(&plan.to_string())?)
    }

    /// What a plan names it by, and the hash of its weights.
    fn identity(&self) -> Result<(String, String), ModelError> {
        match self {
            Self::Tower(tower) => Ok((BUNDLED.to_owned(), tower.sha256()?)),
            Self::Clip { folder, .. } => {
                let path = folder.join(WEIGHTS_FILE);
                let read = |source| ModelError::Io { path: path.clone(), action: "read", source };
                let mut hash = Sha256::new();
                std::io::copy(&mut std::fs::File::open(&path).map_err(read)?, &mut hash).map_err(read)?;
                let sha256 = hash.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
                Ok((hub_name(folder), sha256))
            }
        }
    }
}

/// `owner/name` for a snapshot of Hugging Face's cache (`models--owner--name/snapshots/…`), else the folder's own name.
fn hub_name(folder: &Path) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let repository = folder.ancestors().map(name).find(|name| name.starts_with("models--"));
    repository.map_or_else(|| name(folder), |found| found["models--".len()..].replacen("--", "/", 1))
}

/// Token ids of prompts.
pub fn tokens<S: AsRef<str>>(prompts: &[S]) -> Vec<PromptIds> {
    prompts.iter().map(|prompt| Tokenizer::shared().prompt(prompt.as_ref())).collect()
}

/// The text model used last, and the embeddings it gave.
#[derive(Debug, Default)]
pub struct TextCache {
    last: Option<Remembered>,
}

#[derive(Debug)]
struct Remembered {
    directory: PathBuf,
    written: Option<(u64, SystemTime)>,
    model: TextModel,
    embeddings: HashMap<String, Vec<f32>>,
}

/// Embeddings kept at most; beyond that all are forgotten.
const MOST_EMBEDDINGS: usize = 4096;

impl TextCache {
    /// Width of a directory's text model, and embeddings of prompts, row after row. The model is read again only if another
    /// is asked for or its weights were written since; a prompt is computed once.
    ///
    /// # Errors
    /// As [`TextModel::open`] and [`TextModel::embedding_values`].
    pub fn embed(&mut self, directory: &Path, prompts: &[String]) -> Result<(usize, Vec<f32>), ModelError> {
        let data = std::fs::metadata(directory.join(WEIGHTS_FILE)).ok();
        let written = data.and_then(|data| Some((data.len(), data.modified().ok()?)));
        let known = self.last.take().filter(|last| last.directory == directory && last.written == written);
        let last = match known {
            Some(last) => last,
            None => Remembered {
                directory: directory.to_owned(),
                written,
                model: TextModel::open(directory)?,
                embeddings: HashMap::new(),
            },
        };
        let last = self.last.insert(last);
        let width = last.model.width();
        let mut new: Vec<&String> = prompts.iter().filter(|&prompt| !last.embeddings.contains_key(prompt)).collect();
        new.sort();
        new.dedup();
        if last.embeddings.len() + new.len() > MOST_EMBEDDINGS {
            last.embeddings.clear();
            new = prompts.iter().collect();
        }
        let values = last.model.embedding_values(&new)?;
        let rows = new.into_iter().cloned().zip(values.chunks(width.max(1)).map(<[f32]>::to_vec));
        last.embeddings.extend(rows);
        let all = prompts.iter().filter_map(|prompt| last.embeddings.get(prompt)).flatten().copied().collect();
        Ok((width, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goldens(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/text")).join(name)
    }

    #[test]
    fn a_clip_folder_is_a_text_model_and_remembers() -> Result<(), ModelError> {
        let prompts = ["left artery", "vein", "left artery"].map(str::to_owned);
        let mut cache = TextCache::default();
        let (width, first) = cache.embed(&goldens("openai"), &prompts)?;
        assert_eq!(first.len(), 3 * width);
        assert_eq!(first[..width], first[2 * width..]);
        assert_eq!(cache.embed(&goldens("openai"), &prompts)?, (width, first.clone()));
        let (_, alone) = cache.embed(&goldens("openai"), &prompts[1..2])?;
        assert_eq!(alone, first[width..2 * width]);
        assert_ne!(cache.embed(&goldens("laion"), &prompts)?.1, first);
        assert!(cache.embed(&goldens("nowhere"), &prompts).is_err());
        assert_eq!(cache.embed(&goldens("openai"), &prompts)?.1, first);
        Ok(())
    }

    #[test]
    fn a_plan_names_the_checkpoint() {
        assert_eq!(
            hub_name(Path::new("/c/models--openai--clip-vit-base-patch32/snapshots/abc")),
            "openai/clip-vit-base-patch32"
        );
        assert_eq!(hub_name(Path::new("/mine/clip")), "clip");
    }
}
