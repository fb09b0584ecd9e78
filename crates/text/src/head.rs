//! A phrase's embedding → a target, or none.

use candle_core::{D, Tensor, Var};
use pulmoav_model::ModelError;
use pulmoav_model::parameters::{Init, Parameters, Scope};
use pulmoav_ops::device::to_host;
use pulmoav_ops::linear;

use crate::encoder::TextConfig;

/// Everything a prompt can mean to our plans, in the order of the label values 1 to 9.
pub const TARGETS: [&str; 9] = [
    "artery",
    "vein",
    "left artery",
    "right artery",
    "left vein",
    "right vein",
    "vessels",
    "left vessels",
    "right vessels",
];

/// The class behind the targets: a prompt that means none of them.
pub const REJECT: usize = TARGETS.len();
/// Targets and the refusal.
pub const CLASSES: usize = TARGETS.len() + 1;
/// A target less sure than this is none.
pub const MIN_CONFIDENCE: f32 = 0.5;

/// The phrase whose embedding stands for a target, the published one (docs/method.md, Prompts and text encoder).
pub fn template(item: &str) -> String {
    format!("A computerized tomography of a {item}")
}

/// What the head thinks of one embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The target; `None` is a refusal.
    pub target: Option<&'static str>,
    /// Probability of this answer.
    pub confidence: f32,
}

/// One linear layer, softmax, and a least confidence.
#[derive(Debug, Clone)]
pub struct PromptHead {
    weight: Var,
    bias: Var,
}

impl PromptHead {
    /// Takes the parameters named `text.head.*`, or creates them.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], [`ModelError::WrongTensor`].
    pub fn build(config: &TextConfig, parameters: &mut Parameters) -> Result<Self, ModelError> {
        let width = config.embedding_width();
        let mut root = Scope::root(parameters);
        let mut text = root.at("text");
        let mut head = text.at("head");
        Ok(Self {
            weight: head.parameter("weight", &[width, CLASSES], Init::scaled(1.0, width))?,
            bias: head.parameter("bias", &[CLASSES], Init::Constant(0.0))?,
        })
    }

    /// Logits of the targets and, last, of the refusal.
    ///
    /// # Shapes
    /// `embeddings` `[p, e]` → `[p, 10]`.
    pub fn logits(&self, embeddings: &Tensor) -> Result<Tensor, ModelError> {
        Ok(linear(embeddings, &self.weight, Some(&self.bias))?)
    }

    /// One verdict an embedding. A target below [`MIN_CONFIDENCE`] becomes a refusal, as sure as no target is.
    ///
    /// # Shapes
    /// `embeddings` `[p, e]` → p verdicts.
    pub fn judge(&self, embeddings: &Tensor) -> Result<Vec<Verdict>, ModelError> {
        let logits = self.logits(embeddings)?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
        let rows = to_host(&shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?)?;
        Ok(rows.chunks_exact(CLASSES).map(verdict).collect())
    }
}

fn verdict(probabilities: &[f32]) -> Verdict {
    let (mut best, mut most) = (REJECT, 0.0);
    for (class, &probability) in probabilities.iter().enumerate() {
        if probability > most {
            (best, most) = (class, probability);
        }
    }
    match TARGETS.get(best) {
        Some(target) if most >= MIN_CONFIDENCE => Verdict { target: Some(target), confidence: most },
        Some(_) => Verdict { target: None, confidence: 1.0 - most },
        None => Verdict { target: None, confidence: most },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsure_target_is_a_refusal() {
        let mut row = [0.0; CLASSES];
        (row[0], row[1], row[REJECT]) = (0.45, 0.4, 0.15);
        assert_eq!(verdict(&row), Verdict { target: None, confidence: 0.55 });
        (row[0], row[1]) = (0.6, 0.25);
        assert_eq!(verdict(&row), Verdict { target: Some("artery"), confidence: 0.6 });
        (row[0], row[REJECT]) = (0.1, 0.65);
        assert_eq!(verdict(&row), Verdict { target: None, confidence: 0.65 });
        assert_eq!(verdict(&[f32::NAN; CLASSES]), Verdict { target: None, confidence: 0.0 });
    }
}
