//! A convolution of two inputs' channels side by side, as it stands behind every skip connection of a U-Net.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::conv3d;
use super::geometry::{Geometry, WeightOrder};
use super::winograd::{self, Tile};
use crate::channelwise::check;
use crate::concat::concat_channels;
use crate::dense::cpu_values;

/// [`conv3d`] of [`concat_channels`]`(a, b)`. Where no gradient is asked for, kernels that can read from both do, and nothing is copied.
///
/// # Shapes
/// `a` `[n, d, h, w, ca]`, `b` `[n, d, h, w, cb]`, `weight` `[kd, kh, kw, ca + cb, co]`, `bias` `[co]` → as [`conv3d`].
///
/// # Errors
/// Those of both.
pub fn conv3d_joined(
    a: &Tensor,
    b: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: [usize; 3],
    padding: [usize; 3],
) -> Result<Tensor> {
    let has_gradient = [Some(a), Some(b), Some(weight), bias].into_iter().flatten().any(Tensor::track_op);
    if !has_gradient
        && let Some(geometry) = Geometry::joined(a, b, weight, stride, padding)?
        && let Some(tile) = winograd::joined_tile(&geometry, a.dims()[4])
    {
        let op = JoinedConvolution { geometry, tile, bias: bias.map(|bias| values_of(bias, weight)).transpose()? };
        return a.contiguous()?.apply_op3_no_bwd(&b.contiguous()?, &weight.contiguous()?, &op);
    }
    conv3d(&concat_channels(a, b)?, weight, bias, stride, padding)
}

fn values_of(bias: &Tensor, weight: &Tensor) -> Result<Vec<f32>> {
    let channels = weight.dims()[4];
    check("conv3d", "bias", bias, channels, format_args!("the outputs of weight {:?}", weight.dims()))?;
    bias.to_vec1::<f32>()
}

/// Forward only.
struct JoinedConvolution {
    geometry: Geometry,
    tile: Tile,
    bias: Option<Vec<f32>>,
}

impl CustomOp3 for JoinedConvolution {
    fn name(&self) -> &'static str {
        "conv3d_joined"
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
        let inputs = [cpu_values(s1, l1)?, cpu_values(s2, l2)?];
        let weight = cpu_values(s3, l3)?;
        let order = WeightOrder::FineCoarse;
        let y = winograd::to_coarse_joined(self.tile, &self.geometry, inputs, weight, order, self.bias.as_deref());
        Ok((CpuStorage::F32(y), Shape::from(self.geometry.coarse_shape().as_slice())))
    }
}
