//! Layer norm over the last dimension, with gradients (candle's fused one has none).

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::channelwise::check;
use crate::dense::{cpu_values, gradient, values};
use crate::tape::apply3;

/// (x - mean) / sqrt(var + eps) * gamma + beta, mean and biased variance of each row of the last dimension.
///
/// # Shapes
/// `x` `[.., c]`, `gamma` and `beta` `[c]` → the shape of `x`.
///
/// # Errors
/// A tensor of another shape, not f32, or not on the CPU.
pub fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<Tensor> {
    let channels = x.dims().last().copied().unwrap_or(0);
    if channels == 0 {
        bail!("layer_norm: x has shape {:?}, expected [.., c] with at least one channel", x.dims());
    }
    for (what, tensor) in [("gamma", gamma), ("beta", beta)] {
        check("layer_norm", what, tensor, channels, format_args!("the channels of x {:?}", x.dims()))?;
    }
    apply3(&x.contiguous()?, &gamma.contiguous()?, &beta.contiguous()?, LayerNorm { eps: eps as f32 })
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
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
        let y = cpu::forward(cpu_values(s1, l1)?, cpu_values(s2, l2)?, cpu_values(s3, l3)?, self.eps);
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
        Ok((cuda::forward((s1, l1), (s2, l2), (s3, l3), self.eps)?, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return Ok(cuda::backward(x, gamma, &grad, self.eps)?.map(Some).into());
        }
        let (dx, dgamma, dbeta) = {
            let (x_storage, x_layout) = x.storage_and_layout();
            let (gamma_storage, gamma_layout) = gamma.storage_and_layout();
            let (grad_storage, grad_layout) = grad.storage_and_layout();
            let (x, gamma) = (values(&x_storage, x_layout)?, values(&gamma_storage, gamma_layout)?);
            cpu::backward(x, gamma, values(&grad_storage, grad_layout)?, self.eps)
        };
        Ok((gradient(x, || dx)?, gradient(gamma, || dgamma)?, gradient(beta, || dbeta)?))
    }
}
