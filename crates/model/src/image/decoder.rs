//! The decoder of both presets: up, join the skip, convolve.

use candle_core::Tensor;
use pulmoav_ops::Activation;
use pulmoav_plan::Unet;

use super::encoder::{Encoded, plain_unit};
use crate::ModelError;
use crate::block::{ConvBlock, Mode, Up};
use crate::parameters::Scope;
use crate::unet::Units;

/// One step a level, from the coarsest up.
#[derive(Debug)]
pub(crate) struct Decoder {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    up: Up,
    /// Joins the skip.
    first: ConvBlock,
    others: Vec<ConvBlock>,
}

impl Decoder {
    /// The published one: the transposed convolution keeps its width, two units behind it (docs/method.md, Preset
    /// la-caf).
    ///
    /// `skips` are the skips' widths, finest first.
    pub(crate) fn build_plain(mut scope: Scope, skips: &[usize], bottleneck: usize) -> Result<Self, ModelError> {
        let mut width = bottleneck;
        let mut steps = Vec::with_capacity(skips.len());
        for (level, &skip) in skips.iter().enumerate().rev() {
            let mut scope = scope.at(format_args!("up_tr{}", 64 << level));
            let up = Up::build(scope.at("up_conv"), width, width, [2; 3], true)?;
            let first = plain_unit(scope.at("ops.0"), width + skip, skip)?;
            let others = vec![plain_unit(scope.at("ops.1"), skip, skip)?];
            steps.push(Step { up, first, others });
            width = skip;
        }
        Ok(Self { steps })
    }

    /// nnU-Net's: the transposed convolution goes to the skip's width by the stride that led down from it, units of the
    /// skip's kernel behind it (docs/method.md, Preset pulmoav). `unet` is valid.
    pub(crate) fn build_leaky(mut scope: Scope, unet: &Unet) -> Result<Self, ModelError> {
        let (units, channels) = (Units::of(unet), &unet.stage_channels);
        let mut steps = Vec::with_capacity(unet.decoder_blocks.len());
        for (step, &blocks) in unet.decoder_blocks.iter().enumerate() {
            let stage = channels.len() - 2 - step;
            let (coarse, fine, kernel) = (channels[stage + 1], channels[stage], unet.kernels[stage]);
            let stride = unet.strides[stage + 1];
            let up = Up::build(scope.at(format_args!("transpconvs.{step}")), coarse, fine, stride, unet.conv_bias)?;
            let mut scope = scope.at(format_args!("stages.{step}.convs"));
            let mut unit = |place: usize, width| {
                units.build(scope.at(place), [width, fine], kernel, [1; 3], Activation::LeakyRelu(units.slope))
            };
            let first = unit(0, 2 * fine)?;
            let others = (1..blocks).map(|place| unit(place, fine)).collect::<Result<_, _>>()?;
            steps.push(Step { up, first, others });
        }
        Ok(Self { steps })
    }

    /// The features of the `scales` finest levels, finest first. Skips are let go as soon as they are joined.
    pub(crate) fn forward(&self, encoded: Encoded, scales: usize, mode: Mode) -> Result<Vec<Tensor>, ModelError> {
        let Encoded { mut skips, bottleneck: mut x } = encoded;
        let mut features = Vec::with_capacity(scales);
        for (done, step) in self.steps.iter().enumerate() {
            let step = step.clone();
            // One skip a step: both are built from the same list.
            let skip = skips.pop().ok_or_else(|| candle_core::Error::msg("the decoder has more steps than skips"))?;
            x = mode.run([x, skip], move |[x, skip], mode| step.forward(&x, skip, mode))?;
            if done + scales >= self.steps.len() {
                features.push(x.clone());
            }
        }
        features.reverse();
        Ok(features)
    }
}

impl Step {
    fn forward(&self, x: &Tensor, skip: Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let up = self.up.forward(x, mode)?;
        let mut y = self.first.forward_joined(up, skip, mode)?;
        for conv in &self.others {
            y = conv.forward(&y, mode)?;
        }
        Ok(y)
    }
}
