//! nnU-Net's plain encoder: stages of convolutions.

use candle_core::Tensor;
use pulmoav_ops::Activation;
use pulmoav_plan::Unet;

use super::Units;
use crate::ModelError;
use crate::block::{ConvBlock, Mode};
use crate::image::encoder::Encoded;
use crate::parameters::Scope;

/// Stages of convolutions; the first convolution of a stage strides.
#[derive(Debug)]
pub(crate) struct ConvStages {
    stages: Vec<Vec<ConvBlock>>,
}

impl ConvStages {
    /// `unet` is valid.
    pub(crate) fn build(mut scope: Scope, channels_in: usize, unet: &Unet) -> Result<Self, ModelError> {
        let units = Units::of(unet);
        let leaky = Activation::LeakyRelu(units.slope);
        let mut width = channels_in;
        let mut stages = Vec::with_capacity(unet.stage_channels.len());
        for (stage, (&channels, &count)) in unet.stage_channels.iter().zip(&unet.stage_blocks).enumerate() {
            let mut blocks = Vec::with_capacity(count);
            for place in 0..count {
                let stride = if place == 0 { unet.strides[stage] } else { [1; 3] };
                let scope = scope.at(format_args!("stages.{stage}.0.convs.{place}"));
                blocks.push(units.build(scope, [width, channels], unet.kernels[stage], stride, leaky)?);
                width = channels;
            }
            stages.push(blocks);
        }
        Ok(Self { stages })
    }

    /// # Shapes
    /// `x` `[n, d, h, w, channels_in]`; each stage is as much coarser than the one before as it strides.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Encoded, ModelError> {
        let mut skips = Vec::with_capacity(self.stages.len());
        let mut x = x.clone();
        for (stage, blocks) in self.stages.iter().enumerate() {
            for block in blocks {
                x = block.forward(&x, mode)?;
            }
            if stage + 1 < self.stages.len() {
                skips.push(x.clone());
            }
        }
        Ok(Encoded { skips, bottleneck: x })
    }
}
