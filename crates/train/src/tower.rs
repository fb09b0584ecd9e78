//! The bundled tower's training: cross-entropy over targets and refusal.

use candle_core::{D, Device, Tensor};
use pulmoav_model::Parameters;
use pulmoav_ops::device::{Compute, from_host};
use pulmoav_task::Monitor;
use pulmoav_text::corpus::Corpus;
use pulmoav_text::head::CLASSES;
use pulmoav_text::{PromptHead, TextConfig, TextEncoder, Tokenizer, Tower};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::optimizer::{Optimizer, OptimizerConfig};

/// How the tower is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TowerConfig {
    /// Seed of the first weights and of the phrases.
    pub seed: u64,
    /// Channels and width of the embeddings, a multiple of 16.
    pub width: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Updates.
    pub steps: u64,
    /// Phrases an update.
    pub batch: u32,
    /// Highest learning rate; it rises over a twentieth of the steps and falls as a cosine to 0.
    pub learning_rate: f64,
    /// Share of the answer spread over the other classes.
    pub smoothing: f64,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
}

impl TowerConfig {
    fn validate(&self) -> Result<(), TrainError> {
        let problem = if self.width == 0 || !self.width.is_multiple_of(16) || self.width > 1024 {
            format!("tower.width is {}; expected a multiple of 16 up to 1024", self.width)
        } else if self.layers == 0 || self.layers > 24 {
            format!("tower.layers is {}; expected 1 to 24", self.layers)
        } else if self.steps == 0 || self.batch == 0 {
            format!("tower.steps is {} and tower.batch {}; expected at least 1", self.steps, self.batch)
        } else if !(0.0..0.5).contains(&self.smoothing) {
            format!("tower.smoothing is {}; expected 0 up to 0.5", self.smoothing)
        } else {
            return self.optimizer.validate();
        };
        Err(TrainError::Config(problem))
    }

    fn learning_rate_at(&self, step: u64) -> f64 {
        let warm_up = (self.steps as f64 / 20.0).max(1.0);
        let (step, steps) = (step as f64, self.steps as f64);
        if step < warm_up {
            return self.learning_rate * (step + 1.0) / warm_up;
        }
        let done = (step - warm_up) / (steps - warm_up).max(1.0);
        self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

/// Trains a tower from nothing on a device; on the CPU the same config gives the same tower, bit for bit, for any number of threads.
///
/// # Errors
/// [`TrainError::Config`], [`TrainError::Cancelled`] (checked every step).
pub fn train_tower(config: &TowerConfig, device: &Device, monitor: &dyn Monitor) -> Result<Tower, TrainError> {
    config.validate()?;
    let corpus = Corpus::new(config.seed)?;
    let mut parameters = Parameters::new(config.seed).on(&Compute::on(device))?;
    let sizes = TextConfig::small(config.width, config.layers);
    let encoder = TextEncoder::build(&sizes, &mut parameters)?;
    let head = PromptHead::build(&sizes, &mut parameters)?;
    let variables = parameters.iter().map(|(name, var)| (name.to_owned(), var.clone())).collect();
    let mut optimizer = Optimizer::new(config.optimizer, variables)?;
    for step in 0..config.steps {
        monitor.proceed()?;
        let (ids, classes) = batch(&corpus, config, step);
        let logits = head.logits(&encoder.embed(&ids)?)?;
        let loss = cross_entropy(&logits, &classes, config.smoothing)?;
        let mut gradients = loss.backward()?;
        optimizer.update(step + 1, config.learning_rate_at(step), &mut gradients)?;
        monitor.report("tower", step + 1, config.steps);
    }
    Ok(Tower::from_parameters(&parameters)?)
}

/// A batch's prompts and their classes.
fn batch(corpus: &Corpus, config: &TowerConfig, step: u64) -> (Vec<Vec<u32>>, Vec<usize>) {
    let tokenizer = Tokenizer::shared();
    let phrases = (0..config.batch).map(|sample| corpus.phrase(step, sample));
    phrases.map(|phrase| (tokenizer.prompt(&phrase.text).ids, phrase.class)).unzip()
}

/// Mean over phrases of -sum(target * log softmax(logits)).
///
/// # Shapes
/// `logits` `[p, 10]`, p classes → a scalar.
fn cross_entropy(logits: &Tensor, classes: &[usize], smoothing: f64) -> Result<Tensor, TrainError> {
    let rest = (smoothing / (CLASSES - 1) as f64) as f32;
    let mut wanted = vec![rest; classes.len() * CLASSES];
    for (row, &class) in wanted.chunks_exact_mut(CLASSES).zip(classes) {
        row[class] = (1.0 - smoothing) as f32;
    }
    let wanted = from_host(wanted, (classes.len(), CLASSES), logits.device())?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let log_probabilities = shifted.broadcast_sub(&log_sum)?;
    Ok(((wanted * log_probabilities)?.sum_all()? * (-1.0 / classes.len() as f64))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::AdamWConfig;
    use pulmoav_task::Silent;

    pub(crate) fn tiny() -> TowerConfig {
        TowerConfig {
            seed: 1,
            width: 16,
            layers: 1,
            steps: 3,
            batch: 16,
            learning_rate: 1e-2,
            smoothing: 0.02,
            optimizer: OptimizerConfig::Adamw(AdamWConfig {
                beta1: 0.9,
                beta2: 0.99,
                epsilon: 1e-8,
                weight_decay: 0.01,
                clip_norm: 1.0,
                mean_decay: 0.0,
            }),
        }
    }

    #[test]
    fn cross_entropy_of_certainty_and_of_doubt() -> Result<(), TrainError> {
        let logits = Tensor::zeros((2, CLASSES), candle_core::DType::F32, &Device::Cpu)?;
        let doubt = cross_entropy(&logits, &[0, 9], 0.0)?.to_scalar::<f32>()?;
        assert!((doubt - 10f32.ln()).abs() < 1e-6, "{doubt}");
        Ok(())
    }

    #[test]
    fn training_is_reproducible_and_can_be_cancelled() -> Result<(), TrainError> {
        struct Stop;
        impl Monitor for Stop {
            fn report(&self, _: &'static str, _: u64, _: u64) {}
            fn cancelled(&self) -> bool {
                true
            }
        }
        let one = train_tower(&tiny(), &Device::Cpu, &Silent)?;
        assert_eq!(one.sha256()?, train_tower(&tiny(), &Device::Cpu, &Silent)?.sha256()?);
        assert_ne!(one.sha256()?, train_tower(&TowerConfig { seed: 2, ..tiny() }, &Device::Cpu, &Silent)?.sha256()?);
        assert!(matches!(train_tower(&tiny(), &Device::Cpu, &Stop), Err(TrainError::Cancelled)));
        assert!(matches!(
            train_tower(&TowerConfig { width: 20, ..tiny() }, &Device::Cpu, &Silent),
            Err(TrainError::Config(_))
        ));
        Ok(())
    }

    #[test]
    fn every_parameter_learns() -> Result<(), TrainError> {
        // The table starts at zero, so what stands behind it has a gradient only from the second step on.
        let before = train_tower(&TowerConfig { steps: 1, ..tiny() }, &Device::Cpu, &Silent)?;
        let after = train_tower(&tiny(), &Device::Cpu, &Silent)?;
        for ((name, a), (_, b)) in before.tensors().iter().zip(after.tensors()) {
            // A softmax does not see what is added to all its scores.
            if name.ends_with("key.bias") {
                continue;
            }
            let change =
                (a.to_dtype(candle_core::DType::F32)? - b.to_dtype(candle_core::DType::F32)?)?.abs()?.sum_all()?;
            let change = change.to_scalar::<f32>()?;
            assert!(change.is_finite() && change > 0.0, "{name}");
        }
        Ok(())
    }
}
