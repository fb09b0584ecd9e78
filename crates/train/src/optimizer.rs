//! `AdamW`, and stochastic gradient descent with Nesterov momentum, with gradient clipping. Parameters, gradients and
//! moments stay on their device; the norm of a step's gradient is read from it.
//!
//! Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019; Sutskever et al., "On the importance of
//! initialization and momentum in deep learning", ICML 2013. Both in PyTorch's arithmetic:
//!
//! ```text
//! g ← g · min(1, clip / (‖g‖ + 1e-6))
//!
//! adamw   w ← w − lr · λ · w                   m ← β₁ m + (1 − β₁) g      v ← β₂ v + (1 − β₂) g²
//!         w ← w − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
//! sgd     g ← g + λ w                          m ← μ m + g
//!         w ← w − lr (g + μ m)
//! ```

use candle_core::{Tensor, Var, backprop::GradStore};
use pulmoav_ops::optimizer::{Rule, State, norm, update};
use serde::{Deserialize, Serialize};

use crate::{error::TrainError, range::within};

/// Which optimiser, and its numbers; the learning rate comes with each step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum OptimizerConfig {
    /// Two moments.
    Adamw(AdamWConfig),
    /// Nesterov momentum.
    Sgd(SgdConfig),
}

/// Numbers of `AdamW`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest global gradient norm; 0 turns clipping off.
    pub clip_norm: f64,
    /// Decay of the moving average (EMA) of the weights, which is what gets exported and scored.
    pub mean_decay: f64,
}

/// Numbers of stochastic gradient descent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SgdConfig {
    /// Nesterov momentum.
    pub momentum: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
    /// Largest global gradient norm; 0 turns clipping off.
    pub clip_norm: f64,
    /// Decay of the moving average (EMA) of the weights, which is what gets exported and scored.
    pub mean_decay: f64,
}

impl OptimizerConfig {
    /// Decay of the moving average (EMA) of the weights.
    pub fn mean_decay(&self) -> f64 {
        match self {
            Self::Adamw(config) => config.mean_decay,
            Self::Sgd(config) => config.mean_decay,
        }
    }

    fn clip_norm(&self) -> f64 {
        match self {
            Self::Adamw(config) => config.clip_norm,
            Self::Sgd(config) => config.clip_norm,
        }
    }

    fn weight_decay(&self) -> f64 {
        match self {
            Self::Adamw(config) => config.weight_decay,
            Self::Sgd(config) => config.weight_decay,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        match self {
            Self::Adamw(config) => {
                within("optimizer.beta1", config.beta1, 0.0, 0.999_999)?;
                within("optimizer.beta2", config.beta2, 0.0, 0.999_999_9)?;
                within("optimizer.epsilon", config.epsilon, 1e-16, 1.0)?;
            }
            Self::Sgd(config) => within("optimizer.momentum", config.momentum, 0.0, 0.999_999)?,
        }
        within("optimizer.weightDecay", self.weight_decay(), 0.0, 10.0)?;
        within("optimizer.clipNorm", self.clip_norm(), 0.0, 1e9)?;
        within("optimizer.meanDecay", self.mean_decay(), 0.0, 0.999_999)
    }
}

/// One trainable tensor with its state, all of one length.
pub struct Slot {
    /// The parameter's name.
    pub name: String,
    /// The parameter.
    pub var: Var,
    /// First moment, or momentum.
    pub first: State,
    /// Second moment; `None` without one.
    pub second: Option<State>,
}

/// The optimiser: parameters in the order of their names.
pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
}

/// What an update did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Global norm before clipping.
    pub grad_norm: f64,
    /// False where the norm was not finite and nothing was changed.
    pub applied: bool,
}

impl Optimizer {
    /// Moments start at zero.
    ///
    /// # Errors
    /// If the parameters' device has no room.
    pub fn new(config: OptimizerConfig, mut variables: Vec<(String, Var)>) -> Result<Self, TrainError> {
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        let slots = variables.into_iter().map(|(name, var)| {
            let zeros = || State::zeros(var.elem_count(), var.device());
            let second = matches!(config, OptimizerConfig::Adamw(_)).then(zeros).transpose()?;
            Ok(Slot { first: zeros()?, second, name, var })
        });
        Ok(Self { config, slots: slots.collect::<Result<_, TrainError>>()? })
    }

    /// Every parameter with its state, by name.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn slots_mut(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    /// Update number `count` (from 1). Parameters without a gradient stay as they are.
    pub fn update(&mut self, count: u64, learning_rate: f64, gradients: &mut GradStore) -> Result<Update, TrainError> {
        let gradients: Vec<Option<Tensor>> = self
            .slots
            .iter()
            .map(|slot| gradients.remove(&slot.var).map(|gradient| gradient.contiguous()).transpose())
            .collect::<Result<_, _>>()?;
        let grad_norm = norm(gradients.iter().flatten())?;
        if !grad_norm.is_finite() {
            return Ok(Update { grad_norm, applied: false });
        }
        let clip = clip(self.config.clip_norm(), grad_norm);
        let rule = rule(&self.config, count, learning_rate);
        for (Slot { var, first, second, .. }, gradient) in self.slots.iter_mut().zip(&gradients) {
            if let Some(gradient) = gradient {
                update(var, gradient, clip, rule, first, second.as_mut())?;
            }
        }
        Ok(Update { grad_norm, applied: true })
    }
}

/// What every gradient is multiplied by.
fn clip(most: f64, grad_norm: f64) -> f32 {
    if most > 0.0 { (most / (grad_norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
}

/// The step's numbers, computed once in f64.
fn rule(config: &OptimizerConfig, count: u64, rate: f64) -> Rule {
    let t = count as f64;
    match config {
        OptimizerConfig::Adamw(config) => Rule::Adamw {
            keep: (1.0 - rate * config.weight_decay) as f32,
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            step_size: (rate / (1.0 - config.beta1.powf(t))) as f32,
            second_root: (1.0 - config.beta2.powf(t)).sqrt() as f32,
            epsilon: config.epsilon as f32,
        },
        OptimizerConfig::Sgd(config) => {
            Rule::Sgd { rate: rate as f32, momentum: config.momentum as f32, decay: config.weight_decay as f32 }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ema::Ema;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Golden {
        clip: f64,
        weight_decay: f64,
        #[serde(default)]
        mean_decay: f64,
        #[serde(default)]
        momentum: f64,
        start: Vec<f32>,
        gradients: Vec<Vec<f32>>,
        rates: Vec<f64>,
        norms: Vec<f64>,
        weights: Vec<Vec<f32>>,
        #[serde(default)]
        means: Vec<Vec<f32>>,
    }

    fn gradient_of(var: &Var, values: &[f32]) -> GradStore {
        let slope = Tensor::new(values, &Device::Cpu).unwrap();
        (var.as_tensor() * slope).unwrap().sum_all().unwrap().backward().unwrap()
    }

    fn close(ours: &[f32], theirs: &[f32]) {
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a - b).abs() < 2e-6, "{ours:?} {theirs:?}");
        }
    }

    fn follows(golden: &Golden, config: OptimizerConfig) {
        let var = Var::new(&*golden.start, &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::new(config, vec![("w".into(), var.clone())]).unwrap();
        let mut ema = Ema::new(golden.mean_decay, optimizer.slots()).unwrap();
        for t in 0..golden.rates.len() {
            let mut gradients = gradient_of(&var, &golden.gradients[t]);
            let update = optimizer.update(t as u64 + 1, golden.rates[t], &mut gradients).unwrap();
            assert!(update.applied && (update.grad_norm - golden.norms[t]).abs() < 1e-5);
            close(&var.to_vec1().unwrap(), &golden.weights[t]);
            ema.follow(t as u64 + 1, optimizer.slots()).unwrap();
            if let Some(mean) = golden.means.get(t) {
                close(&ema.means()[0].values().to_host().unwrap(), mean);
            }
        }
    }

    /// `crates/testing/goldens/train.py` computed these with torch.optim.AdamW.
    #[test]
    fn adamw_equals_pytorch() {
        let goldens: Vec<Golden> =
            serde_json::from_str(include_str!("../../testing/goldens/train/adamw.json")).unwrap();
        for golden in goldens {
            let config = AdamWConfig {
                beta1: 0.9,
                beta2: 0.99,
                epsilon: 1e-8,
                weight_decay: golden.weight_decay,
                clip_norm: golden.clip,
                mean_decay: golden.mean_decay,
            };
            follows(&golden, OptimizerConfig::Adamw(config));
        }
    }

    /// `crates/testing/goldens/sgd.py` computed these from the formula in PyTorch's documentation.
    #[test]
    fn sgd_equals_its_formula() {
        let goldens: Vec<Golden> = serde_json::from_str(include_str!("../../testing/goldens/train/sgd.json")).unwrap();
        for golden in goldens {
            let config = SgdConfig {
                momentum: golden.momentum,
                weight_decay: golden.weight_decay,
                clip_norm: golden.clip,
                mean_decay: 0.0,
            };
            follows(&golden, OptimizerConfig::Sgd(config));
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let sgd = SgdConfig { momentum: 0.9, weight_decay: 0.1, clip_norm: 1.0, mean_decay: 0.9 };
        let var = Var::new(&[1.0f32, 2.0], &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::new(OptimizerConfig::Sgd(sgd), vec![("w".into(), var.clone())]).unwrap();
        let update = optimizer.update(1, 0.1, &mut gradient_of(&var, &[f32::NAN, 1.0])).unwrap();
        assert!(!update.applied);
        assert_eq!(var.to_vec1::<f32>().unwrap(), [1.0, 2.0]);
        assert_eq!(optimizer.slots()[0].first.to_host().unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn kinds_are_closed_and_fields_known() {
        let read = |json: &str| serde_json::from_str::<OptimizerConfig>(json);
        let sgd = r#"{"kind":"sgd","momentum":0.99,"weightDecay":3e-5,"clipNorm":12,"meanDecay":0}"#;
        assert!(matches!(read(sgd).unwrap(), OptimizerConfig::Sgd(_)));
        assert!(read(&sgd.replace("sgd", "lion")).is_err());
        assert!(read(&sgd.replace("momentum", "beta1")).is_err());
        assert!(read(&sgd.replace("0.99", "0.99,\"beta1\":0.9")).is_err());
        assert!(read(&sgd.replace("0.99", "1.0")).unwrap().validate().is_err());
    }
}
