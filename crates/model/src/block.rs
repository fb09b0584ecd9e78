//! Building blocks that both presets share.

use candle_core::{Tensor, Var};
use pulmoav_ops::tape::{Pass, note_use, recomputed};
use pulmoav_ops::{self as ops, Activation, Input};

use crate::ModelError;
use crate::parameters::{Init, Scope};

/// Every norm's eps.
pub(crate) const NORM_EPS: f64 = 1e-5;

/// Whether gradients will be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Keeps the graph; gives the logits of every supervised scale.
    Train,
    /// As [`Mode::Train`], but the blocks of an encoder and a decoder are computed again in the backward pass instead of
    /// kept: the same bits in less memory and more time.
    Recompute,
    /// Keeps no graph, frees each tensor when it has been used; gives the finest logits only.
    Infer,
}

impl Mode {
    /// The parameter as the arithmetic sees it: with its gradient or without, in the same storage.
    pub(crate) fn of(self, parameter: &Var) -> Tensor {
        match self {
            Self::Train | Self::Recompute => parameter.as_tensor().clone(),
            Self::Infer => {
                note_use(parameter);
                parameter.as_detached_tensor()
            }
        }
    }

    /// Runs a block in this mode.
    pub(crate) fn run<const N: usize>(
        self,
        inputs: [Tensor; N],
        block: impl Fn([Tensor; N], Self) -> Result<Tensor, ModelError> + 'static,
    ) -> Result<Tensor, ModelError> {
        if self != Self::Recompute {
            return block(inputs, self);
        }
        let again = move |inputs: &[Tensor], pass| {
            let mode = if pass == Pass::Forward { Self::Infer } else { Self::Train };
            block(std::array::from_fn(|at| inputs[at].clone()), mode).map_err(ModelError::into_candle)
        };
        Ok(recomputed(&inputs.each_ref(), again)?)
    }
}

/// x W + b over the last dimension.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Var,
    bias: Option<Var>,
}

impl Linear {
    /// With bias, first values of the given spread.
    pub(crate) fn build(mut scope: Scope, width_in: usize, width_out: usize, init: Init) -> Result<Self, ModelError> {
        Ok(Self {
            weight: scope.parameter("weight", &[width_in, width_out], init)?,
            bias: Some(scope.parameter("bias", &[width_out], Init::Constant(0.0))?),
        })
    }

    /// Without bias: where a softmax or a norm would cancel it.
    pub(crate) fn build_unbiased(
        mut scope: Scope,
        width_in: usize,
        width_out: usize,
        init: Init,
    ) -> Result<Self, ModelError> {
        Ok(Self { weight: scope.parameter("weight", &[width_in, width_out], init)?, bias: None })
    }

    /// # Shapes
    /// `x` `[.., width_in]` → `[.., width_out]`.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let bias = self.bias.as_ref().map(|bias| mode.of(bias));
        Ok(ops::linear(x, &mode.of(&self.weight), bias.as_ref())?)
    }
}

/// Linear, GELU (erf), Linear.
#[derive(Debug)]
pub(crate) struct Mlp {
    first: Linear,
    second: Linear,
}

impl Mlp {
    /// Named `D_fc1` and `D_fc2`, as published adapters are.
    pub(crate) fn build(mut scope: Scope, widths: [usize; 3], inits: [Init; 2]) -> Result<Self, ModelError> {
        let [width_in, hidden, width_out] = widths;
        Ok(Self {
            first: Linear::build(scope.at("D_fc1"), width_in, hidden, inits[0])?,
            second: Linear::build(scope.at("D_fc2"), hidden, width_out, inits[1])?,
        })
    }

    /// # Shapes
    /// `x` `[.., width_in]` → `[.., width_out]`.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        self.second.forward(&ops::gelu_erf(&self.first.forward(x, mode)?)?, mode)
    }
}

/// Layer norm over the last dimension.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    gamma: Var,
    beta: Var,
}

impl LayerNorm {
    pub(crate) fn build(mut scope: Scope, width: usize) -> Result<Self, ModelError> {
        Ok(Self {
            gamma: scope.parameter("weight", &[width], Init::Constant(1.0))?,
            beta: scope.parameter("bias", &[width], Init::Constant(0.0))?,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        Ok(ops::layer_norm(x, &mode.of(&self.gamma), &mode.of(&self.beta), NORM_EPS)?)
    }
}

/// Over which values a [`Norm`] takes its statistics.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NormKind {
    /// A sample's channel, with this eps.
    Instance(f64),
    /// A channel of the whole batch, also at inference.
    Batch,
    /// A sample's group of channels; this many groups.
    Group(usize),
}

/// A norm over space with an activation behind it.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    kind: NormKind,
    gamma: Var,
    beta: Var,
}

impl Norm {
    pub(crate) fn build(mut scope: Scope, kind: NormKind, channels: usize) -> Result<Self, ModelError> {
        Ok(Self {
            kind,
            gamma: scope.parameter("weight", &[channels], Init::Constant(1.0))?,
            beta: scope.parameter("bias", &[channels], Init::Constant(0.0))?,
        })
    }

    /// # Shapes
    /// `x` `[n, d, h, w, c]` → the same.
    pub(crate) fn forward<'a>(
        &self,
        x: impl Into<Input<'a>>,
        activation: Activation,
        mode: Mode,
    ) -> Result<Tensor, ModelError> {
        let (gamma, beta) = (mode.of(&self.gamma), mode.of(&self.beta));
        let (gamma, beta) = (Some(&gamma), Some(&beta));
        Ok(match self.kind {
            NormKind::Instance(eps) => ops::instance_norm(x, gamma, beta, eps, activation)?,
            NormKind::Batch => ops::batch_norm(x, gamma, beta, NORM_EPS, activation)?,
            NormKind::Group(groups) => ops::group_norm(x, gamma, beta, groups, NORM_EPS, activation)?,
        })
    }
}

/// What a [`Conv`] is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvShape {
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    /// Edges of the kernel, odd; padding keeps the size.
    pub(crate) kernel: [usize; 3],
    /// Steps along the axes.
    pub(crate) stride: [usize; 3],
    pub(crate) bias: bool,
    /// Slope of the leaky ReLU that follows (0 for ReLU, 1 for nothing).
    pub(crate) slope: f64,
}

/// A convolution with a kernel of odd edges.
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    weight: Var,
    bias: Option<Var>,
    stride: [usize; 3],
    padding: [usize; 3],
}

impl Conv {
    pub(crate) fn build(mut scope: Scope, shape: ConvShape) -> Result<Self, ModelError> {
        let ConvShape { channels_in, channels_out, kernel, stride, bias, slope } = shape;
        let init = Init::kaiming(slope, channels_in * kernel.iter().product::<usize>());
        let [kd, kh, kw] = kernel;
        Ok(Self {
            weight: scope.parameter("weight", &[kd, kh, kw, channels_in, channels_out], init)?,
            bias: bias.then(|| scope.parameter("bias", &[channels_out], Init::Constant(0.0))).transpose()?,
            stride,
            padding: kernel.map(|edge| edge / 2),
        })
    }

    /// # Shapes
    /// `x` `[n, d, h, w, channels_in]` → `[n, d / stride, h / stride, w / stride, channels_out]`, rounded up.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let bias = self.bias.as_ref().map(|bias| mode.of(bias));
        Ok(ops::conv3d(x, &mode.of(&self.weight), bias.as_ref(), self.stride, self.padding)?)
    }

    /// [`Conv::forward`] of the channels of `a` and then those of `b`.
    fn forward_joined(&self, a: &Tensor, b: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let bias = self.bias.as_ref().map(|bias| mode.of(bias));
        Ok(ops::conv3d_joined(a, b, &mode.of(&self.weight), bias.as_ref(), self.stride, self.padding)?)
    }
}

/// Convolution, norm, activation; the last two the other way round if the activation comes first.
#[derive(Debug, Clone)]
pub(crate) struct ConvBlock {
    conv: Conv,
    norm: Norm,
    activation: Activation,
    activation_first: bool,
}

impl ConvBlock {
    /// `names` are those of the convolution and of the norm.
    pub(crate) fn build(
        mut scope: Scope,
        names: [&str; 2],
        shape: ConvShape,
        kind: NormKind,
        activation: Activation,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            conv: Conv::build(scope.at(names[0]), shape)?,
            norm: Norm::build(scope.at(names[1]), kind, shape.channels_out)?,
            activation,
            activation_first: false,
        })
    }

    /// The same block with its activation before or behind its norm.
    pub(crate) fn with_activation_first(self, activation_first: bool) -> Self {
        Self { activation_first, ..self }
    }

    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        self.finish(self.conv.forward(x, mode)?, mode)
    }

    /// [`ConvBlock::forward`] of the channels of `a` and then those of `b`, which are let go as soon as they are
    /// convolved.
    pub(crate) fn forward_joined(&self, a: Tensor, b: Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let y = self.conv.forward_joined(&a, &b, mode)?;
        drop((a, b));
        self.finish(y, mode)
    }

    fn finish(&self, y: Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        if self.activation_first {
            let y = ops::activate(&y, self.activation)?;
            return self.norm.forward(&y, Activation::None, mode);
        }
        self.norm.forward(Input::Spent(y), self.activation, mode)
    }
}

/// Transposed convolution whose kernel is its stride.
#[derive(Debug, Clone)]
pub(crate) struct Up {
    weight: Var,
    bias: Option<Var>,
    stride: [usize; 3],
}

impl Up {
    pub(crate) fn build(
        mut scope: Scope,
        channels_in: usize,
        channels_out: usize,
        stride: [usize; 3],
        bias: bool,
    ) -> Result<Self, ModelError> {
        let [kd, kh, kw] = stride;
        let shape = [kd, kh, kw, channels_in, channels_out];
        Ok(Self {
            weight: scope.parameter("weight", &shape, Init::scaled(1.0, channels_in))?,
            bias: bias.then(|| scope.parameter("bias", &[channels_out], Init::Constant(0.0))).transpose()?,
            stride,
        })
    }

    /// # Shapes
    /// `x` `[n, d, h, w, channels_in]` → `[n, d · stride, h · stride, w · stride, channels_out]`.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let bias = self.bias.as_ref().map(|bias| mode.of(bias));
        Ok(ops::conv_transpose3d(x, &mode.of(&self.weight), bias.as_ref(), self.stride)?)
    }
}
