//! Updates of parameters in place: `AdamW`, stochastic gradient descent with Nesterov momentum, moving averages, and
//! the norm of a gradient. What an optimiser remembers of a parameter lies beside it, on its device.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod state;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, Var, bail};

use crate::dense::values;
use state::Memory;
pub use state::State;

/// How a parameter w follows its gradient g, with numbers of one step:
///
/// ```text
/// g ← clip · g
/// Adamw   m ← β₁ m + (1 − β₁) g      v ← β₂ v + (1 − β₂) g²      w ← keep · w − step_size · m / (√v / second_root + ε)
/// Sgd     g ← g + decay · w           m ← momentum · m + g        w ← w − rate · (g + momentum · m)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Two moments.
    Adamw {
        /// 1 − rate · weight decay.
        keep: f32,
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// The rate, with the first moment's start at zero made up for.
        step_size: f32,
        /// √(1 − β₂ᵗ): makes up for the second moment's.
        second_root: f32,
        /// ε.
        epsilon: f32,
    },
    /// Nesterov momentum.
    Sgd {
        /// Learning rate.
        rate: f32,
        /// Momentum.
        momentum: f32,
        /// Weight decay, added to the gradient.
        decay: f32,
    },
}

/// Updates a parameter and its moments; `second` is there where the rule has a second moment.
///
/// # Errors
/// Sizes that differ; tensors on different devices, or not contiguous f32.
pub fn update(
    parameter: &Var,
    gradient: &Tensor,
    clip: f32,
    rule: Rule,
    first: &mut State,
    second: Option<&mut State>,
) -> Result<()> {
    let count = parameter.elem_count();
    let lengths = [gradient.elem_count(), first.len(), second.as_ref().map_or(count, |second| second.len())];
    if lengths != [count; 3] {
        bail!("optimizer: a parameter of {count} numbers met gradient and moments of {lengths:?}");
    }
    if matches!(rule, Rule::Adamw { .. }) != second.is_some() {
        bail!("optimizer: {rule:?} and {} second moment", if second.is_some() { "a" } else { "no" });
    }
    let moments = Moments { first: &mut first.0, second: second.map(|second| &mut second.0) };
    parameter.as_tensor().inplace_op1(&Update { gradient, clip, rule, moments: moments.into() })
}

/// The moments of one parameter while it is updated.
struct Moments<'a> {
    first: &'a mut Memory,
    second: Option<&'a mut Memory>,
}

struct Update<'a> {
    gradient: &'a Tensor,
    clip: f32,
    rule: Rule,
    moments: std::cell::RefCell<Moments<'a>>,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "optimizer"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(all), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("optimizer: expected contiguous f32 parameters");
        };
        let (gradient, gradient_layout) = self.gradient.storage_and_layout();
        let gradient = values(&gradient, gradient_layout)?;
        let mut moments = self.moments.borrow_mut();
        let Moments { first, second } = &mut *moments;
        let second = second.as_deref_mut().map(Memory::on_cpu).transpose()?.unwrap_or_default();
        cpu::update(&mut all[start..end], gradient, self.clip, self.rule, first.on_cpu()?, second);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let mut moments = self.moments.borrow_mut();
        let Moments { first, second } = &mut *moments;
        cuda::update((storage, layout), self.gradient, self.clip, self.rule, first, second.as_deref_mut())
    }
}

/// The L2 norm of several gradients as one vector; one read of the device for all of them.
///
/// # Errors
/// Tensors on different devices, or not contiguous f32.
pub fn norm<'a>(gradients: impl Iterator<Item = &'a Tensor>) -> Result<f64> {
    let gradients: Vec<&Tensor> = gradients.collect();
    #[cfg(feature = "cuda")]
    if gradients.iter().any(|gradient| gradient.device().is_cuda()) {
        return Ok(cuda::squares(&gradients)?.sqrt());
    }
    let mut sum = 0.0;
    for gradient in gradients {
        let (storage, layout) = gradient.storage_and_layout();
        sum += cpu::squares(values(&storage, layout)?);
    }
    Ok(sum.sqrt())
}

/// mean ← mean + share · (parameter − mean).
///
/// # Errors
/// As [`update`].
pub fn follow(mean: &mut State, parameter: &Tensor, share: f32) -> Result<()> {
    if mean.len() != parameter.elem_count() {
        bail!("optimizer: the mean of {} numbers met {} others", mean.len(), parameter.elem_count());
    }
    #[cfg(feature = "cuda")]
    if parameter.device().is_cuda() {
        return cuda::follow(&mut mean.0, parameter, share);
    }
    let (storage, layout) = parameter.storage_and_layout();
    cpu::follow(mean.0.on_cpu()?, values(&storage, layout)?, share);
    Ok(())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const SGD: Rule = Rule::Sgd { rate: 0.5, momentum: 0.5, decay: 0.0 };

    #[test]
    fn sgd_by_hand() -> Result<()> {
        let var = Var::new(&[1.0_f32, 2.0], &Device::Cpu)?;
        let mut first = State::from_host(vec![2.0, 0.0], &Device::Cpu)?;
        let gradient = Tensor::new(&[1.0_f32, -4.0], &Device::Cpu)?;
        // g = (0.5, −2), m = (1.5, −2), w − 0.5 (g + 0.5 m).
        update(&var, &gradient, 0.5, SGD, &mut first, None)?;
        assert_eq!(first.to_host()?, [1.5, -2.0]);
        assert_eq!(var.to_vec1::<f32>()?, [0.375, 3.5]);
        Ok(())
    }

    #[test]
    fn averages_follow_and_norms_are_of_all() -> Result<()> {
        let tensor = Tensor::new(&[3.0_f32, 4.0], &Device::Cpu)?;
        let mut mean = State::zeros(2, &Device::Cpu)?;
        follow(&mut mean, &tensor, 0.25)?;
        assert_eq!(mean.to_host()?, [0.75, 1.0]);
        assert_eq!(norm([&tensor, &Tensor::new(&[12.0_f32], &Device::Cpu)?].into_iter())?, 13.0);
        let var = Var::zeros(2, candle_core::DType::F32, &Device::Cpu)?;
        mean.copy_to(&var)?;
        assert_eq!(var.to_vec1::<f32>()?, [0.75, 1.0]);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() -> Result<()> {
        let var = Var::new(&[1.0_f32, 2.0], &Device::Cpu)?;
        let gradient = Tensor::new(&[1.0_f32], &Device::Cpu)?;
        let mut moment = State::zeros(2, &Device::Cpu)?;
        assert!(update(&var, &gradient, 1.0, SGD, &mut moment, None).is_err());
        let mut second = State::zeros(2, &Device::Cpu)?;
        assert!(update(&var, var.as_tensor(), 1.0, SGD, &mut moment, Some(&mut second)).is_err());
        assert!(follow(&mut moment, &gradient, 0.5).is_err());
        Ok(())
    }
}
