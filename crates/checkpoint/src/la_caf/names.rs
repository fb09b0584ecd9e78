//! The tensors of the published checkpoints: their names, how their axes stand, and which of them nothing uses
//! (docs/method.md, Import of published checkpoints).

use candle_core::Tensor;
use pulmoav_model::ModelError;
use pulmoav_plan::LaCafVariant;

/// The prompts' embeddings, `[p, text_width]`.
pub(crate) const EMBEDDINGS: &str = "organ_embedding";
/// What every checkpoint of the family begins with; what stands before it is the prefix of all names.
pub(crate) const FIRST: &str = "backbone.down_tr64.ops.0.conv1.weight";
/// Its first axis is the bottleneck's width.
pub(crate) const BOTTLENECK: &str = "backbone.down_tr512.ops.1.conv1.weight";
/// Its second axis is the edge of the bottleneck's grid (variant `la-caf`).
pub(crate) const IMAGE_ADAPTER: &str = "Feature_adapter2.0.D_fc1.weight";

/// How a tensor's axes stand in PyTorch's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `[c]`
    Vector,
    /// `[out, in]`
    Linear,
    /// `[out, in, 1, 1, 1]`, a linear layer with us.
    Pointwise,
    /// `[out, in, x, y, z]`
    Conv,
    /// `[in, out, x, y, z]`
    UpConv,
}

impl Layout {
    /// Number of axes in the file.
    pub(crate) fn axes(self) -> usize {
        match self {
            Self::Vector => 1,
            Self::Linear => 2,
            Self::Pointwise | Self::Conv | Self::UpConv => 5,
        }
    }

    /// From PyTorch's axes on `[x, y, z]` grids to ours on `[z, y, x]`.
    pub(crate) fn ours(self, tensor: &Tensor) -> Result<Tensor, ModelError> {
        let turned = match self {
            Self::Vector => tensor.clone(),
            Self::Linear => tensor.t()?,
            Self::Pointwise => tensor.flatten_from(1)?.t()?,
            Self::Conv => tensor.permute((4, 3, 2, 1, 0))?,
            Self::UpConv => tensor.permute((4, 3, 2, 0, 1))?,
        };
        Ok(turned.contiguous()?)
    }

    /// The inverse transform.
    pub(crate) fn theirs(self, tensor: &Tensor) -> Result<Tensor, ModelError> {
        let turned = match self {
            Self::Vector => tensor.clone(),
            Self::Linear => tensor.t()?,
            Self::Pointwise => tensor.t()?.reshape((tensor.dim(1)?, tensor.dim(0)?, 1, 1, 1))?,
            Self::Conv => tensor.permute((4, 3, 2, 1, 0))?,
            Self::UpConv => tensor.permute((3, 4, 2, 1, 0))?,
        };
        Ok(turned.contiguous()?)
    }
}

/// Every parameter of a variant for so many prompts; names are the same with us.
pub(crate) fn wanted(variant: LaCafVariant, prompts: usize) -> Vec<(String, Layout)> {
    let mut names = Vec::new();
    let mut module = |name: &str, layout: Layout| {
        names.push((format!("{name}.weight"), layout));
        names.push((format!("{name}.bias"), Layout::Vector));
    };
    for level in [64, 128, 256, 512] {
        units(&mut module, &format!("backbone.down_tr{level}"));
    }
    for level in [256, 128, 64] {
        module(&format!("backbone.up_tr{level}.up_conv"), Layout::UpConv);
        units(&mut module, &format!("backbone.up_tr{level}"));
    }
    module("precls_conv.0", Layout::Vector);
    module("precls_conv.2", Layout::Conv);
    match variant {
        LaCafVariant::Gap => {
            module("GAP.0", Layout::Vector);
            module("GAP.3", Layout::Conv);
            module("text_to_vision", Layout::Linear);
        }
        LaCafVariant::LaCaf => {
            module("Feature_adapter1.0", Layout::Vector);
            module("Feature_adapter2.0.D_fc1", Layout::Linear);
            module("Feature_adapter2.0.D_fc2", Layout::Linear);
            module("Feature_adapter3.0", Layout::Conv);
            for prompt in 0..prompts {
                module(&format!("txtAdapter.{prompt}.D_fc1"), Layout::Linear);
                module(&format!("txtAdapter.{prompt}.D_fc2"), Layout::Linear);
            }
        }
    }
    module("controller", Layout::Pointwise);
    names
}

fn units(module: &mut impl FnMut(&str, Layout), stage: &str) {
    for unit in 0..2 {
        module(&format!("{stage}.ops.{unit}.conv1"), Layout::Conv);
        module(&format!("{stage}.ops.{unit}.bn1"), Layout::Vector);
    }
}

/// The variant whose own parts are there; a checkpoint with both is `la-caf`, which carries the other's along.
pub(crate) fn variant_of<'a>(mut names: impl Iterator<Item = &'a str> + Clone) -> Option<LaCafVariant> {
    if names.clone().any(|name| name.starts_with("txtAdapter.") || name.starts_with("Feature_adapter")) {
        return Some(LaCafVariant::LaCaf);
    }
    names.any(|name| name.starts_with("text_to_vision.")).then_some(LaCafVariant::Gap)
}

/// Why nothing uses a tensor that [`wanted`] does not list.
pub(crate) fn reason(name: &str, variant: LaCafVariant) -> &'static str {
    let first = name.split('.').next().unwrap_or_default();
    let last = name.rsplit('.').next().unwrap_or_default();
    match (first, variant) {
        ("backbone", _) if ["running_mean", "running_var", "num_batches_tracked"].contains(&last) => {
            "batch norm uses the batch's own statistics, also at inference"
        }
        ("GAP" | "text_to_vision", LaCafVariant::LaCaf) => "variant `la-caf` has adapters instead",
        ("txtAdapter" | "Feature_adapter1" | "Feature_adapter2" | "Feature_adapter3", LaCafVariant::Gap) => {
            "variant `gap` has no adapters"
        }
        ("txtAdapter", _) => "there are fewer prompts than text adapters",
        ("imgAdapter" | "controller_256" | "controller_1024" | "attn" | "norm", _) => {
            "the published forward pass never calls it"
        }
        _ => "no network of this family has such a tensor",
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn layouts_go_there_and_back() -> Result<(), ModelError> {
        let cases: [(Layout, &[usize], &[usize]); 5] = [
            (Layout::Vector, &[3], &[3]),
            (Layout::Linear, &[3, 4], &[4, 3]),
            (Layout::Pointwise, &[3, 4, 1, 1, 1], &[4, 3]),
            (Layout::Conv, &[2, 3, 4, 5, 6], &[6, 5, 4, 3, 2]),
            (Layout::UpConv, &[2, 3, 4, 5, 6], &[6, 5, 4, 2, 3]),
        ];
        for (layout, theirs, ours) in cases {
            let count = theirs.iter().product::<usize>();
            let tensor = Tensor::arange(0_f32, count as f32, &Device::Cpu)?.reshape(theirs)?;
            let turned = layout.ours(&tensor)?;
            assert_eq!((tensor.dims().len(), turned.dims()), (layout.axes(), ours), "{layout:?}");
            let back = layout.theirs(&turned)?;
            assert_eq!(back.dims(), theirs, "{layout:?}");
            let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
            assert_eq!(values(&back)?, values(&tensor)?, "{layout:?}");
        }
        Ok(())
    }

    #[test]
    fn every_unused_tensor_has_its_reason() {
        let cases = [
            ("backbone.down_tr64.ops.0.bn1.running_var", LaCafVariant::LaCaf, "statistics"),
            ("GAP.0.weight", LaCafVariant::LaCaf, "adapters instead"),
            ("txtAdapter.0.D_fc1.weight", LaCafVariant::Gap, "no adapters"),
            ("txtAdapter.9.D_fc1.weight", LaCafVariant::LaCaf, "fewer prompts"),
            ("controller_256.weight", LaCafVariant::LaCaf, "never calls"),
            ("backbone.out.weight", LaCafVariant::Gap, "no network"),
        ];
        for (name, variant, wanted) in cases {
            assert!(reason(name, variant).contains(wanted), "{name}");
        }
    }
}
