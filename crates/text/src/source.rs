//! Where embeddings come from: a model's own small tower, or a CLIP text model in Hugging Face's folder layout.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use candle_core::Device;
use pulmoav_model::ModelError;
use pulmoav_model::weights::WEIGHTS_FILE;
use pulmoav_ops::device::to_host;
use pulmoav_plan::{PLAN_VERSION, Plan};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tower::BUNDLED;
use crate::{PromptIds, Resolution, TextEncoder, Tokenizer, Tower, load_checkpoint};

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
    /// Reads a directory, onto a device: one with a `config.json` but no `plan.json` is a CLIP folder, any other a model of ours.
    ///
    /// # Errors
    /// As [`load_checkpoint`] and [`Tower::of_model`].
    pub fn open(directory: &Path, device: &Device) -> Result<Self, ModelError> {
        if directory.join("config.json").is_file() && !directory.join("plan.json").is_file() {
            return Ok(Self::Clip { encoder: load_checkpoint(directory, device)?, folder: directory.to_owned() });
        }
        Tower::of_model(directory)?.on(device).map(Self::Tower)
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
        Ok(to_host(&rows)?)
    }

    /// What each prompt means; CLIP by itself knows no target.
    ///
    /// # Errors
    /// As [`Tower::resolve`].
    pub fn resolve<S: AsRef<str>>(&self, prompts: &[S]) -> Result<Vec<Resolution>, ModelError> {
        if let Self::Tower(tower) = self {
            return tower.resolve(prompts);
        }
        let unknown = |PromptIds { ids, truncated }| Resolution { ids, truncated, target: None, confidence: 0.0 };
        Ok(tokens(prompts).into_iter().map(unknown).collect())
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

/// Prompts as a text model reads them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Encoded {
    /// Token ids of each prompt, with start and end.
    pub ids: Vec<Vec<u32>>,
    /// Prompts × width, row after row.
    pub embeddings: Vec<f32>,
    /// Numbers of one embedding.
    pub width: usize,
}

/// The text model used last, and what it made of prompts.
#[derive(Debug, Default)]
pub struct TextCache {
    last: Option<Remembered>,
}

#[derive(Debug)]
struct Remembered {
    directory: PathBuf,
    written: Option<Written>,
    device: Device,
    model: TextModel,
    prompts: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    ids: Vec<u32>,
    embedding: Vec<f32>,
}

/// Size and time of a directory's weights.
type Written = (u64, SystemTime);

fn written(directory: &Path) -> Option<Written> {
    let data = std::fs::metadata(directory.join(WEIGHTS_FILE)).ok()?;
    Some((data.len(), data.modified().ok()?))
}

/// Prompts kept at most; beyond that all are forgotten.
const MAX_PROMPTS: usize = 4096;

impl TextCache {
    /// What a directory's text model makes of prompts, if it is known for each of them.
    pub fn known(&self, directory: &Path, prompts: &[String]) -> Option<Encoded> {
        let last = self.last.as_ref().filter(|last| last.is_of(directory, written(directory)))?;
        last.encoded(prompts)
    }

    /// What a directory's text model makes of prompts. The model is read again, onto `device`, only if another is asked
    /// for, its weights were written since, or it is on another device; a prompt is computed once.
    ///
    /// # Errors
    /// As [`TextModel::open`] and [`TextModel::embedding_values`].
    pub fn encode(&mut self, directory: &Path, prompts: &[String], device: &Device) -> Result<Encoded, ModelError> {
        let written = written(directory);
        let same = |last: &Remembered| last.is_of(directory, written) && last.device.same_device(device);
        let last = match self.last.take().filter(same) {
            Some(last) => last,
            None => Remembered {
                directory: directory.to_owned(),
                written,
                device: device.clone(),
                model: TextModel::open(directory, device)?,
                prompts: HashMap::new(),
            },
        };
        let last = self.last.insert(last);
        last.learn(prompts)?;
        Ok(last.encoded(prompts).unwrap_or_default())
    }
}

impl Remembered {
    fn is_of(&self, directory: &Path, written: Option<Written>) -> bool {
        self.directory == directory && self.written == written
    }

    /// Computes the prompts that are new.
    fn learn(&mut self, prompts: &[String]) -> Result<(), ModelError> {
        let mut new: Vec<&String> = prompts.iter().filter(|&prompt| !self.prompts.contains_key(prompt)).collect();
        if self.prompts.len() + new.len() > MAX_PROMPTS {
            self.prompts.clear();
            new = prompts.iter().collect();
        }
        new.sort();
        new.dedup();
        let values = self.model.embedding_values(&new)?;
        let embeddings = values.chunks(self.model.width().max(1)).map(<[f32]>::to_vec);
        for ((prompt, tokens), embedding) in new.iter().zip(tokens(&new)).zip(embeddings) {
            self.prompts.insert((*prompt).clone(), Known { ids: tokens.ids, embedding });
        }
        Ok(())
    }

    fn encoded(&self, prompts: &[String]) -> Option<Encoded> {
        let known: Vec<&Known> = prompts.iter().map(|prompt| self.prompts.get(prompt)).collect::<Option<_>>()?;
        Some(Encoded {
            ids: known.iter().map(|known| known.ids.clone()).collect(),
            embeddings: known.iter().flat_map(|known| &known.embedding).copied().collect(),
            width: self.model.width(),
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::*;
    use pulmoav_model::weights::save_tensors;
    use pulmoav_random::normals;

    /// A CLIP folder of the smallest kind: CLIP's words, eight channels, no layer.
    fn folder(name: &str, seed: u64) -> Result<PathBuf, ModelError> {
        let folder = std::env::temp_dir().join(format!("pulmoav-clip-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = r#"{"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 0, "num_attention_heads": 2}"#;
        std::fs::write(folder.join("config.json"), config).expect("a file");
        let tensor = |rows: usize, columns: usize| -> Result<Tensor, ModelError> {
            Ok(Tensor::from_vec(normals(seed, rows as u64, rows * columns), (rows, columns), &Device::Cpu)?)
        };
        let tensors = [
            ("embeddings.token_embedding.weight", tensor(49_408, 8)?),
            ("embeddings.position_embedding.weight", tensor(77, 8)?),
            ("final_layer_norm.weight", tensor(1, 8)?.squeeze(0)?),
            ("final_layer_norm.bias", tensor(2, 8)?.mean(0)?),
        ];
        let tensors = tensors.into_iter().map(|(name, tensor)| (format!("text_model.{name}"), tensor)).collect();
        save_tensors(&folder.join(WEIGHTS_FILE), &tensors)?;
        Ok(folder)
    }

    #[test]
    fn a_clip_folder_is_a_text_model_and_remembers() -> Result<(), ModelError> {
        let (one, other) = (folder("one", 1)?, folder("other", 2)?);
        let prompts = ["left artery", "left", "left artery"].map(str::to_owned);
        let mut cache = TextCache::default();
        let encode =
            |cache: &mut TextCache, folder: &Path, prompts: &[String]| cache.encode(folder, prompts, &Device::Cpu);
        assert_eq!(cache.known(&one, &prompts), None);
        let first = encode(&mut cache, &one, &prompts)?;
        let (width, rows) = (first.width, &first.embeddings);
        assert_eq!((width, rows.len(), first.ids.len()), (8, 24, 3));
        assert_eq!(rows[..width], rows[2 * width..]);
        assert_ne!(rows[..width], rows[width..2 * width]);
        assert_eq!(encode(&mut cache, &one, &prompts)?, first);
        assert_eq!(cache.known(&one, &prompts).as_ref(), Some(&first));
        assert_eq!(cache.known(&one, &["left vein".to_owned()]), None);
        assert_eq!(encode(&mut cache, &one, &prompts[1..2])?.embeddings, rows[width..2 * width]);
        assert_ne!(encode(&mut cache, &other, &prompts)?.embeddings, first.embeddings);
        assert_eq!(cache.known(&one, &prompts), None);
        assert!(encode(&mut cache, &other.join("nowhere"), &prompts).is_err());
        assert_eq!(encode(&mut cache, &one, &prompts)?, first);
        folder("one", 3)?;
        assert_eq!(cache.known(&one, &prompts), None);
        assert_ne!(encode(&mut cache, &one, &prompts)?.embeddings, first.embeddings);
        let known = TextModel::open(&one, &Device::Cpu)?.resolve(&prompts)?;
        assert_eq!((known[0].target, known[0].ids.len()), (None, 4));
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
