//! What an encoder gives, and the published plain one.

use candle_core::Tensor;
use pulmoav_ops::{self as ops, Activation};

use crate::ModelError;
use crate::block::{ConvBlock, ConvShape, Mode, NormKind};
use crate::parameters::Scope;

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
    let shape = ConvShape { channels_in, channels_out, kernel: [3; 3], stride: [1; 3], bias: true, slope: 0.0 };
    ConvBlock::build(scope, ["conv1", "bn1"], shape, NormKind::Batch, Activation::Relu)
}
