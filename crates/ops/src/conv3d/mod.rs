//! 3-D convolution and the three passes that it shares with the transposed convolution.
//!
//! | pass | convolution | transposed convolution |
//! |---|---|---|
//! | `ToCoarse` | forward | input gradient |
//! | `ToFine` | input gradient | forward |
//! | `WeightGradient` | weight gradient | weight gradient |
//!
//! `cpu.rs` drives the passes over the cores, `tile.rs` and `weight_tile.rs` hold the register kernels, `reference.rs` the plain loops.

pub mod cpu;
pub mod geometry;
mod pack;
mod pass;
pub mod reference;
mod tile;
mod weight;
mod weight_tile;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use crate::dense::cpu_values;
use crate::tape::{apply2, apply3};
use geometry::{Geometry, WeightOrder, check_bias};

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
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let op = ToCoarse { geometry, order: WeightOrder::FineCoarse };
    match bias {
        None => apply2(&x, &weight, op),
        Some(bias) => {
            check_bias("conv3d", bias, geometry.coarse_channels)?;
            apply3(&x, &weight, &bias.contiguous()?, op)
        }
    }
}

/// From the fine grid to the coarse one: the input, the weight and perhaps a bias.
#[derive(Clone, Copy)]
pub(crate) struct ToCoarse {
    pub(crate) geometry: Geometry,
    pub(crate) order: WeightOrder,
}

/// From the coarse grid to the fine one: the input, the weight and perhaps a bias.
#[derive(Clone, Copy)]
pub(crate) struct ToFine {
    pub(crate) geometry: Geometry,
    pub(crate) order: WeightOrder,
}

/// From values on the fine grid and on the coarse one to the weight's gradient.
pub(crate) struct WeightGradient {
    pub(crate) geometry: Geometry,
    pub(crate) order: WeightOrder,
}

/// Sum over all axes but the last: a bias' gradient.
struct ChannelSum;

impl ToCoarse {
    fn run(
        &self,
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (cpu_values(x.0, x.1)?, cpu_values(weight.0, weight.1)?);
        let y = cpu::to_coarse(&self.geometry, x, weight, self.order, bias);
        Ok((CpuStorage::F32(y), Shape::from(self.geometry.coarse_shape().as_slice())))
    }

    fn gradients(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Self { geometry, order } = *self;
        let to_x = || grad.apply_op2_no_bwd(weight, &ToFine { geometry, order });
        let to_weight = || x.apply_op2_no_bwd(grad, &WeightGradient { geometry, order });
        Ok((x.track_op().then(to_x).transpose()?, weight.track_op().then(to_weight).transpose()?))
    }
}

impl ToFine {
    fn run(
        &self,
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (cpu_values(x.0, x.1)?, cpu_values(weight.0, weight.1)?);
        let y = cpu::to_fine(&self.geometry, x, weight, self.order, bias);
        Ok((CpuStorage::F32(y), Shape::from(self.geometry.fine_shape().as_slice())))
    }

    fn gradients(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Self { geometry, order } = *self;
        let to_x = || grad.apply_op2_no_bwd(weight, &ToCoarse { geometry, order });
        let to_weight = || grad.apply_op2_no_bwd(x, &WeightGradient { geometry, order });
        Ok((x.track_op().then(to_x).transpose()?, weight.track_op().then(to_weight).transpose()?))
    }
}

/// Both directions are candle operators of two inputs, or of three with a bias.
macro_rules! convolution_ops {
    ($($op:ident named $name:literal),*) => {$(
        impl CustomOp2 for $op {
            fn name(&self) -> &'static str {
                $name
            }

            fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
                self.run((x, xl), (w, wl), None)
            }

            fn bwd(&self, x: &Tensor, weight: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
                self.gradients(x, weight, &grad.contiguous()?)
            }
        }

        impl CustomOp3 for $op {
            fn name(&self) -> &'static str {
                $name
            }

            fn cpu_fwd(
                &self,
                x: &CpuStorage,
                xl: &Layout,
                w: &CpuStorage,
                wl: &Layout,
                b: &CpuStorage,
                bl: &Layout,
            ) -> Result<(CpuStorage, Shape)> {
                self.run((x, xl), (w, wl), Some(cpu_values(b, bl)?))
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
    )*};
}
convolution_ops!(ToCoarse named "conv3d", ToFine named "conv_transpose3d");

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv3d_weight_gradient"
    }

    fn cpu_fwd(&self, fine: &CpuStorage, fl: &Layout, coarse: &CpuStorage, cl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (fine, coarse) = (cpu_values(fine, fl)?, cpu_values(coarse, cl)?);
        let gradient = cpu::weight_gradient(&self.geometry, fine, coarse, self.order);
        Ok((CpuStorage::F32(gradient), Shape::from(self.order.shape(&self.geometry).as_slice())))
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
}
