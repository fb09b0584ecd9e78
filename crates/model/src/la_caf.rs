//! Preset `la-caf`, the published network (docs/method.md, Preset la-caf; "Self-adaptive vision-language model for 3D
//! segmentation of pulmonary artery and vein", arXiv 2501.03722). Names are those of its PyTorch checkpoints; weights
//! are stored `[kd, kh, kw, ci, co]` on `[z, y, x]` grids and `[ci, co]`.

use candle_core::{DType, Tensor};
use pulmoav_ops::tape::region;
use pulmoav_plan::{LaCaf, LaCafVariant, Plan};

use crate::ModelError;
use crate::block::Mode;
use crate::dynamic_head::DynamicHead;
use crate::fusion::{Fusion, FusionShape};
use crate::image::decoder::Decoder;
use crate::image::encoder::PlainEncoder;
use crate::parameters::Scope;

/// The published network at a width.
#[derive(Debug)]
pub(crate) struct LaCafNetwork {
    encoder: PlainEncoder,
    decoder: Decoder,
    fusion: Fusion,
    head: DynamicHead,
    /// The only patch the image adapter takes; the variant `gap` takes any.
    patch: Option<[usize; 3]>,
}

impl LaCafNetwork {
    /// Widths of the encoder's units at divisor 1.
    const DOWN: [[usize; 2]; 4] = [[32, 64], [64, 128], [128, 256], [256, 512]];
    /// The patch's edge is so many times the edge of the bottleneck's grid.
    const REDUCTION: usize = 8;

    pub(crate) fn build(plan: &Plan, numbers: &LaCaf, mut scope: Scope) -> Result<Self, ModelError> {
        let divided = |width: usize| (width / numbers.width_divisor).max(1);
        let down = Self::DOWN.map(|level| level.map(divided));
        let [skips @ .., bottleneck] = down.map(|level| level[1]);
        let groups = divided(16);
        let fusion = FusionShape {
            variant: numbers.variant,
            prompts: plan.targets.len(),
            text_width: numbers.text_width,
            hidden: divided(128),
            width: divided(256),
            bottleneck,
            groups,
            grid: plan.patch[0] / Self::REDUCTION,
        };
        let encoder = PlainEncoder::build(scope.at("backbone"), plan.channels.len(), &down)?;
        let decoder = Decoder::build_plain(scope.at("backbone"), &skips, bottleneck)?;
        Ok(Self {
            encoder,
            decoder,
            fusion: Fusion::build(&mut scope, fusion)?,
            head: DynamicHead::build(&mut scope, 2 * fusion.width, skips[0], groups)?,
            patch: (numbers.variant == LaCafVariant::LaCaf).then_some(plan.patch),
        })
    }

    /// The one shape of image that fits, if there is one.
    pub(crate) fn patch(&self) -> Option<[usize; 3]> {
        self.patch
    }

    /// # Shapes
    /// `x` `[n, d, h, w, ci]`, `prompts` `[p, text_width]` → one tensor `[n, d, h, w, asked]`.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        prompts: &Tensor,
        asked: &[usize],
        mode: Mode,
    ) -> Result<Vec<Tensor>, ModelError> {
        let encoded = self.encoder.forward(x, mode)?;
        let layers = region(&[&encoded.bottleneck], |inputs| {
            let bottleneck = inputs[0].to_dtype(DType::F32)?;
            self.head.layers(&self.fusion.forward(&bottleneck, prompts, mode)?, asked, mode)
        })?;
        let features = self.decoder.forward(encoded, 1, mode)?;
        features.into_iter().map(|finest| self.head.forward(finest, &layers, mode)).collect()
    }

    /// Biases in front of a batch norm, which subtracts them again: their gradient is 0.
    pub(crate) fn cancels(name: &str) -> bool {
        name.starts_with("backbone.") && name.ends_with(".conv1.bias")
    }
}
