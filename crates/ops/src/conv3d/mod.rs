//! 3-D convolution and the three passes that it shares with the transposed convolution.
//!
//! | pass | convolution | transposed convolution |
//! |---|---|---|
//! | `ToCoarse` | forward | input gradient |
//! | `ToFine` | input gradient | forward |
//! | `WeightGradient` | weight gradient | weight gradient |
//!
//! `cpu.rs` chooses between two kernels: `direct.rs` drives the passes by definition, with the register kernels
//! `register_block.rs`, `weight_block.rs` and, for few output channels, `narrow.rs`; `winograd` gets by with fewer
//! products where a 3 × 3 × 3 kernel moves by one voxel or two. `reference.rs` has the plain loops.

pub mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub mod direct;
pub mod geometry;
mod joined;
mod narrow;
mod pack;
mod pass;
pub mod reference;
mod register_block;
mod weight;
mod weight_block;
pub mod winograd;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
#[cfg(feature = "cuda")]
use candle_core::{CudaStorage, backend::BackendStorage};

use crate::cast::like;
use crate::channelwise::check;
#[cfg(feature = "cuda")]
use crate::cuda::{Values, column_sums};
use crate::dense::cpu_values;
use crate::tape::{apply2, apply3};
use geometry::{Geometry, WeightOrder};
pub use joined::conv3d_joined;

/// 3-D convolution of any kernel size, with gradients for all inputs.
///
/// # Shapes
/// `x` `[n, d, h, w, ci]`, `weight` `[kd, kh, kw, ci, co]`, `bias` `[co]` → `[n, d', h', w', co]` with
/// `d' = (d + 2·padding − kd) / stride + 1`, rounded down. `stride` and `padding` are `[z, y, x]`.
///
/// # Errors
/// Shapes that do not fit each other; types other than f32.
pub fn conv3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: [usize; 3],
    padding: [usize; 3],
) -> Result<Tensor> {
    let geometry = Geometry::convolution(x, weight, stride, padding)?;
    Convolution { geometry, order: WeightOrder::FineCoarse, direction: Direction::ToCoarse }.apply(x, weight, bias)
}

/// Between which grids, see [`Geometry`].
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    ToCoarse,
    ToFine,
}

/// One direction of a convolution: an operator of the input, the weight and perhaps a bias.
#[derive(Clone, Copy)]
pub(crate) struct Convolution {
    pub(crate) geometry: Geometry,
    pub(crate) order: WeightOrder,
    pub(crate) direction: Direction,
}

/// From values on the fine grid and on the coarse one to the weight's gradient.
struct WeightGradient {
    geometry: Geometry,
    order: WeightOrder,
}

/// Sum over all axes but the last: a bias' gradient.
struct ChannelSum;

impl Convolution {
    /// The recorded result; shapes of `x` and `weight` are checked by who made the geometry.
    pub(crate) fn apply(self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let (x, weight) = (x.contiguous()?, like(weight, x)?);
        let Some(bias) = bias else {
            return apply2(&x, &weight, self);
        };
        let channels = self.output_shape()[4];
        check(self.op_name(), "bias", bias, channels, format_args!("the outputs of weight {:?}", weight.dims()))?;
        apply3(&x, &weight, &bias.contiguous()?, self)
    }

    fn op_name(&self) -> &'static str {
        match self.direction {
            Direction::ToCoarse => "conv3d",
            Direction::ToFine => "conv_transpose3d",
        }
    }

    fn output_shape(&self) -> [usize; 5] {
        match self.direction {
            Direction::ToCoarse => self.geometry.coarse_shape(),
            Direction::ToFine => self.geometry.fine_shape(),
        }
    }

    fn run(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let y = match self.direction {
            Direction::ToCoarse => cpu::to_coarse(&self.geometry, x, weight, self.order, bias),
            Direction::ToFine => cpu::to_fine(&self.geometry, x, weight, self.order, bias),
        };
        (CpuStorage::F32(y), Shape::from(self.output_shape().as_slice()))
    }

    #[cfg(feature = "cuda")]
    fn run_on_card(
        &self,
        (x, x_layout): (&CudaStorage, &Layout),
        (weight, weight_layout): (&CudaStorage, &Layout),
        bias: Option<(&CudaStorage, &Layout)>,
    ) -> Result<(CudaStorage, Shape)> {
        let device = x.device();
        let (x, weight) = (Values::new(x, x_layout)?, Values::new(weight, weight_layout)?);
        let bias = bias.map(|(storage, layout)| Values::f32(storage, layout)).transpose()?;
        let parameters =
            cuda::Parameters { weight: &weight, order: self.order, bias: bias.as_ref(), of_sample: [0; 2] };
        let g = &self.geometry;
        let y = match self.direction {
            Direction::ToCoarse => {
                let sources = cuda::Sources { a: &x, b: None, a_channels: g.fine_channels };
                cuda::to_coarse(device, g, sources, parameters)?
            }
            Direction::ToFine => cuda::to_fine(device, g, &x, parameters, [0, g.fine_channels])?,
        };
        Ok((y.into_storage(device), Shape::from(self.output_shape().as_slice())))
    }

    fn gradients(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Self { geometry, order, direction } = *self;
        let (back, fine, coarse) = match direction {
            Direction::ToCoarse => (Direction::ToFine, x, grad),
            Direction::ToFine => (Direction::ToCoarse, grad, x),
        };
        let to_x = || grad.apply_op2_no_bwd(weight, &Self { direction: back, ..*self });
        let to_weight = || fine.apply_op2_no_bwd(coarse, &WeightGradient { geometry, order });
        Ok((x.track_op().then(to_x).transpose()?, weight.track_op().then(to_weight).transpose()?))
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        self.op_name()
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(self.run(cpu_values(s1, l1)?, cpu_values(s2, l2)?, None))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        self.run_on_card((s1, l1), (s2, l2), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, weight, &grad.contiguous()?)
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        self.op_name()
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
        Ok(self.run(cpu_values(s1, l1)?, cpu_values(s2, l2)?, Some(cpu_values(s3, l3)?)))
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
        self.run_on_card((s1, l1), (s2, l2), Some((s3, l3)))
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
        let (to_x, to_weight) = self.gradients(x, weight, &grad)?;
        let to_bias = bias.track_op().then(|| grad.apply_op1_no_bwd(&ChannelSum)).transpose()?;
        Ok((to_x, to_weight, to_bias))
    }
}

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv3d_weight_gradient"
    }

    fn cpu_fwd(&self, fine: &CpuStorage, fl: &Layout, coarse: &CpuStorage, cl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (fine, coarse) = (cpu_values(fine, fl)?, cpu_values(coarse, cl)?);
        let gradient = cpu::weight_gradient(&self.geometry, fine, coarse, self.order);
        Ok((CpuStorage::F32(gradient), Shape::from(self.order.shape(&self.geometry).as_slice())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        fine: &CudaStorage,
        fl: &Layout,
        coarse: &CudaStorage,
        cl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (device, g) = (fine.device(), &self.geometry);
        let (fine, coarse) = (Values::new(fine, fl)?, Values::new(coarse, cl)?);
        let sources = cuda::Sources { a: &fine, b: None, a_channels: g.fine_channels };
        let gradient = cuda::weight_gradient(device, g, sources, &coarse, self.order)?;
        Ok((gradient.into_storage(device), Shape::from(self.order.shape(g).as_slice())))
    }
}

impl CustomOp1 for ChannelSum {
    fn name(&self) -> &'static str {
        "conv3d_bias_gradient"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let channels = layout.dims()[layout.dims().len() - 1];
        let sums = cpu::channel_sum(cpu_values(grad, layout)?, channels);
        Ok((CpuStorage::F32(sums), Shape::from(channels)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, grad: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let channels = layout.dims()[layout.dims().len() - 1];
        let sums = column_sums(grad.device(), &Values::new(grad, layout)?, channels)?;
        Ok((sums.into_storage(grad.device()), Shape::from(channels)))
    }
}
