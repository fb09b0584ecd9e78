//! The network's own numbers, by preset.

use serde::{Deserialize, Serialize};

/// The network's own numbers, by preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "preset")]
pub enum Network {
    /// The published method (docs/method.md, Preset la-caf).
    #[serde(rename = "la-caf")]
    LaCaf(LaCaf),
    /// The default: residual encoder U-Net with a prompt decoder (docs/method.md, Preset pulmoav).
    #[serde(rename = "pulmoav")]
    Pulmoav(Pulmoav),
    /// nnU-Net's plain U-Net: stages of convolutions.
    #[serde(rename = "plain-unet")]
    PlainUnet(Unet),
    /// nnU-Net's residual encoder U-Net: stages of residual blocks behind a stem.
    #[serde(rename = "residual-unet")]
    ResidualUnet(Unet),
}

/// Answers that differ by preset; who asks does not look at the preset.
impl Network {
    /// Its name in the plan.
    pub fn preset(&self) -> &'static str {
        match self {
            Self::LaCaf(_) => "la-caf",
            Self::Pulmoav(_) => "pulmoav",
            Self::PlainUnet(_) => "plain-unet",
            Self::ResidualUnet(_) => "residual-unet",
        }
    }

    /// Every edge of a patch or tile must be a multiple of this, voxels.
    pub fn edge_multiple(&self) -> usize {
        match self {
            Self::LaCaf(_) => 8,
            Self::Pulmoav(network) => 1 << (network.stage_channels.len().clamp(1, 16) - 1),
            Self::PlainUnet(network) | Self::ResidualUnet(network) => {
                network.reduction().into_iter().max().unwrap_or(1)
            }
        }
    }

    /// Every edge of a patch or tile along an axis must be a multiple of that axis' number, voxels.
    pub fn edge_multiples(&self) -> [usize; 3] {
        match self {
            Self::LaCaf(_) | Self::Pulmoav(_) => [self.edge_multiple(); 3],
            Self::PlainUnet(network) | Self::ResidualUnet(network) => network.reduction(),
        }
    }

    /// Whether tiles of other sizes than the plan's may be shown.
    pub fn takes_any_tile(&self) -> bool {
        match self {
            Self::LaCaf(_) => false,
            Self::Pulmoav(_) | Self::PlainUnet(_) | Self::ResidualUnet(_) => true,
        }
    }

    /// Whether what it says of a tile is the same in the company of others: `la-caf` norms over all it is shown.
    pub fn takes_tiles_together(&self) -> bool {
        match self {
            Self::LaCaf(_) => false,
            Self::Pulmoav(_) | Self::PlainUnet(_) | Self::ResidualUnet(_) => true,
        }
    }

    /// Channels of full resolution that are alive at once at most while it looks at a tile, workspace included;
    /// measured on whole runs (docs/performance.md).
    pub fn channels_alive(&self) -> usize {
        match self {
            // One map more: its transposed convolution keeps twice the full width.
            Self::LaCaf(network) => 5 * (64 / network.width_divisor).max(1),
            Self::Pulmoav(network) => 4 * network.stage_channels[0],
            Self::PlainUnet(network) | Self::ResidualUnet(network) => network.channels_alive(),
        }
    }

    /// Whether its labels are post-processed where the plan does not say; `la-caf` was published without.
    pub fn postprocesses(&self) -> bool {
        match self {
            Self::LaCaf(_) | Self::PlainUnet(_) | Self::ResidualUnet(_) => false,
            Self::Pulmoav(_) => true,
        }
    }

    /// Width of the prompts' embeddings, 0 where prompts do not reach the network.
    pub fn text_width(&self) -> usize {
        match self {
            Self::LaCaf(network) => network.text_width,
            Self::Pulmoav(network) => network.text_width,
            Self::PlainUnet(_) | Self::ResidualUnet(_) => 0,
        }
    }

    /// How many scales it gives logits for while training.
    pub fn supervised_scales(&self) -> usize {
        match self {
            Self::LaCaf(_) | Self::PlainUnet(_) | Self::ResidualUnet(_) => 1,
            Self::Pulmoav(network) => network.supervised_scales,
        }
    }

    /// What it learns beside its targets.
    pub fn auxiliary(&self) -> &[Auxiliary] {
        match self {
            Self::LaCaf(_) | Self::PlainUnet(_) | Self::ResidualUnet(_) => &[],
            Self::Pulmoav(network) => &network.auxiliary,
        }
    }
}

/// Numbers of the `la-caf` preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LaCaf {
    /// Every channel count of the backbone and the fused width is divided by this (1 = published).
    pub width_divisor: usize,
    /// How the image is pooled to one vector and texts are adapted.
    pub variant: LaCafVariant,
    /// Width of the text embeddings.
    pub text_width: usize,
}

/// Variants of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaCafVariant {
    /// Adapters and affinity gate.
    LaCaf,
    /// Global average pooling, shared linear text projection, no gate.
    Gap,
}

/// Numbers of the `pulmoav` preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pulmoav {
    /// Channels of each encoder stage; each stage but the first halves the grid.
    pub stage_channels: Vec<usize>,
    /// Residual blocks of each encoder stage.
    pub stage_blocks: Vec<usize>,
    /// Width of the prompt decoder.
    pub prompt_width: usize,
    /// Cross-attention layers.
    pub prompt_layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Finest scales that give logits while training (1 = no deep supervision).
    pub supervised_scales: usize,
    /// Width of the text embeddings.
    pub text_width: usize,
    /// What the network learns to find beside its targets, while it trains only.
    pub auxiliary: Vec<Auxiliary>,
}

/// Numbers of nnU-Net's U-Nets, sizes per axis `[z, y, x]` of the network. A stage's first convolution strides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Unet {
    /// Channels of each encoder stage.
    pub stage_channels: Vec<usize>,
    /// Kernel of each encoder stage's convolutions, odd; the decoder takes that of the skip's stage.
    pub kernels: Vec<[usize; 3]>,
    /// Stride of each encoder stage; transposed convolutions have it as kernel and stride.
    pub strides: Vec<[usize; 3]>,
    /// Convolutions (plain) or residual blocks (residual) of each encoder stage.
    pub stage_blocks: Vec<usize>,
    /// Convolutions of each decoder stage, lowest first.
    pub decoder_blocks: Vec<usize>,
    /// Whether the convolutions have biases.
    pub conv_bias: bool,
    /// Epsilon of the instance norms.
    pub norm_eps: f64,
    /// Slope of the leaky ReLU below 0.
    pub negative_slope: f64,
    /// Whether the activation stands before the norm.
    pub activation_first: bool,
    /// Output channels.
    pub outputs: usize,
}

impl Unet {
    /// How much smaller the lowest stage's grid is, per axis.
    pub fn reduction(&self) -> [usize; 3] {
        self.strides.iter().fold([1; 3], |product, stride| [0, 1, 2].map(|axis| product[axis] * stride[axis]))
    }

    /// Channels of full resolution alive at once at most.
    ///
    /// Counted from what each step holds: the skips above it and three maps of its own (a residual block's input and
    /// convolutions; the decoder's skip, what was transposed and their convolution), two more where kernels cannot
    /// read the skip in place; at the end the logits. A quarter of the widest map is added for the kernels.
    fn channels_alive(&self) -> usize {
        let (mut share, mut held, mut most) = (1.0, 0.0, (self.stage_channels[0] + self.outputs) as f64);
        for ((&channels, stride), kernel) in self.stage_channels.iter().zip(&self.strides).zip(&self.kernels) {
            share /= stride.iter().product::<usize>() as f64;
            let map = channels as f64 * share;
            let in_place = channels.is_multiple_of(16) && [[3, 3, 3], [1, 3, 3]].contains(kernel);
            most = f64::max(most, held + map * if in_place { 3.0 } else { 5.0 });
            held += map;
        }
        (most + self.stage_channels[0] as f64 / 4.0).ceil() as usize
    }
}

/// Anatomy that nobody asks for but that tells the targets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Auxiliary {
    /// Bronchi and windpipe: arteries run beside them, veins do not.
    Airway,
}

impl Auxiliary {
    /// Its name where losses are told by name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Airway => "airway",
        }
    }
}
