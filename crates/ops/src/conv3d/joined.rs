//! A convolution of two inputs' channels side by side, as it stands behind every skip connection of a U-Net.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::geometry::{Geometry, WeightOrder};
use super::winograd::{self, Tile};
use super::{conv3d, cpu};
#[cfg(feature = "cuda")]
use crate::cast::like;
use crate::channelwise::check;
use crate::concat::concat_channels;
use crate::dense::{cpu_values, gradient, values};
use crate::tape::apply3;

/// [`conv3d`] of [`concat_channels`]`(a, b)`. Where kernels can read from both they do, and nothing is copied or kept
/// twice.
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
    #[cfg(feature = "cuda")]
    if a.device().is_cuda()
        && bias.is_none_or(|bias| !bias.track_op())
        && let Some(geometry) = Geometry::joined(a, b, weight, stride, padding)?
    {
        let bias = bias.map(|bias| checked(bias, weight)?.contiguous()).transpose()?;
        return apply3(
            &a.contiguous()?,
            &b.contiguous()?,
            &like(weight, a)?,
            super::cuda::joined::Joined { geometry, bias },
        );
    }
    // The operator's three places for tensors are taken, so a bias is a plain value to it.
    if bias.is_none_or(|bias| !bias.track_op())
        && let Some(geometry) = Geometry::joined(a, b, weight, stride, padding)?
        && let Some(tile) = winograd::joined_tile(&geometry, a.dims()[4])
    {
        let bias = bias.map(|bias| checked(bias, weight)?.to_vec1::<f32>()).transpose()?;
        let op = JoinedConvolution { geometry, tile, bias };
        return apply3(&a.contiguous()?, &b.contiguous()?, &weight.contiguous()?, op);
    }
    conv3d(&concat_channels(a, b)?, weight, bias, stride, padding)
}

/// A bias that fits the weight.
fn checked<'a>(bias: &'a Tensor, weight: &Tensor) -> Result<&'a Tensor> {
    let channels = weight.dims()[4];
    check("conv3d", "bias", bias, channels, format_args!("the outputs of weight {:?}", weight.dims()))?;
    Ok(bias)
}

struct JoinedConvolution {
    /// That of the inputs side by side.
    geometry: Geometry,
    tile: Tile,
    bias: Option<Vec<f32>>,
}

impl JoinedConvolution {
    const ORDER: WeightOrder = WeightOrder::FineCoarse;

    /// The convolution of some of the input channels.
    fn part(&self, channels: usize) -> Geometry {
        Geometry { fine_channels: channels, ..self.geometry }
    }

    /// The weights of the input channels from `first` on, tap by tap.
    fn part_weights(&self, weight: &[f32], first: usize, channels: usize) -> Vec<f32> {
        let outputs = self.geometry.coarse_channels;
        let taps = weight.chunks_exact(self.geometry.fine_channels * outputs);
        taps.flat_map(|tap| &tap[first * outputs..][..channels * outputs]).copied().collect()
    }

    fn weight_gradient(&self, inputs: [&[f32]; 2], channels: [usize; 2], grad: &[f32]) -> Vec<f32> {
        let parts = [0, 1].map(|i| cpu::weight_gradient(&self.part(channels[i]), inputs[i], grad, Self::ORDER));
        let mut joined = Vec::with_capacity(parts[0].len() + parts[1].len());
        let [first, second] = channels.map(|channels| channels * self.geometry.coarse_channels);
        for (first, second) in parts[0].chunks_exact(first).zip(parts[1].chunks_exact(second)) {
            joined.extend_from_slice(first);
            joined.extend_from_slice(second);
        }
        joined
    }
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
        let y =
            winograd::to_coarse_joined(self.tile, &self.geometry, inputs, weight, Self::ORDER, self.bias.as_deref());
        Ok((CpuStorage::F32(y), Shape::from(self.geometry.coarse_shape().as_slice())))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let grad = values(&grad_storage, grad_layout)?;
        let channels = [a.dims()[4], b.dims()[4]];
        let to_weight = weight.track_op().then(|| -> Result<Tensor> {
            let ((a_storage, a_layout), (b_storage, b_layout)) = (a.storage_and_layout(), b.storage_and_layout());
            let inputs = [values(&a_storage, a_layout)?, values(&b_storage, b_layout)?];
            Tensor::from_vec(self.weight_gradient(inputs, channels, grad), weight.shape(), weight.device())
        });
        let (weight_storage, weight_layout) = weight.storage_and_layout();
        let weights = values(&weight_storage, weight_layout)?;
        let to_input = |input: &Tensor, first: usize| {
            let count = input.dims()[4];
            gradient(input, || {
                cpu::to_fine(&self.part(count), grad, &self.part_weights(weights, first, count), Self::ORDER, None)
            })
        };
        Ok((to_input(a, 0)?, to_input(b, channels[0])?, to_weight.transpose()?))
    }
}
