//! Encoders: the published plain one, and the residual one (nnU-Net's `ResEnc` style).

use candle_core::Tensor;
use pulmoav_ops::{self as ops, Activation, Input};

use crate::ModelError;
use crate::block::{Conv, ConvBlock, ConvShape, Mode, Norm, NormKind};
use crate::parameters::Scope;

/// Slope of the residual encoder's leaky ReLU.
pub(crate) const SLOPE: f32 = 0.01;

/// What an encoder gives.
pub(crate) struct Encoded {
    /// The features of each level but the coarsest, finest first.
    pub(crate) skips: Vec<Tensor>,
    /// The coarsest features.
    pub(crate) bottleneck: Tensor,
}

/// Two convolutions a level, max pooling between levels (docs/method.md, Preset la-caf).
#[derive(Debug)]
pub(crate) struct PlainEncoder {
    levels: Vec<[ConvBlock; 2]>,
}

impl PlainEncoder {
    /// `channels[level]` are the widths after the first and the second convolution.
    pub(crate) fn build(mut scope: Scope, channels_in: usize, channels: &[[usize; 2]]) -> Result<Self, ModelError> {
        let mut width = channels_in;
        let mut levels = Vec::with_capacity(channels.len());
        for (level, &[middle, last]) in channels.iter().enumerate() {
            let mut scope = scope.at(format_args!("down_tr{}.ops", 64 << level));
            levels.push([plain_unit(scope.at(0), width, middle)?, plain_unit(scope.at(1), middle, last)?]);
            width = last;
        }
        Ok(Self { levels })
    }

    /// # Shapes
    /// `x` `[n, d, h, w, channels_in]`; level `l` is `2^l` times coarser.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Encoded, ModelError> {
        let mut skips = Vec::with_capacity(self.levels.len());
        let mut x = x.clone();
        for (level, [first, second]) in self.levels.iter().enumerate() {
            if level > 0 {
                x = ops::max_pool3d(&x, [2; 3])?;
            }
            let [first, second] = [first.clone(), second.clone()];
            x = mode.run([x], move |[x], mode| {
                let y = first.forward(&x, mode)?;
                drop(x);
                second.forward(&y, mode)
            })?;
            if level + 1 < self.levels.len() {
                skips.push(x.clone());
            }
        }
        Ok(Encoded { skips, bottleneck: x })
    }
}

/// Convolution with bias, batch norm, ReLU: the published unit.
pub(crate) fn plain_unit(scope: Scope, channels_in: usize, channels_out: usize) -> Result<ConvBlock, ModelError> {
    let shape = ConvShape { channels_in, channels_out, kernel: 3, stride: 1, bias: true, slope: 0.0 };
    ConvBlock::build(scope, ["conv1", "bn1"], shape, NormKind::Batch, Activation::Relu)
}

/// A stem, then stages of residual blocks; the first block of every stage but the first halves the grid.
#[derive(Debug)]
pub(crate) struct ResidualEncoder {
    stem: ConvBlock,
    stages: Vec<Vec<ResidualBlock>>,
}

impl ResidualEncoder {
    pub(crate) fn build(
        mut scope: Scope,
        channels_in: usize,
        stage_channels: &[usize],
        stage_blocks: &[usize],
    ) -> Result<Self, ModelError> {
        let mut width = stage_channels[0];
        let stem = leaky_unit(scope.at("stem.convs.0"), channels_in, width, 1)?;
        let mut stages = Vec::with_capacity(stage_channels.len());
        for (stage, (&channels, &count)) in stage_channels.iter().zip(stage_blocks).enumerate() {
            let mut blocks = Vec::with_capacity(count);
            for block in 0..count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let scope = scope.at(format_args!("stages.{stage}.blocks.{block}"));
                blocks.push(ResidualBlock::build(scope, width, channels, stride)?);
                width = channels;
            }
            stages.push(blocks);
        }
        Ok(Self { stem, stages })
    }

    /// # Shapes
    /// `x` `[n, d, h, w, channels_in]`; stage `s` is `2^s` times coarser.
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

/// Convolution without bias, instance norm, leaky ReLU.
pub(crate) fn leaky_unit(
    scope: Scope,
    channels_in: usize,
    channels_out: usize,
    stride: usize,
) -> Result<ConvBlock, ModelError> {
    let shape = leaky_shape(channels_in, channels_out, stride);
    ConvBlock::build(scope, ["conv", "norm"], shape, NormKind::Instance, Activation::LeakyRelu(SLOPE))
}

fn leaky_shape(channels_in: usize, channels_out: usize, stride: usize) -> ConvShape {
    ConvShape { channels_in, channels_out, kernel: 3, stride, bias: false, slope: f64::from(SLOPE) }
}

/// act(norm(conv(act(norm(conv x)))) + skip x).
#[derive(Debug, Clone)]
struct ResidualBlock {
    first: ConvBlock,
    second: ConvBlock,
    skip: Skip,
}

/// The short way around a [`ResidualBlock`]: average pooling when strided, then a projection when the width changes.
#[derive(Debug, Clone)]
struct Skip {
    stride: usize,
    projection: Option<(Conv, Norm)>,
}

impl ResidualBlock {
    fn build(mut scope: Scope, channels_in: usize, channels: usize, stride: usize) -> Result<Self, ModelError> {
        let shape = leaky_shape(channels, channels, 1);
        Ok(Self {
            first: leaky_unit(scope.at("conv1"), channels_in, channels, stride)?,
            second: ConvBlock::build(scope.at("conv2"), ["conv", "norm"], shape, NormKind::Instance, Activation::None)?,
            skip: Skip::build(scope.at("skip"), channels_in, channels, stride)?,
        })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let mut y = self.first.forward(x, mode)?;
        y = self.second.forward(&y, mode)?;
        let skip = self.skip.forward(x, mode)?;
        Ok(ops::add_activate(&y, &skip, Activation::LeakyRelu(SLOPE))?)
    }
}

impl Skip {
    /// The projection is number 1 behind a pool, else number 0, as in nnU-Net's checkpoints.
    fn build(mut scope: Scope, channels_in: usize, channels: usize, stride: usize) -> Result<Self, ModelError> {
        if channels_in == channels {
            return Ok(Self { stride, projection: None });
        }
        let mut scope = scope.at(usize::from(stride > 1));
        let shape = ConvShape { channels_in, channels_out: channels, kernel: 1, stride: 1, bias: false, slope: 1.0 };
        let conv = Conv::build(scope.at("conv"), shape)?;
        Ok(Self { stride, projection: Some((conv, Norm::build(scope.at("norm"), NormKind::Instance, channels)?)) })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let mut x = x.clone();
        if self.stride > 1 {
            x = ops::avg_pool3d(&x, [self.stride; 3])?;
        }
        if let Some((conv, norm)) = &self.projection {
            x = norm.forward(Input::Spent(conv.forward(&x, mode)?), Activation::None, mode)?;
        }
        Ok(x)
    }
}
