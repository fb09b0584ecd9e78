//! Normalisation over space with the activation fused in: instance, group and batch norm.
//!
//! y = act((x - mean) / sqrt(var + eps) * gamma + beta), var biased (divided by the count), as PyTorch's
//! `InstanceNorm3d`, `GroupNorm` and `BatchNorm3d` in training mode. The forward pass reads x twice (moments, apply);
//! the backward pass reads x and the gradient twice (two sums, apply) and recomputes everything else from x. An x that
//! is [spent][Input::Spent] is overwritten by y, from which the backward pass finds x again: half the memory of a
//! network is inputs of norms.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod input;

use std::sync::{Mutex, OnceLock, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

pub use input::Input;

use crate::activation::Activation;
use crate::channelwise::{check, or_filled};
use crate::dense::{cpu_values, gradient, values};
use crate::tape::apply3;

/// Instance norm: statistics per sample and channel, over space.
///
/// # Shapes
/// `x` `[n, .., c]` (channels last), `gamma` and `beta` `[c]` or none (1 and 0) → the shape of `x`.
///
/// # Errors
/// A tensor of another shape, not f32, or not on the CPU; an activation slope below 0; an x that was spent before.
pub fn instance_norm<'a>(
    x: impl Into<Input<'a>>,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    normalise("instance_norm", &x.into(), gamma, beta, Scope::Instance, eps, activation)
}

/// Group norm: statistics per sample and group of `c / groups` neighbouring channels, over space.
///
/// # Shapes
/// `x` `[n, .., c]` (channels last), `gamma` and `beta` `[c]` or none (1 and 0) → the shape of `x`.
///
/// # Errors
/// `groups` does not divide `c`, and what [`instance_norm`] refuses.
pub fn group_norm<'a>(
    x: impl Into<Input<'a>>,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    groups: usize,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    let x = x.into();
    let channels = x.tensor().dims().last().copied().unwrap_or(0);
    if groups == 0 || !channels.is_multiple_of(groups) {
        bail!("group_norm: {groups} groups do not divide the {channels} channels of x {:?}", x.tensor().dims());
    }
    normalise("group_norm", &x, gamma, beta, Scope::Group { width: channels / groups }, eps, activation)
}

/// Batch norm: statistics per channel over the batch and space, always the batch's own (no running averages).
///
/// # Shapes
/// `x` `[n, .., c]` (channels last), `gamma` and `beta` `[c]` or none (1 and 0) → the shape of `x`.
///
/// # Errors
/// What [`instance_norm`] refuses.
pub fn batch_norm<'a>(
    x: impl Into<Input<'a>>,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    normalise("batch_norm", &x.into(), gamma, beta, Scope::Batch, eps, activation)
}

/// Over which (sample, channel) pairs statistics are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Instance,
    Group { width: usize },
    Batch,
}

/// `[samples, rows, channels]`: what every normalisation sees of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    samples: usize,
    rows: usize,
    channels: usize,
}

fn normalise(
    name: &'static str,
    input: &Input,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    scope: Scope,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    let x = input.tensor();
    let (&[samples, .., channels], true) = (x.dims(), x.elem_count() > 0) else {
        bail!("{name}: x has shape {:?}, expected [n, .., c] with at least one voxel", x.dims());
    };
    for (what, tensor) in [("gamma", gamma), ("beta", beta)] {
        if let Some(tensor) = tensor {
            check(name, what, tensor, channels, format_args!("the channels of x {:?}", x.dims()))?;
        }
    }
    let (gamma, beta) = (or_filled(gamma, 1.0, channels, x)?, or_filled(beta, 0.0, channels, x)?);
    let extent = Extent { samples, rows: x.elem_count() / (samples * channels), channels };
    let slope = activation.slope()?;
    let has_gradient = [x, &gamma, &beta].into_iter().any(Tensor::track_op);
    // On a card nothing is written over: reading gamma and beta back would make the host wait for it.
    let may_be_spent = x.device().is_cpu() && (!has_gradient || can_be_undone(&gamma, &beta, slope)?);
    let spent = if may_be_spent { input.take_values()? } else { None };
    let x = input.tensor().contiguous()?;
    let is_spent = spent.is_some();
    let op = Norm {
        name,
        extent,
        scope,
        eps,
        slope,
        moments: OnceLock::new(),
        #[cfg(feature = "cuda")]
        moments_on_card: OnceLock::new(),
        spent: Mutex::new(spent),
        is_spent,
    };
    apply3(&x, &gamma, &beta, op)
}

/// Whether y tells x: no slope and no scale takes it to nothing, and no shift drowns it.
fn can_be_undone(gamma: &Tensor, beta: &Tensor, slope: f32) -> Result<bool> {
    /// The error of x, in deviations, is this many times f32's.
    const MAX_SHIFT: f32 = 100.0;
    let (gamma, beta) = (gamma.to_vec1::<f32>()?, beta.to_vec1::<f32>()?);
    let is_strong =
        |(gamma, beta): (&f32, &f32)| gamma.abs() > f32::MIN_POSITIVE && beta.abs() <= MAX_SHIFT * gamma.abs();
    Ok(slope > 0.0 && gamma.iter().zip(&beta).all(is_strong))
}

/// The op of all three normalisations; keeps the forward pass's moments for the backward pass.
struct Norm {
    name: &'static str,
    extent: Extent,
    scope: Scope,
    eps: f64,
    slope: f32,
    moments: OnceLock<cpu::Moments>,
    #[cfg(feature = "cuda")]
    moments_on_card: OnceLock<cuda::Moments>,
    /// The input's values until the forward pass makes them its result.
    spent: Mutex<Option<Vec<f32>>>,
    is_spent: bool,
}

impl Norm {
    fn moments(&self, x: &[f32]) -> &cpu::Moments {
        self.moments.get_or_init(|| cpu::moments(x, self.extent, self.scope, self.eps))
    }
}

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gamma, beta) = (cpu_values(s2, l2)?, cpu_values(s3, l3)?);
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner).take();
        let y = if let Some(mut values) = spent {
            let moments = self.moments(&values);
            cpu::forward_in_place(&mut values, gamma, beta, moments, self.extent, self.slope);
            values
        } else {
            let x = cpu_values(s1, l1)?;
            cpu::forward(x, gamma, beta, self.moments(x), self.extent, self.slope)
        };
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((self.forward_on((s1, l1), (s2, l2), (s3, l3))?, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return Ok(self.backward_on(x, gamma, beta, &grad)?.map(Some).into());
        }
        let gradients = {
            let (source_storage, source_layout) = if self.is_spent { y } else { x }.storage_and_layout();
            let (gamma_storage, gamma_layout) = gamma.storage_and_layout();
            let (beta_storage, beta_layout) = beta.storage_and_layout();
            let (grad_storage, grad_layout) = grad.storage_and_layout();
            let source = values(&source_storage, source_layout)?;
            let problem = cpu::Backward {
                source,
                is_result: self.is_spent,
                grad: values(&grad_storage, grad_layout)?,
                gamma: values(&gamma_storage, gamma_layout)?,
                beta: values(&beta_storage, beta_layout)?,
                moments: self.moments(source),
                extent: self.extent,
                scope: self.scope,
                slope: self.slope,
            };
            problem.run(x.track_op())
        };
        Ok((gradient(x, || gradients.x)?, gradient(gamma, || gradients.gamma)?, gradient(beta, || gradients.beta)?))
    }
}
