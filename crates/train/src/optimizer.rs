//! `AdamW` with gradient clipping and a moving average (EMA) of the weights, fused and parallel.
//!
//! Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, in PyTorch's arithmetic:
//!
//! ```text
//! g ← g · min(1, clip / (‖g‖ + 1e-6))        w ← w − lr · λ · w
//! m ← β₁ m + (1 − β₁) g                      v ← β₂ v + (1 − β₂) g²
//! w ← w − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
//! mean ← mean + (1 − d) (w − mean),  d = min(decay, (1 + t) / (10 + t))
//! ```

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor, Var, backprop::GradStore};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::TrainError, range::within};

/// Values a block: never depends on the number of threads.
const BLOCK: usize = 16_384;

/// Numbers of the optimiser; the learning rate comes with each step.
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

impl AdamWConfig {
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        within("optimizer.beta1", self.beta1, 0.0, 0.999_999)?;
        within("optimizer.beta2", self.beta2, 0.0, 0.999_999_9)?;
        within("optimizer.epsilon", self.epsilon, 1e-16, 1.0)?;
        within("optimizer.weightDecay", self.weight_decay, 0.0, 10.0)?;
        within("optimizer.clipNorm", self.clip_norm, 0.0, 1e9)?;
        within("optimizer.meanDecay", self.mean_decay, 0.0, 0.999_999)
    }
}

/// One trainable tensor with its state, all of one length.
pub struct Slot {
    /// The parameter's name.
    pub name: String,
    /// The parameter.
    pub var: Var,
    /// First moment.
    pub first: Vec<f32>,
    /// Second moment.
    pub second: Vec<f32>,
    /// Running mean of the weights.
    pub mean: Vec<f32>,
}

/// The optimiser: parameters in the order of their names.
pub struct AdamW {
    config: AdamWConfig,
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

impl AdamW {
    /// Moments start at zero, the mean at the weights.
    pub fn new(config: AdamWConfig, mut variables: Vec<(String, Var)>) -> Result<Self, TrainError> {
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        let slots = variables.into_iter().map(|(name, var)| slot(name, var)).collect::<Result<_, TrainError>>()?;
        Ok(Self { config, slots })
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
        let grad_norm = norm(&gradients)?;
        if !grad_norm.is_finite() {
            return Ok(Update { grad_norm, applied: false });
        }
        let rates = Rates::new(&self.config, count, learning_rate, grad_norm);
        for (slot, gradient) in self.slots.iter_mut().zip(&gradients) {
            if let Some(gradient) = gradient {
                apply(slot, gradient, rates)?;
            }
        }
        Ok(Update { grad_norm, applied: true })
    }
}

fn slot(name: String, var: Var) -> Result<Slot, TrainError> {
    let mean = var.flatten_all()?.to_vec1::<f32>()?;
    let zeros = vec![0.0; mean.len()];
    Ok(Slot { name, var, first: zeros.clone(), second: zeros, mean })
}

/// Runs `f` on a contiguous f32 CPU tensor's values.
fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> candle_core::Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((start, end))) => Ok(f(&storage.as_slice::<f32>()?[start..end])),
        _ => candle_core::bail!("optimizer: expected a contiguous f32 tensor on the CPU"),
    }
}

/// Global L2 norm; partial sums a block, added in order.
fn norm(gradients: &[Option<Tensor>]) -> Result<f64, TrainError> {
    let mut sum = 0.0;
    for gradient in gradients.iter().flatten() {
        sum += with_values(gradient, |values| {
            let partial: Vec<f64> = values
                .par_chunks(BLOCK)
                .map(|block| block.iter().map(|&g| f64::from(g) * f64::from(g)).sum())
                .collect();
            partial.into_iter().sum::<f64>()
        })?;
    }
    Ok(sum.sqrt())
}

/// The step's numbers, computed once in f64.
#[derive(Clone, Copy)]
struct Rates {
    clip: f32,
    keep: f32,
    beta1: f32,
    beta2: f32,
    step_size: f32,
    second_root: f32,
    epsilon: f32,
    mean: f32,
}

impl Rates {
    fn new(config: &AdamWConfig, count: u64, learning_rate: f64, grad_norm: f64) -> Self {
        let t = count as f64;
        let clip = if config.clip_norm > 0.0 { (config.clip_norm / (grad_norm + 1e-6)).min(1.0) } else { 1.0 };
        Self {
            clip: clip as f32,
            keep: (1.0 - learning_rate * config.weight_decay) as f32,
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            step_size: (learning_rate / (1.0 - config.beta1.powf(t))) as f32,
            second_root: (1.0 - config.beta2.powf(t)).sqrt() as f32,
            epsilon: config.epsilon as f32,
            mean: (1.0 - config.mean_decay.min((1.0 + t) / (10.0 + t))) as f32,
        }
    }
}

fn apply(slot: &mut Slot, gradient: &Tensor, rates: Rates) -> Result<(), TrainError> {
    let state = RefCell::new((&mut slot.first, &mut slot.second, &mut slot.mean));
    slot.var.as_tensor().inplace_op1(&Apply { gradient, state, rates })?;
    Ok(())
}

struct Apply<'a> {
    gradient: &'a Tensor,
    state: RefCell<(&'a mut Vec<f32>, &'a mut Vec<f32>, &'a mut Vec<f32>)>,
    rates: Rates,
}

impl InplaceOp1 for Apply<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("adamw: expected contiguous f32 parameters");
        };
        let mut state = self.state.borrow_mut();
        let (first, second, mean) = &mut *state;
        let weights = &mut values[start..end];
        with_values(self.gradient, |gradient| update_all(weights, gradient, first, second, mean, self.rates))
    }
}

fn update_all(
    weights: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    mean: &mut [f32],
    rates: Rates,
) {
    weights
        .par_chunks_mut(BLOCK)
        .zip(gradient.par_chunks(BLOCK))
        .zip(first.par_chunks_mut(BLOCK))
        .zip(second.par_chunks_mut(BLOCK))
        .zip(mean.par_chunks_mut(BLOCK))
        .for_each(|((((weights, gradient), first), second), mean)| {
            for i in 0..weights.len() {
                let g = gradient[i] * rates.clip;
                first[i] = rates.beta1 * first[i] + (1.0 - rates.beta1) * g;
                second[i] = rates.beta2 * second[i] + (1.0 - rates.beta2) * g * g;
                let denominator = second[i].sqrt() / rates.second_root + rates.epsilon;
                weights[i] = weights[i] * rates.keep - rates.step_size * first[i] / denominator;
                mean[i] += rates.mean * (weights[i] - mean[i]);
            }
        });
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Golden {
        clip: f64,
        weight_decay: f64,
        mean_decay: f64,
        start: Vec<f32>,
        gradients: Vec<Vec<f32>>,
        rates: Vec<f64>,
        norms: Vec<f64>,
        weights: Vec<Vec<f32>>,
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

    /// `crates/testing/goldens/train.py` computed these with torch.optim.AdamW.
    #[test]
    fn equals_pytorch() {
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
            let var = Var::new(&*golden.start, &Device::Cpu).unwrap();
            let mut optimizer = AdamW::new(config, vec![("w".into(), var.clone())]).unwrap();
            for t in 0..golden.rates.len() {
                let mut gradients = gradient_of(&var, &golden.gradients[t]);
                let update = optimizer.update(t as u64 + 1, golden.rates[t], &mut gradients).unwrap();
                assert!(update.applied && (update.grad_norm - golden.norms[t]).abs() < 1e-5);
                close(&var.to_vec1().unwrap(), &golden.weights[t]);
                close(&optimizer.slots()[0].mean, &golden.means[t]);
            }
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let config =
            AdamWConfig { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip_norm: 1.0, mean_decay: 0.9 };
        let var = Var::new(&[1.0f32, 2.0], &Device::Cpu).unwrap();
        let mut optimizer = AdamW::new(config, vec![("w".into(), var.clone())]).unwrap();
        let update = optimizer.update(1, 0.1, &mut gradient_of(&var, &[f32::NAN, 1.0])).unwrap();
        assert!(!update.applied);
        assert_eq!(var.to_vec1::<f32>().unwrap(), [1.0, 2.0]);
        assert_eq!(optimizer.slots()[0].first, [0.0, 0.0]);
    }
}
