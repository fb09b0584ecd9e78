//! Text towers of Hugging Face's CLIP folders: `config.json` and `model.safetensors`.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use pulmoav_model::ModelError;
use pulmoav_model::parameters::Parameters;
use pulmoav_ops::device::Compute;
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::encoder::{TextActivation, TextConfig, TextEncoder};
use crate::tokenizer::{CONTEXT, VOCABULARY};

/// Reads the text tower of a CLIP checkpoint's folder onto a device; the checkpoint may be whole (`CLIPModel`) or text only (`CLIPTextModel`, with or
/// without projection).
///
/// # Errors
/// [`ModelError::Io`], [`ModelError::Damaged`], [`ModelError::MissingTensor`], [`ModelError::WrongTensor`].
pub fn load_checkpoint(folder: &Path, device: &Device) -> Result<TextEncoder, ModelError> {
    let config_path = folder.join("config.json");
    let weights_path = folder.join("model.safetensors");
    let bytes = read(&weights_path)?;
    let damaged = |problem: String| ModelError::Damaged { path: weights_path.clone(), problem };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let mut config = read_config(&config_path)?;
    config.projection = match file.tensor(PROJECTION) {
        Ok(view) => view.shape().first().copied(),
        Err(_) => None,
    };
    let mut tensors = Vec::new();
    for (theirs, view) in file.iter() {
        if let Some((ours, transpose)) = our_name(theirs) {
            let dtype =
                dtype(view.dtype()).ok_or_else(|| damaged(format!("`{theirs}` has type {:?}", view.dtype())))?;
            let tensor =
                Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?.to_dtype(DType::F32)?;
            tensors.push((ours, if transpose { tensor.t()?.contiguous()? } else { tensor }));
        }
    }
    drop(bytes);
    let mut parameters = Parameters::from_tensors(tensors)?.on(&Compute::on(device))?;
    let encoder = TextEncoder::build(&config, &mut parameters)?;
    // Each layer's own weights go as soon as they are packed.
    drop(parameters);
    encoder.packed()
}

const PROJECTION: &str = "text_projection.weight";

/// The part of `config.json` that sizes the text tower.
#[derive(Deserialize)]
struct HfConfig {
    #[serde(default = "vocabulary")]
    vocab_size: usize,
    #[serde(default = "context")]
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    #[serde(default = "quick_gelu")]
    hidden_act: String,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
}

/// What transformers takes where `config.json` is silent.
fn vocabulary() -> usize {
    VOCABULARY
}
fn context() -> usize {
    CONTEXT
}
fn quick_gelu() -> String {
    "quick_gelu".to_owned()
}
fn epsilon() -> f64 {
    1e-5
}

fn read_config(path: &Path) -> Result<TextConfig, ModelError> {
    let damaged = |problem: String| ModelError::Damaged { path: path.to_owned(), problem };
    let mut root: serde_json::Value =
        serde_json::from_slice(&read(path)?).map_err(|error| damaged(error.to_string()))?;
    let text = match root.get_mut("text_config") {
        Some(text) => text.take(),
        None => root,
    };
    let config: HfConfig =
        serde_json::from_value(text).map_err(|error| damaged(format!("not a CLIP text tower's config: {error}")))?;
    let activation = match config.hidden_act.as_str() {
        "quick_gelu" => TextActivation::QuickGelu,
        "gelu" => TextActivation::Gelu,
        other => return Err(damaged(format!("hidden_act is `{other}`; expected `quick_gelu` or `gelu`"))),
    };
    let (width, heads) = (config.hidden_size, config.num_attention_heads);
    if width == 0 || heads == 0 || !width.is_multiple_of(heads) {
        return Err(damaged(format!("{heads} attention heads do not divide hidden_size {width}")));
    }
    Ok(TextConfig {
        vocabulary: config.vocab_size,
        context: config.max_position_embeddings.min(CONTEXT),
        table_width: None,
        width,
        layers: config.num_hidden_layers,
        heads,
        inner_width: config.intermediate_size,
        activation,
        projection: None,
        epsilon: config.layer_norm_eps,
    })
}

/// Our name of a tensor, and whether its two axes swap; `None` for what belongs to no text tower.
fn our_name(theirs: &str) -> Option<(String, bool)> {
    if theirs == PROJECTION {
        return Some(("text.projection".to_owned(), true));
    }
    let name = theirs.strip_prefix("text_model.")?;
    let ours = match name {
        "embeddings.token_embedding.weight" => "text.tokens.table",
        "embeddings.position_embedding.weight" => "text.positions",
        "final_layer_norm.weight" => "text.norm.gamma",
        "final_layer_norm.bias" => "text.norm.beta",
        _ => {
            let (layer, part) = name.strip_prefix("encoder.layers.")?.split_once('.')?;
            let (module, kind) = part.rsplit_once('.')?;
            let (module, is_norm) = match module {
                "layer_norm1" => ("norm1", true),
                "layer_norm2" => ("norm2", true),
                "self_attn.q_proj" => ("query", false),
                "self_attn.k_proj" => ("key", false),
                "self_attn.v_proj" => ("value", false),
                "self_attn.out_proj" => ("out", false),
                "mlp.fc1" => ("up", false),
                "mlp.fc2" => ("down", false),
                _ => return None,
            };
            let kind = match (is_norm, kind) {
                (true, "weight") => "gamma",
                (true, _) => "beta",
                (false, kind) => kind,
            };
            return Some((format!("text.layers.{layer}.{module}.{kind}"), !is_norm && kind == "weight"));
        }
    };
    Some((ours.to_owned(), false))
}

fn dtype(theirs: safetensors::Dtype) -> Option<DType> {
    match theirs {
        safetensors::Dtype::F32 => Some(DType::F32),
        safetensors::Dtype::F16 => Some(DType::F16),
        safetensors::Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), action: "read", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Answer {
        ids: Vec<u32>,
        pooled: Vec<f32>,
        projected: Vec<f32>,
    }

    /// Answers of transformers' `CLIPTextModelWithProjection`; `crates/testing/goldens/text.py` made them.
    #[test]
    fn parity_with_transformers() {
        let goldens = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/text"));
        for name in ["openai", "laion"] {
            let folder = goldens.join(name);
            let encoder = load_checkpoint(&folder, &Device::Cpu).expect("a golden");
            let answers = std::fs::read(folder.join("answers.json")).expect("a golden");
            let answers: Vec<Answer> = serde_json::from_slice(&answers).expect("a golden");
            let prompts: Vec<Vec<u32>> = answers.iter().map(|answer| answer.ids.clone()).collect();
            let pooled = encoder.pooled(&prompts).and_then(|rows| Ok(rows.to_vec2::<f32>()?)).expect("embeds");
            let projected = encoder.embed(&prompts).and_then(|rows| Ok(rows.to_vec2::<f32>()?)).expect("embeds");
            for (at, answer) in answers.iter().enumerate() {
                assert!(distance(&pooled[at], &answer.pooled) < 1e-5, "{name} {:?}", answer.ids);
                assert!(distance(&projected[at], &answer.projected) < 1e-5, "{name} {:?}", answer.ids);
            }
        }
    }

    /// Length of the difference over the length of what is expected.
    fn distance(a: &[f32], b: &[f32]) -> f32 {
        let length = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
        length(&mut a.iter().zip(b).map(|(a, b)| a - b)) / length(&mut b.iter().copied())
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let nowhere = load_checkpoint(Path::new("/nonexistent"), &Device::Cpu).expect_err("no folder");
        assert_eq!(nowhere.code(), "ERR_MODEL");
        assert_eq!(our_name("vision_model.encoder.layers.0.mlp.fc1.weight"), None);
        assert_eq!(our_name("text_model.embeddings.position_ids"), None);
        let weight = our_name("text_model.encoder.layers.11.self_attn.k_proj.weight");
        assert_eq!(weight, Some(("text.layers.11.key.weight".to_owned(), true)));
    }
}
