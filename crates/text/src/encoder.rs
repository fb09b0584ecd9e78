//! The text tower of CLIP (Radford et al., "Learning transferable visual models from natural language supervision",
//! ICML 2021), at any size: a causal transformer, pooled at the end token.

use std::sync::Arc;

use candle_core::{Tensor, Var};
use pulmoav_model::ModelError;
use pulmoav_model::parameters::{Init, Parameters, Scope};
use pulmoav_ops::device::from_host;
use pulmoav_ops::{AttentionMask, PackedLinear, attention, gelu_erf, layer_norm, linear, quick_gelu};

use crate::tokenizer::{CONTEXT, VOCABULARY};

/// Sizes of a text tower.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Number of tokens.
    pub vocabulary: usize,
    /// Tokens of a prompt at most.
    pub context: usize,
    /// Columns of the token table if they are projected to `width`; CLIP's own towers have none.
    pub table_width: Option<usize>,
    /// Channels.
    pub width: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Channels inside a layer's perceptron.
    pub inner_width: usize,
    /// Its activation.
    pub activation: TextActivation,
    /// Width of the embedding if the pooled output is projected.
    pub projection: Option<usize>,
    /// Added to the variance in layer norms.
    pub epsilon: f64,
}

/// Activations of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextActivation {
    /// OpenAI's x · sigmoid(1.702 x).
    QuickGelu,
    /// LAION's exact GELU.
    Gelu,
}

impl TextConfig {
    /// A small tower of our own: a factorised token table, heads of 16 channels, `QuickGELU`, projection as wide as the
    /// tower.
    pub fn small(width: usize, layers: usize) -> Self {
        Self {
            vocabulary: VOCABULARY,
            context: CONTEXT,
            table_width: Some(16),
            width,
            layers,
            heads: (width / HEAD_WIDTH).max(1),
            inner_width: 4 * width,
            activation: TextActivation::QuickGelu,
            projection: Some(width),
            epsilon: 1e-5,
        }
    }

    /// Width of the embeddings.
    pub fn embedding_width(&self) -> usize {
        self.projection.unwrap_or(self.width)
    }
}

/// Channels of a head of our own towers.
pub(super) const HEAD_WIDTH: usize = 16;

/// Token ids in, embeddings out.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    config: TextConfig,
    table: Var,
    table_projection: Option<Var>,
    positions: Var,
    layers: Vec<Layer>,
    norm: Norm,
    projection: Option<Var>,
}

#[derive(Debug, Clone)]
struct Layer {
    norm1: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: Norm,
    up: Linear,
    down: Linear,
}

#[derive(Debug, Clone)]
enum Linear {
    Trained { weight: Var, bias: Var },
    Packed(Arc<PackedLinear>),
}

#[derive(Debug, Clone)]
struct Norm {
    gamma: Var,
    beta: Var,
}

impl TextEncoder {
    /// Takes the parameters named `text.*`, or creates them.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], [`ModelError::WrongTensor`].
    pub fn build(config: &TextConfig, parameters: &mut Parameters) -> Result<Self, ModelError> {
        let (width, table_width) = (config.width, config.table_width.unwrap_or(config.width));
        let mut root = Scope::root(parameters);
        let mut text = root.at("text");
        let layers = (0..config.layers)
            .map(|index| Layer::build(config, &mut text.at("layers").at(index)))
            .collect::<Result<_, _>>()?;
        let table_projection = match config.table_width {
            Some(_) => Some(text.at("tokens").parameter(
                "projection",
                &[table_width, width],
                Init::scaled(1.0, table_width),
            )?),
            None => None,
        };
        let projection = match config.projection {
            Some(out) => Some(text.parameter("projection", &[width, out], Init::scaled(1.0, width))?),
            None => None,
        };
        // A token that training never meets stays at zero where the table is ours: every unknown word is the same.
        let table_init = if config.table_width.is_some() { Init::Constant(0.0) } else { normal(0.02) };
        Ok(Self {
            table: text.at("tokens").parameter("table", &[config.vocabulary, table_width], table_init)?,
            table_projection,
            positions: text.parameter("positions", &[config.context, width], normal(0.01))?,
            layers,
            norm: Norm::build(width, &mut text.at("norm"))?,
            projection,
            config: config.clone(),
        })
    }

    /// The same with its layers laid out for a few tokens at a time, for use without training: no gradient passes them.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a copy fails.
    pub fn packed(self) -> Result<Self, ModelError> {
        let layers = self.layers.into_iter().map(Layer::packed).collect::<Result<_, _>>()?;
        Ok(Self { layers, ..self })
    }

    /// The sizes.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// Embeddings of prompts: pooled at the last token, normed, projected; not L2-normalised.
    ///
    /// The prompts' tokens go through the layers as one list, without padding.
    ///
    /// # Shapes
    /// `prompts` p lists of ids, each with start and end → `[p, embedding_width]`.
    ///
    /// # Errors
    /// [`ModelError::Input`] where a list is empty, longer than the context or holds an unknown id.
    pub fn embed(&self, prompts: &[Vec<u32>]) -> Result<Tensor, ModelError> {
        let pooled = self.pooled(prompts)?;
        Ok(match &self.projection {
            Some(projection) => linear(&pooled, projection, None)?,
            None => pooled,
        })
    }

    /// The pooled output before the projection.
    ///
    /// # Shapes
    /// As [`TextEncoder::embed`] → `[p, width]`.
    pub fn pooled(&self, prompts: &[Vec<u32>]) -> Result<Tensor, ModelError> {
        self.check(prompts)?;
        let list = TokenList::new(prompts);
        let rows = |table: &Tensor, places: Vec<u32>| {
            let places = from_host(places.clone(), places.len(), table.device())?;
            table.index_select(&places, 0)
        };
        let mut x = rows(&self.table, list.ids)?;
        if let Some(projection) = &self.table_projection {
            x = linear(&x, projection, None)?;
        }
        let mut x = (x + rows(&self.positions, list.positions)?)?.unsqueeze(0)?;
        let mask = AttentionMask::CausalFrom(list.starts);
        for layer in &self.layers {
            x = layer.forward(&x, &mask, &self.config)?;
        }
        let ends = rows(&x.squeeze(0)?, list.ends)?;
        self.norm.forward(&ends, self.config.epsilon)
    }

    fn check(&self, prompts: &[Vec<u32>]) -> Result<(), ModelError> {
        let (context, vocabulary) = (self.config.context, self.config.vocabulary);
        let wrong =
            |ids: &Vec<u32>| ids.is_empty() || ids.len() > context || ids.iter().any(|&id| id as usize >= vocabulary);
        if let Some(ids) = prompts.iter().find(|ids| wrong(ids)) {
            let expected = format!("1 to {context} ids below {vocabulary} a prompt");
            return Err(ModelError::Input { what: "prompts", found: vec![prompts.len(), ids.len()], expected });
        }
        if prompts.is_empty() {
            let expected = "at least one prompt".to_owned();
            return Err(ModelError::Input { what: "prompts", found: vec![0], expected });
        }
        Ok(())
    }
}

/// The tokens of several prompts, one prompt after the other.
struct TokenList {
    ids: Vec<u32>,
    /// Each token's place in its prompt.
    positions: Vec<u32>,
    /// Where each token's prompt starts.
    starts: Vec<usize>,
    /// Each prompt's last token.
    ends: Vec<u32>,
}

impl TokenList {
    fn new(prompts: &[Vec<u32>]) -> Self {
        let mut list = Self { ids: prompts.concat(), positions: Vec::new(), starts: Vec::new(), ends: Vec::new() };
        for ids in prompts {
            let start = list.starts.len();
            list.positions.extend(0..ids.len() as u32);
            list.starts.extend(std::iter::repeat_n(start, ids.len()));
            list.ends.push((start + ids.len() - 1) as u32);
        }
        list
    }
}

impl Layer {
    fn build(config: &TextConfig, scope: &mut Scope<'_>) -> Result<Self, ModelError> {
        let (width, inner) = (config.width, config.inner_width);
        let mut layer =
            |name: &str, from: usize, to: usize, gain: f64| Linear::build(from, to, gain, &mut scope.at(name));
        // What is added to the stream starts smaller, the more layers add to it.
        let quiet = (2.0 * config.layers as f64).sqrt().recip();
        Ok(Self {
            query: layer("query", width, width, 1.0)?,
            key: layer("key", width, width, 1.0)?,
            value: layer("value", width, width, 1.0)?,
            out: layer("out", width, width, quiet)?,
            up: layer("up", width, inner, 1.0)?,
            down: layer("down", inner, width, quiet)?,
            norm1: Norm::build(width, &mut scope.at("norm1"))?,
            norm2: Norm::build(width, &mut scope.at("norm2"))?,
        })
    }

    fn packed(self) -> Result<Self, ModelError> {
        let Self { norm1, query, key, value, out, norm2, up, down } = self;
        let (query, key, value, out) = (query.packed()?, key.packed()?, value.packed()?, out.packed()?);
        Ok(Self { norm1, query, key, value, out, norm2, up: up.packed()?, down: down.packed()? })
    }

    fn forward(&self, x: &Tensor, mask: &AttentionMask, config: &TextConfig) -> Result<Tensor, ModelError> {
        let normed = self.norm1.forward(x, config.epsilon)?;
        let (query, key, value) =
            (self.query.forward(&normed)?, self.key.forward(&normed)?, self.value.forward(&normed)?);
        let seen = attention(&query, &key, &value, config.heads, mask.clone())?;
        let x = (x + self.out.forward(&seen)?)?;
        let inner = self.up.forward(&self.norm2.forward(&x, config.epsilon)?)?;
        let inner = match config.activation {
            TextActivation::QuickGelu => quick_gelu(&inner)?,
            TextActivation::Gelu => gelu_erf(&inner)?,
        };
        Ok((x + self.down.forward(&inner)?)?)
    }
}

impl Linear {
    fn build(from: usize, to: usize, gain: f64, scope: &mut Scope<'_>) -> Result<Self, ModelError> {
        Ok(Self::Trained {
            weight: scope.parameter("weight", &[from, to], Init::scaled(gain, from))?,
            bias: scope.parameter("bias", &[to], Init::Constant(0.0))?,
        })
    }

    fn packed(self) -> Result<Self, ModelError> {
        Ok(match self {
            Self::Trained { weight, bias } => Self::Packed(Arc::new(PackedLinear::new(&weight, Some(&bias))?)),
            Self::Packed(_) => self,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match self {
            Self::Trained { weight, bias } => linear(x, weight, Some(bias))?,
            Self::Packed(layer) => layer.forward(x)?,
        })
    }
}

impl Norm {
    fn build(width: usize, scope: &mut Scope<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            gamma: scope.parameter("gamma", &[width], Init::Constant(1.0))?,
            beta: scope.parameter("beta", &[width], Init::Constant(0.0))?,
        })
    }

    fn forward(&self, x: &Tensor, epsilon: f64) -> Result<Tensor, ModelError> {
        Ok(layer_norm(x, &self.gamma, &self.beta, epsilon)?)
    }
}

fn normal(std: f32) -> Init {
    Init::Normal { mean: 0.0, std }
}
