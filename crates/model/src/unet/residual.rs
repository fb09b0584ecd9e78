//! The residual encoder, nnU-Net's `ResEnc` style: a stem, then stages of residual blocks.

use candle_core::Tensor;
use pulmoav_ops::{self as ops, Activation, Input};
use pulmoav_plan::Unet;

use super::Units;
use crate::ModelError;
use crate::block::{Conv, ConvBlock, ConvShape, Mode, Norm, NormKind};
use crate::image::encoder::Encoded;
use crate::parameters::Scope;

/// A stem, then stages of residual blocks; the first block of a stage strides.
#[derive(Debug)]
pub(crate) struct ResidualEncoder {
    stem: ConvBlock,
    stages: Vec<Vec<ResidualBlock>>,
}

impl ResidualEncoder {
    /// `unet` is valid.
    pub(crate) fn build(mut scope: Scope, channels_in: usize, unet: &Unet) -> Result<Self, ModelError> {
        let units = Units::of(unet);
        let leaky = Activation::LeakyRelu(units.slope);
        let mut width = unet.stage_channels[0];
        let stem = units.build(scope.at("stem.convs.0"), [channels_in, width], unet.kernels[0], [1; 3], leaky)?;
        let mut stages = Vec::with_capacity(unet.stage_channels.len());
        for (stage, (&channels, &count)) in unet.stage_channels.iter().zip(&unet.stage_blocks).enumerate() {
            let mut blocks = Vec::with_capacity(count);
            for block in 0..count {
                let stride = if block == 0 { unet.strides[stage] } else { [1; 3] };
                let scope = scope.at(format_args!("stages.{stage}.blocks.{block}"));
                blocks.push(ResidualBlock::build(scope, units, [width, channels], unet.kernels[stage], stride)?);
                width = channels;
            }
            stages.push(blocks);
        }
        Ok(Self { stem, stages })
    }

    /// # Shapes
    /// `x` `[n, d, h, w, channels_in]`; each stage is as much coarser than the one before as it strides.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Encoded, ModelError> {
        let mut x = self.stem.forward(x, mode)?;
        let mut skips = Vec::with_capacity(self.stages.len());
        for (stage, blocks) in self.stages.iter().enumerate() {
            for block in blocks {
                let block = block.clone();
                x = mode.run([x], move |[x], mode| block.forward(&x, mode))?;
            }
            if stage + 1 < self.stages.len() {
                skips.push(x.clone());
            }
        }
        Ok(Encoded { skips, bottleneck: x })
    }
}

/// act(norm(conv(act(norm(conv x)))) + skip x).
#[derive(Debug, Clone)]
struct ResidualBlock {
    first: ConvBlock,
    second: ConvBlock,
    skip: Skip,
    activation: Activation,
}

/// The short way around a [`ResidualBlock`]: average pooling when strided, then a projection when the width changes.
#[derive(Debug, Clone)]
struct Skip {
    stride: [usize; 3],
    projection: Option<(Conv, Norm)>,
}

impl ResidualBlock {
    fn build(
        mut scope: Scope,
        units: Units,
        [channels_in, channels]: [usize; 2],
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> Result<Self, ModelError> {
        let activation = Activation::LeakyRelu(units.slope);
        Ok(Self {
            first: units.build(scope.at("conv1"), [channels_in, channels], kernel, stride, activation)?,
            second: units.build(scope.at("conv2"), [channels; 2], kernel, [1; 3], Activation::None)?,
            skip: Skip::build(scope.at("skip"), [channels_in, channels], stride, units.eps)?,
            activation,
        })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let mut y = self.first.forward(x, mode)?;
        y = self.second.forward(&y, mode)?;
        let skip = self.skip.forward(x, mode)?;
        Ok(ops::add_activate(&y, &skip, self.activation)?)
    }
}

impl Skip {
    /// The projection is number 1 behind a pool, else number 0, as in nnU-Net's checkpoints.
    fn build(
        mut scope: Scope,
        [channels_in, channels_out]: [usize; 2],
        stride: [usize; 3],
        eps: f64,
    ) -> Result<Self, ModelError> {
        if channels_in == channels_out {
            return Ok(Self { stride, projection: None });
        }
        let mut scope = scope.at(usize::from(stride != [1; 3]));
        let shape = ConvShape { channels_in, channels_out, kernel: [1; 3], stride: [1; 3], bias: false, slope: 1.0 };
        let conv = Conv::build(scope.at("conv"), shape)?;
        let norm = Norm::build(scope.at("norm"), NormKind::Instance(eps), channels_out)?;
        Ok(Self { stride, projection: Some((conv, norm)) })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let mut x = x.clone();
        if self.stride != [1; 3] {
            x = ops::avg_pool3d(&x, self.stride)?;
        }
        if let Some((conv, norm)) = &self.projection {
            x = norm.forward(Input::Spent(conv.forward(&x, mode)?), Activation::None, mode)?;
        }
        Ok(x)
    }
}
