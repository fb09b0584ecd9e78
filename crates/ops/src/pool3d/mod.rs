//! Max and average pooling with stride = kernel; voxels that fill no whole window are left out (sizes are rounded
//! down).

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::conv3d::geometry::volume_shape;
use crate::dense::cpu_values;
use crate::tape::apply1;

/// The largest value of each window; the gradient goes to the first maximum in `[z, y, x]` order, as in PyTorch. NaN
/// wins.
///
/// # Shapes
/// `x` `[n, d, h, w, c]` → `[n, d / kd, h / kh, w / kw, c]`, rounded down; `kernel` `[z, y, x]`.
///
/// # Errors
/// A kernel that is empty or larger than `x`; types other than f32.
pub fn max_pool3d(x: &Tensor, kernel: [usize; 3]) -> Result<Tensor> {
    apply1(&x.contiguous()?, Pool { windows: Windows::new("max_pool3d", x, kernel)?, kind: Kind::Max })
}

/// The mean of each window.
///
/// # Shapes
/// `x` `[n, d, h, w, c]` → `[n, d / kd, h / kh, w / kw, c]`, rounded down; `kernel` `[z, y, x]`.
///
/// # Errors
/// A kernel that is empty or larger than `x`; types other than f32.
pub fn avg_pool3d(x: &Tensor, kernel: [usize; 3]) -> Result<Tensor> {
    apply1(&x.contiguous()?, Pool { windows: Windows::new("avg_pool3d", x, kernel)?, kind: Kind::Mean })
}

/// What is taken from a window.
#[derive(Clone, Copy)]
enum Kind {
    Max,
    Mean,
}

/// The sizes of one pooling.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) batch: usize,
    pub(crate) input: [usize; 3],
    pub(crate) output: [usize; 3],
    pub(crate) kernel: [usize; 3],
    pub(crate) channels: usize,
}

impl Windows {
    fn new(op: &str, x: &Tensor, kernel: [usize; 3]) -> Result<Self> {
        let (batch, input, channels) = volume_shape(op, x)?;
        if (0..3).any(|axis| kernel[axis] == 0 || kernel[axis] > input[axis]) {
            bail!("{op}: kernel {kernel:?} must lie between 1 and the size of x, {input:?}, on every axis");
        }
        let output = [0, 1, 2].map(|axis| input[axis] / kernel[axis]);
        Ok(Self { batch, input, output, kernel, channels })
    }

    fn input_shape(&self) -> Shape {
        let [d, h, w] = self.input;
        Shape::from((self.batch, d, h, w, self.channels))
    }

    fn output_shape(&self) -> Shape {
        let [d, h, w] = self.output;
        Shape::from((self.batch, d, h, w, self.channels))
    }
}

struct Pool {
    windows: Windows,
    kind: Kind,
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Max => "max_pool3d",
            Kind::Mean => "avg_pool3d",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = cpu_values(x, layout)?;
        let y = match self.kind {
            Kind::Max => cpu::max(&self.windows, x),
            Kind::Mean => cpu::mean(&self.windows, x),
        };
        Ok((CpuStorage::F32(y), self.windows.output_shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((cuda::forward(&self.windows, self.kind, x, layout)?, self.windows.output_shape()))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        let grad = grad.contiguous()?;
        Ok(Some(match self.kind {
            Kind::Max => x.apply_op2_no_bwd(&grad, &MaxGradient(self.windows))?,
            Kind::Mean => grad.apply_op1_no_bwd(&MeanGradient(self.windows))?,
        }))
    }
}

struct MaxGradient(Windows);

impl CustomOp2 for MaxGradient {
    fn name(&self) -> &'static str {
        "max_pool3d_gradient"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let gradient = cpu::max_gradient(&self.0, cpu_values(x, xl)?, cpu_values(grad, gl)?);
        Ok((CpuStorage::F32(gradient), self.0.input_shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, grad: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((cuda::backward(&self.0, Some((x, xl)), (grad, gl))?, self.0.input_shape()))
    }
}

struct MeanGradient(Windows);

impl CustomOp1 for MeanGradient {
    fn name(&self) -> &'static str {
        "avg_pool3d_gradient"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(cpu::mean_gradient(&self.0, cpu_values(grad, layout)?)), self.0.input_shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, grad: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((cuda::backward(&self.0, None, (grad, layout))?, self.0.input_shape()))
    }
}
