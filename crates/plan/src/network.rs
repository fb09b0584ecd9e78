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

/// Anatomy that nobody asks for but that tells the targets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Auxiliary {
    /// Bronchi and windpipe: arteries run beside them, veins do not.
    Airway,
}
