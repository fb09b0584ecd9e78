//! The prompt decoder (docs/method.md, Preset pulmoav): words ask the image, the answer is a mask embedding a prompt
//! and scale.
//!
//! Every map depends on the whole list of prompts given (they are centred on their mean and attend to each other), so
//! callers always give all of the plan's targets and choose maps afterwards; see
//! `docs/decisions/0001-prompt-decoder.md`.

use candle_core::{Tensor, Var};
use pulmoav_ops::{self as ops, AttentionMask};
use pulmoav_plan::Pulmoav;

use crate::ModelError;
use crate::block::{LayerNorm, Linear, Mlp, Mode};
use crate::parameters::{Init, Scope};

/// Log-odds of a voxel before training: vessels are rare.
const FIRST_LOGIT: f32 = -2.0;

/// Queries from words, keys and values from bottleneck voxels.
#[derive(Debug)]
pub(crate) struct PromptDecoder {
    norm: LayerNorm,
    adapter: Mlp,
    memory_norm: LayerNorm,
    memory: Linear,
    layers: Vec<Layer>,
    last_norm: LayerNorm,
    masks: Vec<MaskHead>,
}

impl PromptDecoder {
    /// `scales` are the widths of the decoder's features that get logits, finest first; `bottleneck` is the coarsest
    /// width.
    pub(crate) fn build(
        mut scope: Scope,
        numbers: &Pulmoav,
        bottleneck: usize,
        scales: &[usize],
    ) -> Result<Self, ModelError> {
        let (width, text_width) = (numbers.prompt_width, numbers.text_width);
        let inits = [Init::kaiming(0.0, text_width), Init::scaled(1.0, width)];
        Ok(Self {
            norm: LayerNorm::build(scope.at("prompt_norm"), text_width)?,
            adapter: Mlp::build(scope.at("prompt_adapter"), [text_width, width, width], inits)?,
            memory_norm: LayerNorm::build(scope.at("memory_norm"), bottleneck)?,
            memory: Linear::build(scope.at("memory"), bottleneck, width, Init::scaled(1.0, bottleneck))?,
            layers: (0..numbers.prompt_layers)
                .map(|layer| Layer::build(scope.at(format_args!("layers.{layer}")), width, numbers.heads))
                .collect::<Result<_, _>>()?,
            last_norm: LayerNorm::build(scope.at("last_norm"), width)?,
            masks: scales
                .iter()
                .enumerate()
                .map(|(scale, &channels)| {
                    MaskHead::build(scope.at(format_args!("masks.{scale}")), width, channels, numbers.auxiliary.len())
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// What each prompt asks, after it has seen the image.
    ///
    /// # Shapes
    /// `bottleneck` `[n, d, h, w, c]`, `prompts` `[p, text_width]` → `[n, p, width]`.
    fn queries(&self, bottleneck: &Tensor, prompts: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let (n, d, h, w, c) = bottleneck.dims5()?;
        let memory = self.memory_norm.forward(&bottleneck.reshape((n, d * h * w, c))?, mode)?;
        let memory = self.memory.forward(&memory, mode)?;
        let words = self.adapter.forward(&self.norm.forward(&centred(prompts)?, mode)?, mode)?;
        let (p, width) = words.dims2()?;
        let mut queries = words.reshape((1, p, width))?.broadcast_as((n, p, width))?.contiguous()?;
        for layer in &self.layers {
            queries = layer.forward(&queries, &words, &memory, mode)?;
        }
        self.last_norm.forward(&queries, mode)
    }

    /// The asked prompts' mask embeddings at each of the finest `scales`, finest first, as
    /// [`ops::linear_per_sample`] takes them; [`Mode::Train`] adds the auxiliary ones behind them.
    ///
    /// # Shapes
    /// `bottleneck` `[n, d, h, w, c]`, `prompts` `[p, text_width]` → per scale `[n, c_s + 1, asked (+ auxiliary)]`.
    pub(crate) fn masks(
        &self,
        bottleneck: &Tensor,
        prompts: &Tensor,
        asked: &[usize],
        scales: usize,
        mode: Mode,
    ) -> Result<Vec<Tensor>, ModelError> {
        let queries = self.queries(bottleneck, prompts, mode)?;
        let asked: Vec<Tensor> = asked.iter().map(|&prompt| queries.narrow(1, prompt, 1)).collect::<Result<_, _>>()?;
        let queries = Tensor::cat(&asked, 1)?;
        self.masks[..scales].iter().map(|head| head.forward(&queries, mode)).collect()
    }
}

/// Raw CLIP embeddings of prompts have cosines near 0.9: what they share is taken away. A lone prompt stays as it is.
fn centred(prompts: &Tensor) -> Result<Tensor, ModelError> {
    if prompts.dim(0)? < 2 {
        return Ok(prompts.clone());
    }
    Ok(prompts.broadcast_sub(&prompts.mean_keepdim(0)?)?)
}

/// Self-attention among prompts, gated cross-attention to the image, MLP; each on a normed input, each added.
#[derive(Debug)]
struct Layer {
    self_norm: LayerNorm,
    self_attention: Attention,
    cross_norm: LayerNorm,
    cross_attention: Attention,
    gate: Linear,
    mlp_norm: LayerNorm,
    mlp: Mlp,
}

impl Layer {
    fn build(mut scope: Scope, width: usize, heads: usize) -> Result<Self, ModelError> {
        Ok(Self {
            self_norm: LayerNorm::build(scope.at("self_norm"), width)?,
            self_attention: Attention::build(scope.at("self_attention"), width, heads)?,
            cross_norm: LayerNorm::build(scope.at("cross_norm"), width)?,
            cross_attention: Attention::build(scope.at("cross_attention"), width, heads)?,
            // Half open at first (a sigmoid near 0.5), a little different for each prompt.
            gate: Linear::build(scope.at("gate"), width, 1, Init::scaled(0.5, width))?,
            mlp_norm: LayerNorm::build(scope.at("mlp_norm"), width)?,
            mlp: Mlp::build(
                scope.at("mlp"),
                [width, 2 * width, width],
                [Init::kaiming(0.0, width), Init::scaled(1.0, 2 * width)],
            )?,
        })
    }

    /// # Shapes
    /// `queries` `[n, p, width]`, `words` `[p, width]`, `memory` `[n, v, width]` → as `queries`.
    fn forward(&self, queries: &Tensor, words: &Tensor, memory: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let normed = self.self_norm.forward(queries, mode)?;
        let mut queries = (queries + self.self_attention.forward(&normed, &normed, mode)?)?;
        let normed = self.cross_norm.forward(&queries, mode)?;
        let answer = self.cross_attention.forward(&normed, memory, mode)?;
        let gate = ops::sigmoid(&self.gate.forward(words, mode)?)?;
        queries = (queries + answer.broadcast_mul(&gate)?)?;
        let normed = self.mlp_norm.forward(&queries, mode)?;
        Ok((queries + self.mlp.forward(&normed, mode)?)?)
    }
}

/// Attention of several heads. Keys have no bias: a softmax over the keys would cancel it.
#[derive(Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    fn build(mut scope: Scope, width: usize, heads: usize) -> Result<Self, ModelError> {
        let init = Init::scaled(1.0, width);
        Ok(Self {
            query: Linear::build(scope.at("query"), width, width, init)?,
            key: Linear::build_unbiased(scope.at("key"), width, width, init)?,
            value: Linear::build(scope.at("value"), width, width, init)?,
            out: Linear::build(scope.at("out"), width, width, init)?,
            heads,
        })
    }

    /// # Shapes
    /// `queries` `[n, p, width]`, `memory` `[n, v, width]` → `[n, p, width]`.
    fn forward(&self, queries: &Tensor, memory: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let query = self.query.forward(queries, mode)?;
        let (key, value) = (self.key.forward(memory, mode)?, self.value.forward(memory, mode)?);
        let seen = ops::attention(&query, &key, &value, self.heads, AttentionMask::None)?;
        self.out.forward(&seen, mode)
    }
}

/// A prompt's mask embedding and bias at one scale; the logit is the embedding's dot product with the features.
#[derive(Debug)]
struct MaskHead {
    embedding: Linear,
    bias_weight: Var,
    bias: Var,
    /// Embeddings and bias `[c + 1, auxiliary]` of what no prompt asks for.
    auxiliary: Option<Var>,
}

impl MaskHead {
    fn build(mut scope: Scope, width: usize, channels: usize, auxiliary: usize) -> Result<Self, ModelError> {
        let init = Init::scaled(1.0, width * channels);
        let shape = [channels + 1, auxiliary];
        let auxiliary = (auxiliary > 0).then(|| scope.parameter("auxiliary", &shape, Init::scaled(1.0, channels)));
        Ok(Self {
            embedding: Linear::build(scope.at("embedding"), width, channels, init)?,
            bias_weight: scope.parameter("bias.weight", &[width, 1], Init::scaled(0.1, width))?,
            bias: scope.parameter("bias.bias", &[1], Init::Constant(FIRST_LOGIT))?,
            auxiliary: auxiliary.transpose()?,
        })
    }

    /// # Shapes
    /// `queries` `[n, p, width]` → `[n, c + 1, p (+ auxiliary)]`, the last row the bias.
    fn forward(&self, queries: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let embeddings = self.embedding.forward(queries, mode)?;
        let biases = ops::linear(queries, &mode.of(&self.bias_weight), Some(&mode.of(&self.bias)))?;
        let masks = Tensor::cat(&[embeddings, biases], 2)?.transpose(1, 2)?;
        let (Some(auxiliary), Mode::Train | Mode::Recompute) = (&self.auxiliary, mode) else {
            return Ok(masks.contiguous()?);
        };
        let (n, rows, _) = masks.dims3()?;
        let auxiliary = mode.of(auxiliary).broadcast_as((n, rows, auxiliary.dim(1)?))?;
        Ok(Tensor::cat(&[masks, auxiliary], 2)?.contiguous()?)
    }
}
