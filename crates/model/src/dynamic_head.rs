//! The published head: three 1³ convolutions a prompt, whose weights the fused vector gives (METHOD §3.1).

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
        let reduce =
            ConvShape { channels_in: features, channels_out: WIDTH, kernel: 1, stride: 1, bias: true, slope: 1.0 };
        Ok(Self {
            controller: Linear::build(scope.at("controller"), fused, THETA, Init::scaled(0.7, fused))?,
            norm: Norm::build(scope.at("precls_conv.0"), NormKind::Group(groups), features)?,
            reduce: Conv::build(scope.at("precls_conv.2"), reduce)?,
        })
    }

    /// The logits of the asked prompts.
    ///
    /// # Shapes
    /// `features` `[n, d, h, w, c]`, `fused` `[n, p, fused]`, `asked` places among the prompts → `[n, d, h, w, asked]`.
    pub(crate) fn forward(
        &self,
        features: Tensor,
        fused: &Tensor,
        asked: &[usize],
        mode: Mode,
    ) -> Result<Tensor, ModelError> {
        let (n, d, h, w, _) = features.dims5()?;
        let theta = self.controller.forward(fused, mode)?;
        let normed = self.norm.forward(&features, Activation::Relu, mode)?;
        drop(features);
        let reduced = self.reduce.forward(&normed, mode)?.reshape((n, d * h * w, WIDTH))?;
        drop(normed);
        let mut samples = Vec::with_capacity(n);
        for sample in 0..n {
            let voxels = reduced.get(sample)?;
            let logits = asked.iter().map(|&prompt| layers(&voxels, &theta.get(sample)?.get(prompt)?));
            samples.push(Tensor::cat(&logits.collect::<Result<Vec<_>, _>>()?, 1)?);
        }
        Ok(Tensor::cat(&samples, 0)?.reshape((n, d, h, w, asked.len()))?)
    }
}

/// 8 → 8 → 8 → 1 with ReLU between.
///
/// # Shapes
/// `voxels` `[v, 8]`, `theta` `[153]` → `[v, 1]`.
fn layers(voxels: &Tensor, theta: &Tensor) -> Result<Tensor, ModelError> {
    let mut x = voxels.clone();
    for layer in 0..3 {
        let weight = theta.narrow(0, WEIGHTS[layer], OUT[layer] * WIDTH)?.reshape((OUT[layer], WIDTH))?.t()?;
        let bias = theta.narrow(0, BIASES[layer], OUT[layer])?;
        x = ops::linear(&x, &weight.contiguous()?, Some(&bias))?;
        if layer < 2 {
            x = ops::activate(&x, Activation::Relu)?;
        }
    }
    Ok(x)
}
