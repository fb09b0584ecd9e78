//! nnU-Net's U-Nets, plain and with a residual encoder, which answer with classes. Names are those of its checkpoints;
//! weights are stored `[kd, kh, kw, ci, co]`.

mod plain;
pub(crate) mod residual;

use candle_core::{Device, Tensor};
use pulmoav_ops::device::Compute;
use pulmoav_ops::{Activation, cast};
use pulmoav_plan::{ClassPlan, Network, PLAN_VERSION, PlanError, Unet};

use crate::ModelError;
use crate::block::{Conv, ConvBlock, ConvShape, Mode, NormKind};
use crate::image::decoder::Decoder;
use crate::parameters::{Parameters, Scope};
use plain::ConvStages;
use residual::ResidualEncoder;

/// A network that answers with one logit map a class.
#[derive(Debug)]
pub struct ClassNetwork {
    encoder: Encoder,
    decoder: Decoder,
    head: Conv,
    channels: usize,
    reduction: [usize; 3],
    compute: Compute,
}

#[derive(Debug)]
enum Encoder {
    Plain(ConvStages),
    Residual(ResidualEncoder),
}

impl ClassNetwork {
    /// Builds the plan's network; missing parameters are created, or refused if the parameters came from a file.
    ///
    /// The network shares storage with `parameters`.
    ///
    /// # Errors
    /// An invalid plan; [`ModelError::MissingTensor`], [`ModelError::WrongTensor`].
    pub fn build(plan: &ClassPlan, parameters: &mut Parameters) -> Result<Self, ModelError> {
        plan.validate()?;
        let (channels, compute) = (plan.channels.len(), parameters.compute().clone());
        let mut scope = Scope::root(parameters);
        let (encoder, unet) = match &plan.network {
            Network::PlainUnet(unet) => (Encoder::Plain(ConvStages::build(scope.at("encoder"), channels, unet)?), unet),
            Network::ResidualUnet(unet) => {
                (Encoder::Residual(ResidualEncoder::build(scope.at("encoder"), channels, unet)?), unet)
            }
            // The plan's check has refused these.
            Network::LaCaf(_) | Network::Pulmoav(_) => {
                return Err(PlanError::Kind { found: PLAN_VERSION.into(), expected: plan.version }.into());
            }
        };
        let decoder = Decoder::build_leaky(scope.at("decoder"), unet)?;
        let head = ConvShape {
            channels_in: unet.stage_channels[0],
            channels_out: unet.outputs,
            kernel: [1; 3],
            stride: [1; 3],
            bias: true,
            slope: 1.0,
        };
        // One head a scale is trained; the finest scale's is the answer.
        let finest = unet.decoder_blocks.len() - 1;
        let head = Conv::build(scope.at(format_args!("decoder.seg_layers.{finest}")), head)?;
        Ok(Self { encoder, decoder, head, channels, reduction: unet.reduction(), compute })
    }

    /// Bytes of a value that it computes with.
    pub fn value_bytes(&self) -> usize {
        self.compute.dtype.size_in_bytes()
    }

    /// Where its parameters are, and so its images must be.
    pub fn device(&self) -> &Device {
        &self.compute.device
    }

    /// The logits of every output channel. Keeps no graph.
    ///
    /// # Shapes
    /// `x` `[n, d, h, w, channels]`, each edge a multiple of [`Network::edge_multiples`] → `[n, d, h, w, outputs]`.
    ///
    /// # Errors
    /// [`ModelError::Input`] for other shapes, [`ModelError::Tensor`] if an operator fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        self.check_image(x)?;
        let x = &cast(x, self.compute.dtype)?;
        self.compute.products.during(|| self.answer(x))
    }

    fn answer(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let encoded = match &self.encoder {
            Encoder::Plain(encoder) => encoder.forward(x, Mode::Infer)?,
            Encoder::Residual(encoder) => encoder.forward(x, Mode::Infer)?,
        };
        let features = self.decoder.forward(encoded, 1, Mode::Infer)?;
        // A valid network has a decoder stage, and so the finest scale.
        let features = features.first().ok_or_else(|| candle_core::Error::Msg("a U-Net without a decoder".into()))?;
        self.head.forward(features, Mode::Infer)
    }

    fn check_image(&self, x: &Tensor) -> Result<(), ModelError> {
        let found = x.dims();
        let fits = |(&edge, &multiple): (&usize, &usize)| edge > 0 && edge.is_multiple_of(multiple);
        let edges = found.get(1..4).unwrap_or_default();
        let right = found.len() == 5
            && found[0] > 0
            && found[4] == self.channels
            && edges.iter().zip(&self.reduction).all(fits);
        if right {
            return Ok(());
        }
        let expected = format!("[n, d, h, w, {}] with edges that are multiples of {:?}", self.channels, self.reduction);
        Err(ModelError::Input { what: "an image", found: found.to_vec(), expected })
    }
}

/// What the convolutions of a U-Net have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Units {
    bias: bool,
    pub(crate) eps: f64,
    pub(crate) slope: f32,
    activation_first: bool,
}

impl Units {
    pub(crate) fn of(unet: &Unet) -> Self {
        let Unet { conv_bias, norm_eps, negative_slope, activation_first, .. } = *unet;
        Self { bias: conv_bias, eps: norm_eps, slope: negative_slope as f32, activation_first }
    }

    /// Convolution, instance norm, activation.
    pub(crate) fn build(
        self,
        scope: Scope,
        [channels_in, channels_out]: [usize; 2],
        kernel: [usize; 3],
        stride: [usize; 3],
        activation: Activation,
    ) -> Result<ConvBlock, ModelError> {
        let slope = f64::from(self.slope);
        let shape = ConvShape { channels_in, channels_out, kernel, stride, bias: self.bias, slope };
        let block = ConvBlock::build(scope, ["conv", "norm"], shape, NormKind::Instance(self.eps), activation)?;
        Ok(block.with_activation_first(self.activation_first))
    }
}
