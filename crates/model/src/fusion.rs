//! The published fusion of words and image: adapted texts, one image vector, a gate from the texts' affinity
//! (docs/method.md, Preset la-caf).

use candle_core::{DType, Tensor};
use pulmoav_ops::device::to_host;
use pulmoav_ops::{self as ops, Activation};
use pulmoav_plan::LaCafVariant;

use crate::ModelError;
use crate::block::{Conv, ConvShape, Linear, Mlp, Mode, Norm, NormKind};
use crate::parameters::{Init, Scope};

/// Gives each prompt one vector of image and words.
#[derive(Debug)]
pub(crate) struct Fusion {
    texts: Texts,
    image: Image,
}

/// How texts are brought to the fused width.
#[derive(Debug)]
enum Texts {
    /// An adapter a prompt.
    Adapters(Vec<Mlp>),
    /// One linear layer for all (variant `gap`).
    Shared(Linear),
}

/// How the bottleneck becomes one vector.
#[derive(Debug)]
struct Image {
    norm: Norm,
    /// Takes one axis of the grid to one value; `None` means the mean (variant `gap`).
    adapter: Option<Mlp>,
    projection: Conv,
}

/// The numbers a [`Fusion`] is built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FusionShape {
    pub(crate) variant: LaCafVariant,
    pub(crate) prompts: usize,
    pub(crate) text_width: usize,
    pub(crate) hidden: usize,
    pub(crate) width: usize,
    pub(crate) bottleneck: usize,
    pub(crate) groups: usize,
    /// Edge of the bottleneck's grid.
    pub(crate) grid: usize,
}

impl Fusion {
    pub(crate) fn build(scope: &mut Scope, shape: FusionShape) -> Result<Self, ModelError> {
        let FusionShape { variant, prompts, text_width, hidden, width, .. } = shape;
        let inits = [Init::scaled(1.0, text_width), Init::kaiming(0.0, hidden)];
        let texts = match variant {
            LaCafVariant::LaCaf => Texts::Adapters(
                (0..prompts)
                    .map(|c| Mlp::build(scope.at(format_args!("txtAdapter.{c}")), [text_width, hidden, width], inits))
                    .collect::<Result<_, _>>()?,
            ),
            LaCafVariant::Gap => {
                let init = Init::kaiming(0.0, text_width);
                Texts::Shared(Linear::build(scope.at("text_to_vision"), text_width, width, init)?)
            }
        };
        Ok(Self { texts, image: Image::build(scope, shape)? })
    }

    /// # Shapes
    /// `bottleneck` `[n, z, y, x, c]`, `prompts` `[p, text_width]` → `[n, p, 2 width]`: the gated image, then the text.
    pub(crate) fn forward(&self, bottleneck: &Tensor, prompts: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let texts = self.texts.forward(prompts, mode)?;
        let image = self.image.forward(bottleneck, mode)?;
        let ((n, width), p) = (image.dims2()?, texts.dim(0)?);
        let image = image.reshape((n, 1, width))?;
        let image = match self.texts {
            Texts::Adapters(_) => image.broadcast_mul(&gate(&texts)?.reshape((1, p, 1))?)?,
            Texts::Shared(_) => image.broadcast_as((n, p, width))?,
        };
        let texts = texts.reshape((1, p, width))?.broadcast_as((n, p, width))?;
        Ok(Tensor::cat(&[image, texts], 2)?)
    }
}

impl Texts {
    /// `[p, text_width]` → `[p, width]`, after the ReLU.
    fn forward(&self, prompts: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let adapted = match self {
            Self::Shared(linear) => linear.forward(prompts, mode)?,
            Self::Adapters(adapters) => {
                let rows = adapters.iter().enumerate().map(|(c, adapter)| {
                    let row = prompts.narrow(0, c, 1)?;
                    adapter.forward(&row, mode)
                });
                Tensor::cat(&rows.collect::<Result<Vec<_>, _>>()?, 0)?
            }
        };
        Ok(ops::activate(&adapted, Activation::Relu)?)
    }
}

impl Image {
    fn build(scope: &mut Scope, shape: FusionShape) -> Result<Self, ModelError> {
        let FusionShape { variant, width, bottleneck, groups, grid, .. } = shape;
        let projection = ConvShape {
            channels_in: bottleneck,
            channels_out: width,
            kernel: [1; 3],
            stride: [1; 3],
            bias: true,
            slope: 1.0,
        };
        let kind = NormKind::Group(groups);
        if variant == LaCafVariant::Gap {
            let norm = Norm::build(scope.at("GAP.0"), kind, bottleneck)?;
            return Ok(Self { norm, adapter: None, projection: Conv::build(scope.at("GAP.3"), projection)? });
        }
        let norm = Norm::build(scope.at("Feature_adapter1.0"), kind, bottleneck)?;
        let hidden = (grid / 4).max(1);
        // First values near a mean over the axis: the ReLU behind three of them is then alive. GELU halves small
        // values.
        let near_mean =
            |count: usize, gain: f32| Init::Normal { mean: gain / count as f32, std: 0.5 * gain / count as f32 };
        let inits = [near_mean(grid, 1.0), near_mean(hidden, 1.25)];
        let adapter = Some(Mlp::build(scope.at("Feature_adapter2.0"), [grid, hidden, 1], inits)?);
        Ok(Self { norm, adapter, projection: Conv::build(scope.at("Feature_adapter3.0"), projection)? })
    }

    /// `[n, z, y, x, c]` → `[n, width]`.
    fn forward(&self, bottleneck: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let (n, _, _, _, c) = bottleneck.dims5()?;
        let features = self.norm.forward(bottleneck, Activation::Relu, mode)?;
        let pooled = match &self.adapter {
            None => features.reshape((n, (), c))?.mean(1)?,
            Some(adapter) => ops::activate(&fold_axes(&features, adapter, mode)?, Activation::Relu)?,
        };
        let projected = self.projection.forward(&pooled.reshape((n, 1, 1, 1, c))?, mode)?;
        Ok(projected.reshape((n, ()))?)
    }
}

/// The adapter along z, then y, then x: the leading spatial axis goes each time.
///
/// # Shapes
/// `[n, g, g, g, c]` → `[n, c]`.
fn fold_axes(features: &Tensor, adapter: &Mlp, mode: Mode) -> Result<Tensor, ModelError> {
    let (n, _, _, _, c) = features.dims5()?;
    let mut left = features.reshape((n, features.dim(1)?, ()))?;
    for axis in 0..3 {
        // [n, g, rest · c] → [n, rest · c, g] → [n, rest · c]
        left = adapter.forward(&left.transpose(1, 2)?.contiguous()?, mode)?.squeeze(2)?;
        if axis < 2 {
            left = left.reshape((n, features.dim(axis + 2)?, ()))?;
        }
    }
    Ok(left.reshape((n, c))?)
}

/// The row sums of the texts' affinity A = T Tᵀ, min–max scaled over its entries; all ones where all entries are equal.
///
/// # Shapes
/// `[p, width]` → `[p]`.
fn gate(texts: &Tensor) -> Result<Tensor, ModelError> {
    let p = texts.dim(0)?;
    let affinity = texts.matmul(&texts.t()?)?;
    let entries = affinity.flatten_all()?;
    let values = to_host(&entries)?;
    let (low, high) = (0..values.len()).fold((0, 0), |(low, high), i| {
        (if values[i] < values[low] { i } else { low }, if values[i] > values[high] { i } else { high })
    });
    if values[high] - values[low] <= f32::MIN_POSITIVE {
        return Ok(Tensor::ones(p, DType::F32, texts.device())?.affine(p as f64, 0.0)?);
    }
    // One entry stands for the minimum: candle's own would count the gradient of a mirrored entry twice.
    let (low, high) = (entries.narrow(0, low, 1)?, entries.narrow(0, high, 1)?);
    let scaled = entries.broadcast_sub(&low)?.broadcast_div(&(high - low)?)?;
    Ok(scaled.reshape((p, p))?.sum(1)?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn gate_by_hand_and_its_guard() -> Result<(), ModelError> {
        // T Tᵀ = [[5, 2], [2, 1]]; scaled [[1, .25], [.25, 0]].
        let texts = Tensor::new(&[[1.0_f32, 2.0], [0.0, 1.0]], &Device::Cpu)?;
        assert_eq!(gate(&texts)?.to_vec1::<f32>()?, [1.25, 0.25]);
        let equal = Tensor::new(&[[1.0_f32, 2.0], [1.0, 2.0]], &Device::Cpu)?;
        assert_eq!(gate(&equal)?.to_vec1::<f32>()?, [2.0, 2.0]);
        Ok(())
    }

    /// Against finite differences: the mirrored minimum is counted once.
    #[test]
    fn gate_s_gradient() -> Result<(), ModelError> {
        let start = [[0.9_f32, 0.2, 0.4], [0.1, 0.8, 0.3], [0.5, 0.6, 1.2]];
        let weights = Tensor::new(&[0.7_f32, -1.1, 0.4], &Device::Cpu)?;
        let loss = |texts: &Tensor| -> Result<Tensor, ModelError> { Ok((gate(texts)? * &weights)?.sum_all()?) };
        let texts = Var::new(&start, &Device::Cpu)?;
        let gradients = loss(&texts)?.backward()?;
        let gradient = gradients.get(&texts).expect("reached").to_vec2::<f32>()?;
        for i in 0..3 {
            for j in 0..3 {
                let shifted = |by: f32| {
                    let mut moved = start;
                    moved[i][j] += by;
                    loss(&Tensor::new(&moved, &Device::Cpu)?)?.to_scalar::<f32>().map_err(ModelError::from)
                };
                let slope = (shifted(1e-3)? - shifted(-1e-3)?) / 2e-3;
                assert!((slope - gradient[i][j]).abs() < 5e-3, "{i} {j}: {slope} {}", gradient[i][j]);
            }
        }
        Ok(())
    }
}
