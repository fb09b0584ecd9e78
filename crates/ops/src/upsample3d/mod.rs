//! Upsampling in space: nearest and trilinear.

mod axis;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use crate::dense::{cpu_values, values};
use crate::tape::apply1;
use axis::Axis;

/// Each output voxel is the input voxel at floor(index * in / out), as PyTorch's `interpolate(mode="nearest")`.
///
/// # Shapes
/// `x` `[n, d, h, w, c]`, `size` `[z, y, x]` → `[n, size.., c]`.
///
/// # Errors
/// `x` is not of rank 5, not f32 or not on the CPU; a length is 0.
pub fn upsample_nearest3d(x: &Tensor, size: [usize; 3]) -> Result<Tensor> {
    resample("upsample_nearest3d", x, size, false)
}

/// Trilinear interpolation between voxel centres, edges held (PyTorch's `interpolate` with `align_corners=False`).
///
/// # Shapes
/// `x` `[n, d, h, w, c]`, `size` `[z, y, x]` → `[n, size.., c]`.
///
/// # Errors
/// `x` is not of rank 5, not f32 or not on the CPU; a length is 0.
pub fn upsample_trilinear3d(x: &Tensor, size: [usize; 3]) -> Result<Tensor> {
    resample("upsample_trilinear3d", x, size, true)
}

fn resample(name: &'static str, x: &Tensor, size: [usize; 3], linear: bool) -> Result<Tensor> {
    let (n, d, h, w, c) = x.dims5()?;
    if x.elem_count() == 0 || size.contains(&0) {
        bail!("{name}: x has shape {:?} and size is {size:?}, expected no zero", x.dims());
    }
    let axis = if linear { Axis::linear } else { Axis::nearest };
    let axes = [axis(d, size[0]), axis(h, size[1]), axis(w, size[2])];
    let op = Resample {
        name,
        #[cfg(feature = "cuda")]
        linear,
        axes,
        from: [d, h, w],
        to: size,
        samples: n,
        channels: c,
    };
    apply1(&x.contiguous()?, op)
}

/// A separable linear map of space, one sparse matrix an axis.
struct Resample {
    name: &'static str,
    #[cfg(feature = "cuda")]
    linear: bool,
    axes: [Axis; 3],
    from: [usize; 3],
    to: [usize; 3],
    samples: usize,
    channels: usize,
}

impl CustomOp1 for Resample {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [z, y, x] = &self.axes;
        let out = cpu::map(cpu_values(storage, layout)?, [&z.gather, &y.gather, &x.gather], self.from, self.channels);
        let [d, h, w] = self.to;
        Ok((CpuStorage::F32(out), Shape::from((self.samples, d, h, w, self.channels))))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let [d, h, w] = self.to;
        let y = cuda::forward(self, storage, layout)?;
        Ok((y, Shape::from((self.samples, d, h, w, self.channels))))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return cuda::backward(self, &grad, x.shape()).map(Some);
        }
        let dx = {
            let (storage, layout) = grad.storage_and_layout();
            let axes = [&self.axes[0].scatter, &self.axes[1].scatter, &self.axes[2].scatter];
            cpu::map(values(&storage, layout)?, axes, self.to, self.channels)
        };
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
}
