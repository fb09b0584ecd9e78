//! Elementwise operators: activations, and the residual sum with its activation.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::dense::{cpu_values, values};
use crate::tape::{apply1, apply2};

/// An activation that can be fused into the operator before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// The value itself.
    None,
    /// max(x, 0).
    Relu,
    /// x where x > 0, else the given slope (at least 0) times x.
    LeakyRelu(f32),
}

impl Activation {
    /// The slope below zero: every activation here is x where x > 0, else slope * x.
    pub(crate) fn slope(self) -> Result<f32> {
        match self {
            Self::None => Ok(1.0),
            Self::Relu => Ok(0.0),
            Self::LeakyRelu(slope) if slope >= 0.0 && slope.is_finite() => Ok(slope),
            Self::LeakyRelu(slope) => bail!("LeakyRelu: slope {slope}, expected a finite number of at least 0"),
        }
    }
}

/// act(x).
///
/// # Shapes
/// `x` any → the same.
///
/// # Errors
/// `x` is neither f32 nor, on a card, bf16; a slope below 0.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    apply1(&x.contiguous()?, Unary { kind: Kind::Piecewise { slope: activation.slope()? } })
}

/// x * Phi(x), Phi the normal distribution function (PyTorch's `gelu`, not its tanh approximation).
///
/// # Shapes
/// `x` any → the same.
///
/// # Errors
/// `x` is neither f32 nor, on a card, bf16.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    apply1(&x.contiguous()?, Unary { kind: Kind::Gelu })
}

/// x * sigmoid(1.702 x), the activation of OpenAI's CLIP.
///
/// # Shapes
/// `x` any → the same.
///
/// # Errors
/// `x` is neither f32 nor, on a card, bf16.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    apply1(&x.contiguous()?, Unary { kind: Kind::QuickGelu })
}

/// 1 / (1 + e^-x).
///
/// # Shapes
/// `x` any → the same.
///
/// # Errors
/// `x` is neither f32 nor, on a card, bf16.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    apply1(&x.contiguous()?, Unary { kind: Kind::Sigmoid })
}

/// act(x + skip): the end of a residual block, in one pass.
///
/// # Shapes
/// `x` any, `skip` the same → the same.
///
/// # Errors
/// The shapes differ; a tensor is neither f32 nor, on a card, bf16; a slope below 0.
pub fn add_activate(x: &Tensor, skip: &Tensor, activation: Activation) -> Result<Tensor> {
    if x.dims() != skip.dims() {
        bail!("add_activate: x has shape {:?} and skip {:?}, expected the same", x.dims(), skip.dims());
    }
    apply2(&x.contiguous()?, &skip.contiguous()?, AddActivate { slope: activation.slope()? })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Piecewise { slope: f32 },
    Gelu,
    QuickGelu,
    Sigmoid,
}

struct Unary {
    kind: Kind,
}

impl CustomOp1 for Unary {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Piecewise { .. } => "activate",
            Kind::Gelu => "gelu_erf",
            Kind::QuickGelu => "quick_gelu",
            Kind::Sigmoid => "sigmoid",
        }
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = cpu::forward(self.kind, cpu_values(storage, layout)?);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::forward(self.kind, storage, layout)
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        x.track_op().then(|| backward(self.kind, x, &grad.contiguous()?)).transpose()
    }
}

/// The gradient before an activation, from that behind it.
fn backward(kind: Kind, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return cuda::backward(kind, x, grad);
    }
    let (x_storage, x_layout) = x.storage_and_layout();
    let (grad_storage, grad_layout) = grad.storage_and_layout();
    let dx = cpu::backward(kind, values(&x_storage, x_layout)?, values(&grad_storage, grad_layout)?);
    Tensor::from_vec(dx, x.shape(), x.device())
}

struct AddActivate {
    slope: f32,
}

impl CustomOp2 for AddActivate {
    fn name(&self) -> &'static str {
        "add_activate"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = cpu::add_forward(cpu_values(s1, l1)?, cpu_values(s2, l2)?, self.slope);
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::add_forward(self.slope, (s1, l1), (s2, l2))
    }

    fn bwd(&self, x: &Tensor, skip: &Tensor, res: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // With a slope of at least 0, the result is positive exactly where the sum was.
        let shared = if self.slope == 1.0 {
            grad.clone()
        } else {
            backward(Kind::Piecewise { slope: self.slope }, res, &grad.contiguous()?)?
        };
        Ok((x.track_op().then(|| shared.clone()), skip.track_op().then_some(shared)))
    }
}
