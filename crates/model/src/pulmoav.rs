//! Preset `pulmoav`, the default: a residual-encoder U-Net with a prompt decoder (docs/method.md, Preset pulmoav).

use candle_core::Tensor;
use pulmoav_ops::{linear_per_sample, tape::region};
use pulmoav_plan::{Plan, Pulmoav};

use crate::ModelError;
use crate::block::Mode;
use crate::image::decoder::Decoder;
use crate::image::encoder::ResidualEncoder;
use crate::parameters::Scope;
use crate::prompt_decoder::PromptDecoder;

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
        let Pulmoav { stage_channels, stage_blocks, supervised_scales, .. } = numbers;
        let (skips, bottleneck) = stage_channels.split_at(stage_channels.len() - 1);
        let (bottleneck, scales) = (bottleneck[0], &skips[..*supervised_scales]);
        Ok(Self {
            encoder: ResidualEncoder::build(scope.at("encoder"), plan.channels.len(), stage_channels, stage_blocks)?,
            decoder: Decoder::build_leaky(scope.at("decoder"), skips, bottleneck)?,
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
        let masks =
            region(&[&encoded.bottleneck], |inputs| self.prompts.masks(&inputs[0], prompts, asked, scales, mode))?;
        let features = self.decoder.forward(encoded, scales, mode)?;
        features.iter().zip(&masks).map(|(features, masks)| Ok(linear_per_sample(features, masks)?)).collect()
    }
}
