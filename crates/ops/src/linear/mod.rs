//! The linear layer.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod packed;
mod panel;
mod per_sample;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::cast::like;
use crate::channelwise::{check, or_filled};
use crate::dense::{cpu_values, gradient, values, with_channels};
use crate::tape::apply3;

pub use packed::PackedLinear;
pub use per_sample::linear_per_sample;

/// x w + bias over the last dimension.
///
/// # Shapes
/// `x` `[.., ci]`, `weight` `[ci, co]`, `bias` `[co]` or none → `[.., co]`.
///
/// # Errors
/// A tensor of another shape, not f32, or not on the CPU.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (&[.., ci], &[inputs, co]) = (x.dims(), weight.dims()) else {
        bail!("linear: x has shape {:?}, weight {:?}; expected [.., ci] and [ci, co]", x.dims(), weight.dims());
    };
    if ci != inputs || ci == 0 || co == 0 {
        bail!("linear: x {:?} has {ci} channels, but weight {:?} takes {inputs}", x.dims(), weight.dims());
    }
    if let Some(bias) = bias {
        check("linear", "bias", bias, co, format_args!("the outputs of weight {:?}", weight.dims()))?;
    }
    let bias = or_filled(bias, 0.0, co, x)?;
    apply3(&x.contiguous()?, &like(weight, x)?, &bias, Linear { ci, co })
}

struct Linear {
    ci: usize,
    co: usize,
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        let y = cpu::forward(cpu_values(s1, l1)?, cpu_values(s2, l2)?, cpu_values(s3, l3)?, self.ci);
        Ok((CpuStorage::F32(y), with_channels(l1.dims(), self.co)))
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
        let y = cuda::forward((s1, l1), (s2, l2), (s3, l3), [self.ci, self.co])?;
        Ok((y, with_channels(l1.dims(), self.co)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return Ok(cuda::backward([x, weight, bias], &grad, [self.ci, self.co])?.into());
        }
        let (x_storage, x_layout) = x.storage_and_layout();
        let (weight_storage, weight_layout) = weight.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let (x_values, weight_values) = (values(&x_storage, x_layout)?, values(&weight_storage, weight_layout)?);
        let grad = values(&grad_storage, grad_layout)?;
        Ok((
            gradient(x, || cpu::input_gradient(grad, weight_values, self.co))?,
            gradient(weight, || cpu::weight_gradient(x_values, grad, self.ci, self.co))?,
            gradient(bias, || cpu::bias_gradient(grad, self.co))?,
        ))
    }
}
