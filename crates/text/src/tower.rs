//! The bundled tower: encoder and head together, kept in a model's tensors `text.*`.

use candle_core::{DType, Device, Tensor};
use pulmoav_model::ModelError;
use pulmoav_model::parameters::Parameters;
use pulmoav_ops::device::{Compute, to_cpu, to_host};
use pulmoav_plan::Plan;
use sha2::{Digest, Sha256};

use crate::encoder::{HEAD_WIDTH, TextActivation, TextConfig, TextEncoder};
use crate::head::{PromptHead, TARGETS, template};
use crate::tokenizer::Tokenizer;

/// What a model with this tower names in `textEncoder.id`.
pub const BUNDLED: &str = "bundled";

/// A prompt and what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// Token ids with start and end.
    pub ids: Vec<u32>,
    /// Whether the prompt was too long and its end was not read.
    pub truncated: bool,
    /// One of [`TARGETS`], or `None`: the prompt means nothing the tower knows.
    pub target: Option<&'static str>,
    /// Probability of this answer.
    pub confidence: f32,
}

/// Encoder and head, frozen.
#[derive(Debug, Clone)]
pub struct Tower {
    encoder: TextEncoder,
    head: PromptHead,
    tensors: Vec<(String, Tensor)>,
}

impl Tower {
    /// From tensors named `text.*` on the CPU, of any float type; others are left alone. Sizes are read off their shapes.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], [`ModelError::WrongTensor`], [`ModelError::UnexpectedTensor`].
    pub fn from_tensors<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<Self, ModelError> {
        let mut tensors: Vec<(String, Tensor)> = tensors
            .into_iter()
            .filter(|(name, _)| name.starts_with("text."))
            .map(|(name, tensor)| (name.to_owned(), tensor.clone()))
            .collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Self::build(tensors, &Device::Cpu)
    }

    /// The same tower on a device.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where the device has no room.
    pub fn on(self, device: &Device) -> Result<Self, ModelError> {
        if device.is_cpu() { Ok(self) } else { Self::build(self.tensors, device) }
    }

    /// `tensors` are sorted by name and on the CPU, where they stay.
    fn build(tensors: Vec<(String, Tensor)>, device: &Device) -> Result<Self, ModelError> {
        let config = read_config(&tensors)?;
        let mut parameters = Parameters::from_tensors(tensors.iter().cloned())?.on(&Compute::on(device))?;
        let encoder = TextEncoder::build(&config, &mut parameters)?;
        let head = PromptHead::build(&config, &mut parameters)?;
        parameters.refuse_unasked()?;
        Ok(Self { encoder, head, tensors })
    }

    /// From trained parameters: the token table is rounded to f16, and the tower computes with what will be saved.
    ///
    /// # Errors
    /// As [`Tower::from_tensors`].
    pub fn from_parameters(parameters: &Parameters) -> Result<Self, ModelError> {
        let tensors: Vec<(&str, Tensor)> = parameters
            .iter()
            .map(|(name, var)| {
                let tensor = to_cpu(&var.as_detached_tensor())?;
                Ok((name, if name == TABLE { tensor.to_dtype(DType::F16)? } else { tensor.copy()? }))
            })
            .collect::<Result<_, ModelError>>()?;
        Self::from_tensors(tensors.iter().map(|(name, tensor)| (*name, tensor)))
    }

    /// What is saved with a model, sorted by name.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.tensors
    }

    /// SHA-256 over names, shapes, types and values of the tensors, hex; what `textEncoder.sha256` holds.
    pub fn sha256(&self) -> Result<String, ModelError> {
        let mut hash = Sha256::new();
        for (name, tensor) in &self.tensors {
            hash.update(format!("{name} {:?} {:?}\n", tensor.dtype(), tensor.dims()));
            for value in to_host(tensor)? {
                hash.update(value.to_le_bytes());
            }
        }
        Ok(hash.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")))
    }

    /// Refuses a tower that is not the one which made the plan's embeddings, where the plan tells.
    ///
    /// # Errors
    /// [`ModelError::OtherEncoder`].
    pub fn check_made(&self, plan: &Plan) -> Result<(), ModelError> {
        let expected = &plan.text_encoder.sha256;
        if plan.text_encoder.id != BUNDLED || expected.is_empty() {
            return Ok(());
        }
        let found = self.sha256()?;
        if found == *expected { Ok(()) } else { Err(ModelError::OtherEncoder { found, expected: expected.clone() }) }
    }

    /// Width of the embeddings.
    pub fn width(&self) -> usize {
        self.encoder.config().embedding_width()
    }

    /// Embeddings of prompts, not normalised; a prompt's overlong end is not read.
    ///
    /// # Shapes
    /// p prompts → `[p, width]`.
    pub fn embed<S: AsRef<str>>(&self, prompts: &[S]) -> Result<Tensor, ModelError> {
        self.encoder
            .embed(&prompts.iter().map(|prompt| Tokenizer::shared().prompt(prompt.as_ref()).ids).collect::<Vec<_>>())
    }

    /// What each of the [`TARGETS`] is told to the network as: the embedding of its template.
    ///
    /// # Shapes
    /// → 9 vectors of `width`.
    pub fn target_embeddings(&self) -> Result<Vec<Vec<f32>>, ModelError> {
        let rows = to_host(&self.embed(&TARGETS.map(template))?)?;
        Ok(rows.chunks_exact(self.width()).map(<[f32]>::to_vec).collect())
    }

    /// What each prompt means.
    pub fn resolve<S: AsRef<str>>(&self, prompts: &[S]) -> Result<Vec<Resolution>, ModelError> {
        let prompts: Vec<_> = prompts.iter().map(|prompt| Tokenizer::shared().prompt(prompt.as_ref())).collect();
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.ids.clone()).collect();
        let verdicts = self.head.judge(&self.encoder.embed(&ids)?)?;
        let resolutions = prompts.into_iter().zip(verdicts).map(|(prompt, verdict)| Resolution {
            ids: prompt.ids,
            truncated: prompt.truncated,
            target: verdict.target,
            confidence: verdict.confidence,
        });
        Ok(resolutions.collect())
    }
}

/// More layers than any text tower has.
const MAX_LAYERS: usize = 1000;
const TABLE: &str = "text.tokens.table";

/// Sizes of a tower by the shapes of its tensors.
fn read_config(tensors: &[(String, Tensor)]) -> Result<TextConfig, ModelError> {
    let shape = |name: &str| {
        let found = tensors.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor.dims());
        match found {
            Some(&[rows, columns]) => Ok([rows, columns]),
            Some(other) => Err(ModelError::WrongTensor {
                name: name.to_owned(),
                found: format!("of shape {other:?}"),
                expected: "two dimensions".to_owned(),
            }),
            None => Err(ModelError::MissingTensor { name: name.to_owned(), shape: vec![0, 0] }),
        }
    };
    let [vocabulary, table_width] = shape(TABLE)?;
    let [context, width] = shape("text.positions")?;
    let [_, inner_width] = shape("text.layers.0.up.weight")?;
    let [_, projection] = shape("text.projection")?;
    let layers = (0..MAX_LAYERS).take_while(|layer| shape(&format!("text.layers.{layer}.up.weight")).is_ok()).count();
    Ok(TextConfig {
        vocabulary,
        context,
        table_width: Some(table_width),
        width,
        layers,
        heads: (width / HEAD_WIDTH).max(1),
        inner_width,
        activation: TextActivation::QuickGelu,
        projection: Some(projection),
        epsilon: 1e-5,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untrained(seed: u64) -> Result<Parameters, ModelError> {
        let config = TextConfig::small(32, 1);
        let mut parameters = Parameters::new(seed);
        TextEncoder::build(&config, &mut parameters)?;
        PromptHead::build(&config, &mut parameters)?;
        Ok(parameters)
    }

    #[test]
    fn a_tower_survives_its_tensors() -> Result<(), ModelError> {
        let tower = Tower::from_parameters(&untrained(3)?)?;
        let again = Tower::from_tensors(tower.tensors().iter().map(|(name, tensor)| (name.as_str(), tensor)))?;
        assert_eq!(tower.target_embeddings()?, again.target_embeddings()?);
        assert_eq!(tower.sha256()?, again.sha256()?);
        assert_ne!(tower.sha256()?, Tower::from_parameters(&untrained(4)?)?.sha256()?);
        assert_eq!((tower.width(), tower.target_embeddings()?.len()), (32, 9));
        Ok(())
    }

    #[test]
    fn neighbours_in_a_batch_do_not_matter() -> Result<(), ModelError> {
        let tower = Tower::from_parameters(&untrained(3)?)?;
        let long = "artery ".repeat(30);
        let alone = tower.resolve(&["left vein"])?;
        assert_eq!(tower.resolve(&[long.as_str(), "left vein"])?[1], alone[0]);
        assert_eq!(alone[0].ids.len(), 4);
        assert!(tower.resolve::<&str>(&[])?.is_empty());
        Ok(())
    }

    #[test]
    fn a_missing_tensor_has_a_name() -> Result<(), ModelError> {
        let tower = Tower::from_parameters(&untrained(3)?)?;
        let without = tower.tensors().iter().filter(|(name, _)| name != "text.norm.beta");
        let error = Tower::from_tensors(without.map(|(name, tensor)| (name.as_str(), tensor))).expect_err("incomplete");
        assert!(matches!(error, ModelError::MissingTensor { name, .. } if name == "text.norm.beta"));
        Ok(())
    }
}
