//! Updates of parameters in place, by `AdamW` or by Nesterov momentum, and what goes with them: the global norm of the
//! gradients, the moving average of the weights.
//!
//! ```text
//! adamw   w ← keep · w − step · m / (√v / root + ε)    m ← β₁ m + (1 − β₁) g    v ← β₂ v + (1 − β₂) g²
//! sgd     w ← w − rate (g + μ m)                       m ← μ m + g              g ← g + λ w before
//! ```

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, bail};
use std::cell::RefCell;

use crate::buffer::{Buffer, Place};
use crate::dense::values;

/// One step's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Two moments.
    Adamw {
        /// What decay leaves of a weight.
        keep: f32,
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// The learning rate over 1 − β₁ᵗ.
        step_size: f32,
        /// √(1 − β₂ᵗ).
        second_root: f32,
        /// Added to the root of the second moment.
        epsilon: f32,
    },
    /// Nesterov momentum.
    Sgd {
        /// The learning rate.
        rate: f32,
        /// Momentum.
        momentum: f32,
        /// Weight decay, added to the gradient.
        decay: f32,
    },
}

/// Sum of squares of all gradients; partial sums a block, added in order.
///
/// # Errors
/// A gradient that is not contiguous f32.
pub fn squared_norm(gradients: &[&Tensor]) -> Result<f64> {
    #[cfg(feature = "cuda")]
    if gradients.first().is_some_and(|gradient| gradient.device().is_cuda()) {
        return cuda::squared_norm(gradients);
    }
    let mut sum = 0.0;
    for gradient in gradients {
        let (storage, layout) = gradient.storage_and_layout();
        sum += cpu::squares(values(&storage, layout)?);
    }
    Ok(sum)
}

/// Moves `weights` by `clip` times the gradient, and the moments with them; `second` where the rule has one.
///
/// # Errors
/// Tensors that are not contiguous f32, of another length, or not on one device.
pub fn update(
    weights: &Tensor,
    gradient: &Tensor,
    clip: f32,
    first: &mut Buffer,
    second: Option<&mut Buffer>,
    rule: Rule,
) -> Result<()> {
    let count = weights.elem_count();
    let lengths = [gradient.elem_count(), first.len(), second.as_ref().map_or(count, |second| second.len())];
    if lengths != [count; 3] || second.is_some() != matches!(rule, Rule::Adamw { .. }) {
        bail!("optimizer: {count} weights, gradient and moments of {lengths:?}, rule {rule:?}");
    }
    weights.inplace_op1(&Update { gradient, clip, rule, moments: RefCell::new((first, second)) })
}

/// mean ← mean + share · (weights − mean).
///
/// # Errors
/// Weights that are not contiguous f32, of another length, or on another device.
pub fn follow(mean: &mut Buffer, weights: &Tensor, share: f32) -> Result<()> {
    if mean.len() != weights.elem_count() {
        bail!("optimizer: a mean of {} numbers, {} weights", mean.len(), weights.elem_count());
    }
    match &mut mean.0 {
        Place::Host(means) => {
            let (storage, layout) = weights.storage_and_layout();
            cpu::follow(means, values(&storage, layout)?, share);
            Ok(())
        }
        #[cfg(feature = "cuda")]
        Place::Card(means, card) => cuda::follow(means, card, weights, share),
    }
}

struct Update<'a> {
    gradient: &'a Tensor,
    clip: f32,
    rule: Rule,
    moments: RefCell<(&'a mut Buffer, Option<&'a mut Buffer>)>,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "optimizer"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(all), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("optimizer: expected contiguous f32 parameters");
        };
        let mut moments = self.moments.borrow_mut();
        let (first, second) = &mut *moments;
        let second = match second {
            None => &mut [][..],
            Some(Buffer(Place::Host(second))) => second,
            #[cfg(feature = "cuda")]
            Some(_) => bail!("optimizer: moments on a card, parameters on the host"),
        };
        #[cfg_attr(not(feature = "cuda"), allow(irrefutable_let_patterns))]
        let Place::Host(first) = &mut first.0 else { bail!("optimizer: moments on a card, parameters on the host") };
        let (storage, layout) = self.gradient.storage_and_layout();
        cpu::update(&mut all[start..end], values(&storage, layout)?, self.clip, first, second, self.rule);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let mut moments = self.moments.borrow_mut();
        let (first, second) = &mut *moments;
        cuda::update(storage, layout, self, first, second.as_deref_mut())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn lengths_and_rules_that_do_not_fit_are_refused() {
        let weights = Var::new(&[1.0f32, 2.0], &Device::Cpu).unwrap();
        let gradient = Tensor::new(&[1.0f32, 1.0], &Device::Cpu).unwrap();
        let sgd = Rule::Sgd { rate: 0.5, momentum: 0.0, decay: 0.0 };
        let mut short = Buffer::zeros(1, &Device::Cpu).unwrap();
        assert!(update(&weights, &gradient, 1.0, &mut short, None, sgd).is_err());
        let (mut first, mut second) =
            (Buffer::zeros(2, &Device::Cpu).unwrap(), Buffer::zeros(2, &Device::Cpu).unwrap());
        assert!(update(&weights, &gradient, 1.0, &mut first, Some(&mut second), sgd).is_err());
        update(&weights, &gradient, 2.0, &mut first, None, sgd).unwrap();
        assert_eq!(weights.to_vec1::<f32>().unwrap(), [0.0, 1.0]);
        assert_eq!(first.to_vec().unwrap(), [2.0, 2.0]);
        follow(&mut first, &weights, 0.5).unwrap();
        assert_eq!(first.to_vec().unwrap(), [1.0, 1.5]);
    }
}
