//! The plan's second version: networks that answer with classes, not with maps of prompts; nnU-Net's, for instance.
//!
//! Normalisation, resampling, output and what can be asked for are data here.

mod validate;

use serde::{Deserialize, Serialize};

use crate::network::Network;

/// The version of plans of this kind.
pub const CLASS_PLAN_VERSION: u32 = 2;

/// Everything that has to be known to use a network that answers with classes.
///
/// Axes are the network's own unless said otherwise: `axes` leads from the scan's `[z, y, x]` to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClassPlan {
    /// Format version, [`CLASS_PLAN_VERSION`].
    pub version: u32,
    /// Human name of the model, as `models list` prints it.
    pub name: String,
    /// Where the weights come from.
    pub source: Source,
    /// Network axis `i` is axis `axes[i]` of the scan's array `[z, y, x]`.
    pub axes: [usize; 3],
    /// Whether the scan's array is turned to the nearest RAS+ order first, and the labels back.
    pub reorient: bool,
    /// Voxel size the network works at, mm.
    pub spacing_mm: [f64; 3],
    /// Input channels, in order.
    pub channels: Vec<ClassChannel>,
    /// Window of the sliding window, voxels.
    pub patch: [usize; 3],
    /// Share of the window that it moves by, above 0 up to 1.
    pub step: f64,
    /// Network axes along which mirrored copies are averaged; empty for none.
    pub mirror_axes: Vec<usize>,
    /// How the scan is brought to `spacing_mm`.
    pub image_resampling: Resampling,
    /// How the logits are brought back.
    pub logit_resampling: Resampling,
    /// How logits become labels.
    pub output: Output,
    /// What can be asked for, in the order of the network's output channels; `Softmax` has the background before them.
    pub classes: Vec<Class>,
    /// How many networks of this kind are averaged, one a fold.
    pub folds: usize,
    /// The network's own numbers.
    pub network: Network,
}

/// Where weights come from, as far as their folder says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Source {
    /// The family: `nnunet`.
    pub family: String,
    /// Name of the data set they were trained on.
    pub dataset: String,
    /// Name of the trainer.
    pub trainer: String,
    /// Name of the configuration, `3d_fullres` for instance.
    pub configuration: String,
    /// Licence, where known.
    pub licence: Option<String>,
}

/// One input channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClassChannel {
    /// Its name, `CT` for instance.
    pub name: String,
    /// What its values go through before they are resampled.
    pub normalisation: Normalisation,
}

/// What a channel's values go through before they are resampled, in f32.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Normalisation {
    /// Clipped to `clip_hu`, less `mean`, divided by `max(std, 1e-8)`.
    #[serde(rename_all = "camelCase")]
    Ct {
        /// Bounds in Hounsfield units.
        clip_hu: [f64; 2],
        /// Mean of the foreground of the training scans, HU.
        mean: f64,
        /// Its standard deviation, HU.
        std: f64,
    },
    /// Less the image's mean, divided by its standard deviation.
    ZScore {
        /// Whether only the filled mask of what is not 0 counts and changes.
        masked: bool,
    },
    /// None.
    None,
    /// Less the minimum, divided by the range.
    ZeroOne,
    /// Divided by 255.
    Rgb,
}

/// How voxels are interpolated between grids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Resampling {
    /// B-splines as scikit-image's `resize` computes them; in planes where the spacing is anisotropic.
    #[serde(rename_all = "camelCase")]
    Spline {
        /// Order of the spline, 0 to 3.
        order: u8,
        /// Order along the coarse axis where planes are resampled apart.
        order_z: u8,
        /// Whether planes are resampled apart; `None` decides by the spacing.
        separate_z: Option<bool>,
    },
    /// PyTorch's trilinear `interpolate`; in planes where the spacing is anisotropic.
    #[serde(rename_all = "camelCase")]
    Torch {
        /// Whether planes are resampled apart; `None` decides by the spacing.
        separate_z: Option<bool>,
    },
    /// Nothing is resampled.
    None,
}

/// How logits become labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Output {
    /// The channel of the largest logit; the first channel is the background.
    Softmax,
    /// Every class whose sigmoid is above 0.5 is painted over those before it, in the order of the classes.
    Regions,
}

/// Something the network tells apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Class {
    /// Its name, as the model has it.
    pub name: String,
    /// Its value in the label map, 1–65535.
    pub value: u16,
}
