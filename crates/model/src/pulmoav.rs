//! Preset `pulmoav`, the default: a residual-encoder U-Net with a prompt decoder (docs/method.md, Preset pulmoav).

use candle_core::{DType, Tensor};
use pulmoav_ops::{linear_per_sample, tape::region};
use pulmoav_plan::{Plan, Pulmoav, Unet};

use crate::ModelError;
use crate::block::{Mode, NORM_EPS};
use crate::image::decoder::Decoder;
use crate::parameters::Scope;
use crate::prompt_decoder::PromptDecoder;
use crate::unet::residual::ResidualEncoder;

/// Slope of its leaky `ReLU`s.
const SLOPE: f64 = 0.01;

/// The default network.
#[derive(Debug)]
pub(crate) struct PulmoavNetwork {
    encoder: ResidualEncoder,
    decoder: Decoder,
    prompts: PromptDecoder,
    supervised_scales: usize,
}

impl PulmoavNetwork {
    /// `numbers` come from a validated plan: at least two stages, a scale at least.
    pub(crate) fn build(plan: &Plan, numbers: &Pulmoav, mut scope: Scope) -> Result<Self, ModelError> {
        let Pulmoav { stage_channels, supervised_scales, .. } = numbers;
        let unet = unet(numbers);
        let (skips, bottleneck) = stage_channels.split_at(stage_channels.len() - 1);
        let (bottleneck, scales) = (bottleneck[0], &skips[..*supervised_scales]);
        Ok(Self {
            encoder: ResidualEncoder::build(scope.at("encoder"), plan.channels.len(), &unet)?,
            decoder: Decoder::build_leaky(scope.at("decoder"), &unet)?,
            prompts: PromptDecoder::build(scope.at("prompt_decoder"), numbers, bottleneck, scales)?,
            supervised_scales: *supervised_scales,
        })
    }

    /// # Shapes
    /// `x` `[n, d, h, w, ci]`, `prompts` `[p, text_width]` → per scale, finest first, `[n, d_s, h_s, w_s, asked]`; in
    /// training the plan's auxiliary maps follow the asked ones.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        prompts: &Tensor,
        asked: &[usize],
        mode: Mode,
    ) -> Result<Vec<Tensor>, ModelError> {
        let scales = match mode {
            Mode::Train | Mode::Recompute => self.supervised_scales,
            Mode::Infer => 1,
        };
        let encoded = self.encoder.forward(x, mode)?;
        let masks = region(&[&encoded.bottleneck], |inputs| {
            self.prompts.masks(&inputs[0].to_dtype(DType::F32)?, prompts, asked, scales, mode)
        })?;
        let features = self.decoder.forward(encoded, scales, mode)?;
        features.iter().zip(&masks).map(|(features, masks)| Ok(linear_per_sample(features, masks)?)).collect()
    }
}

/// The image's part as a U-Net: cubes halved at every stage but the first, one unit a decoder stage, no biases.
fn unet(Pulmoav { stage_channels, stage_blocks, .. }: &Pulmoav) -> Unet {
    let stages = stage_channels.len();
    Unet {
        stage_channels: stage_channels.clone(),
        kernels: vec![[3; 3]; stages],
        strides: (0..stages).map(|stage| if stage == 0 { [1; 3] } else { [2; 3] }).collect(),
        stage_blocks: stage_blocks.clone(),
        decoder_blocks: vec![1; stages - 1],
        conv_bias: false,
        norm_eps: NORM_EPS,
        negative_slope: SLOPE,
        activation_first: false,
        outputs: 0,
    }
}
