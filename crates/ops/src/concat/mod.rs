//! Joining two tensors along the channels: the skip connection of a U-Net.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::dense::{cpu_values, gradient, values, with_channels};
use crate::tape::apply2;

/// The channels of `a`, then those of `b`.
///
/// # Shapes
/// `a` `[.., ca]`, `b` `[.., cb]` with the same leading dimensions → `[.., ca + cb]`.
///
/// # Errors
/// Leading dimensions differ; a tensor is neither f32 nor, on a card, bf16.
pub fn concat_channels(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match (a.dims(), b.dims()) {
        ([a_rows @ .., ca], [b_rows @ .., cb]) if a_rows == b_rows && *ca > 0 && *cb > 0 => {
            apply2(&a.contiguous()?, &b.contiguous()?, ConcatChannels { ca: *ca, cb: *cb })
        }
        (a, b) => bail!("concat_channels: a has shape {a:?} and b {b:?}, expected the same but for the last dimension"),
    }
}

struct ConcatChannels {
    ca: usize,
    cb: usize,
}

impl CustomOp2 for ConcatChannels {
    fn name(&self) -> &'static str {
        "concat_channels"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let joined = cpu::join(cpu_values(s1, l1)?, cpu_values(s2, l2)?, self.ca, self.cb);
        Ok((CpuStorage::F32(joined), with_channels(l1.dims(), self.ca + self.cb)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        let joined = cuda::join((s1, l1), (s2, l2), [self.ca, self.cb])?;
        Ok((joined, with_channels(l1.dims(), self.ca + self.cb)))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            let part =
                |like: &Tensor, first, width| like.track_op().then(|| cuda::cut(&grad, first, width)).transpose();
            return Ok((part(a, 0, self.ca)?, part(b, self.ca, self.cb)?));
        }
        let (storage, layout) = grad.storage_and_layout();
        let grad = values(&storage, layout)?;
        let part = |like, first, width| gradient(like, || cpu::cut(grad, self.ca + self.cb, first, width));
        Ok((part(a, 0, self.ca)?, part(b, self.ca, self.cb)?))
    }
}
