//! The published head: three 1³ convolutions a prompt, whose weights the fused vector gives (docs/method.md, Preset
//! la-caf).

use candle_core::Tensor;
use pulmoav_ops::{self as ops, Activation};

use crate::ModelError;
use crate::block::{Conv, ConvShape, Linear, Mode, Norm, NormKind};
use crate::parameters::{Init, Scope};

/// Width of the head's layers.
const WIDTH: usize = 8;
/// Where each piece of θ begins: three weight matrices `[out, in]`, then three biases.
const WEIGHTS: [usize; 3] = [0, WIDTH * WIDTH, 2 * WIDTH * WIDTH];
const BIASES: [usize; 3] = [2 * WIDTH * WIDTH + WIDTH, 2 * WIDTH * WIDTH + 2 * WIDTH, 2 * WIDTH * WIDTH + 3 * WIDTH];
const OUT: [usize; 3] = [WIDTH, WIDTH, 1];
/// Length of θ, 153.
const THETA: usize = BIASES[2] + 1;

/// Turns features and fused vectors into logits.
#[derive(Debug)]
pub(crate) struct DynamicHead {
    controller: Linear,
    norm: Norm,
    reduce: Conv,
}

impl DynamicHead {
    pub(crate) fn build(scope: &mut Scope, fused: usize, features: usize, groups: usize) -> Result<Self, ModelError> {
        let reduce = ConvShape {
            channels_in: features,
            channels_out: WIDTH,
            kernel: [1; 3],
            stride: [1; 3],
            bias: true,
            slope: 1.0,
        };
        Ok(Self {
            controller: Linear::build(scope.at("controller"), fused, THETA, Init::scaled(0.7, fused))?,
            norm: Norm::build(scope.at("precls_conv.0"), NormKind::Group(groups), features)?,
            reduce: Conv::build(scope.at("precls_conv.2"), reduce)?,
        })
    }

    /// The asked prompts' layers, three a prompt, as [`ops::linear_per_sample`] takes them.
    ///
    /// # Shapes
    /// `fused` `[n, p, fused]`, `asked` places among the prompts → `[n, 9, 8]`, `[n, 9, 8]`, `[n, 9, 1]` a prompt.
    pub(crate) fn layers(&self, fused: &Tensor, asked: &[usize], mode: Mode) -> Result<Vec<Tensor>, ModelError> {
        let theta = self.controller.forward(fused, mode)?;
        let mut layers = Vec::with_capacity(3 * asked.len());
        for &prompt in asked {
            let theta = theta.narrow(1, prompt, 1)?.squeeze(1)?;
            for layer in 0..3 {
                layers.push(packed(&theta, layer)?);
            }
        }
        Ok(layers)
    }

    /// The logits of the asked prompts: 8 → 8 → 8 → 1 with ReLU between.
    ///
    /// # Shapes
    /// `features` `[n, d, h, w, c]`, `layers` from [`Self::layers`] → `[n, d, h, w, asked]`.
    pub(crate) fn forward(&self, features: Tensor, layers: &[Tensor], mode: Mode) -> Result<Tensor, ModelError> {
        let normed = self.norm.forward(&features, Activation::Relu, mode)?;
        drop(features);
        let reduced = self.reduce.forward(&normed, mode)?;
        drop(normed);
        let mut all: Option<Tensor> = None;
        for layers in layers.chunks_exact(3) {
            let first = ops::activate(&ops::linear_per_sample(&reduced, &layers[0])?, Activation::Relu)?;
            let second = ops::activate(&ops::linear_per_sample(&first, &layers[1])?, Activation::Relu)?;
            let logits = ops::linear_per_sample(&second, &layers[2])?;
            all = Some(match all {
                None => logits,
                Some(before) => ops::concat_channels(&before, &logits)?,
            });
        }
        all.ok_or_else(|| candle_core::Error::Msg("no prompt was asked for".to_owned()).into())
    }
}

/// One layer of a prompt: its weights transposed, its bias as the last row.
///
/// # Shapes
/// `theta` `[n, 153]` → `[n, 9, out]`.
fn packed(theta: &Tensor, layer: usize) -> Result<Tensor, ModelError> {
    let (n, out) = (theta.dim(0)?, OUT[layer]);
    let weight = theta.narrow(1, WEIGHTS[layer], out * WIDTH)?.reshape((n, out, WIDTH))?.transpose(1, 2)?;
    let bias = theta.narrow(1, BIASES[layer], out)?.reshape((n, 1, out))?;
    Ok(Tensor::cat(&[weight.contiguous()?, bias], 1)?)
}
