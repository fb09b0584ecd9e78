//! The plan's types, but for the network's numbers.

use serde::{Deserialize, Serialize};

use crate::network::{Auxiliary, Network};

/// The only version this build reads and writes.
pub const PLAN_VERSION: u32 = 1;

/// Everything that has to be known to use a set of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Plan {
    /// Format version, [`PLAN_VERSION`].
    pub version: u32,
    /// Human name of the model, as `models list` prints it.
    pub name: String,
    /// Voxel size the network works at, mm, `[z, y, x]`.
    pub spacing_mm: [f64; 3],
    /// Input channels, in order.
    pub channels: Vec<Channel>,
    /// Training crop in voxels, `[z, y, x]`.
    pub patch: [usize; 3],
    /// What part of the scan the network looks at.
    pub crop: Crop,
    /// Sliding-window settings.
    pub tiles: Tiles,
    /// Boundary refinement in the lungs; `null` leaves vessels as the network saw them.
    pub walls: Option<BoundaryRefinement>,
    /// Whether labels are cleaned, see [`Plan::postprocesses`]; `None` is as the network's preset was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postprocess: Option<bool>,
    /// Whether each branch gets one class, see [`Plan::tidies`]; `None` is where labels are post-processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tidy: Option<bool>,
    /// What can be asked for, each with its stored prompt embedding.
    pub targets: Vec<Target>,
    /// Target names used when the user gives no prompt.
    pub default_targets: Vec<String>,
    /// Which text encoder made the embeddings.
    pub text_encoder: TextEncoder,
    /// The network's own numbers.
    pub network: Network,
}

impl Plan {
    /// Whether the lungs decide on the side of a target that has one, and specks, air and what touches no lung are
    /// cleared. Where the plan does not say: with `pulmoav`, but not with `la-caf`, which was published without.
    pub fn postprocesses(&self) -> bool {
        self.postprocess.unwrap_or_else(|| self.network.postprocesses())
    }

    /// Whether each branch gets one class, artery or vein, gaps are bridged and loose specks go. Where the plan does not
    /// say: where labels are post-processed, but not where voxels are `coarse`, in which arteries and veins run into each
    /// other.
    pub fn tidies(&self, coarse: bool) -> bool {
        self.tidy.unwrap_or_else(|| self.postprocesses() && !coarse)
    }

    /// What the network learns beside its targets.
    pub fn auxiliary(&self) -> &[Auxiliary] {
        self.network.auxiliary()
    }
}

/// One input channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Channel {
    /// HU clipped to `[low, high]` and mapped to `[0, 1]`.
    #[serde(rename_all = "camelCase")]
    Window {
        /// Bounds in Hounsfield units.
        window_hu: [f64; 2],
    },
    /// Signed distance to the plane between the lungs, divided by half the lung box's width: −1 at the patient's left …
    /// +1 at the right.
    Side,
}

/// What part of the scan the network looks at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Crop {
    /// All of it.
    None,
    /// The box of voxels above `above_hu`.
    #[serde(rename_all = "camelCase")]
    Foreground {
        /// Threshold in Hounsfield units.
        above_hu: f64,
    },
    /// The lungs' box grown by `margin_mm`.
    #[serde(rename_all = "camelCase")]
    Lungs {
        /// Margin in mm on each side.
        margin_mm: f64,
        /// Whether what is outside the body (table, clothes, arms) is shown as air.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        body_only: bool,
    },
}

/// Sliding-window settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tiles {
    /// Tile in voxels, `[z, y, x]`; may be larger than the training patch for convolutional networks.
    pub tile: [usize; 3],
    /// Share of a tile that its neighbour covers too, in `[0, 0.9]`.
    pub overlap: f64,
    /// What is blended under the Gaussian.
    pub blend: Blend,
    /// Tiles lie only where the plan keeps vessels: with the lungs' crop in the lungs, along them and between the hila,
    /// else near a lung.
    pub skip_empty: bool,
    /// Every second tile goes through the network mirrored left–right, where no target with a side is asked of it:
    /// neighbours that overlap even each other's errors out. For networks that learned from mirrored patches too.
    #[serde(default)]
    pub mirror: bool,
    /// Each edge of the tile is made up to a third shorter where that computes fewer voxels. For networks that take
    /// tiles of any size.
    #[serde(default)]
    pub fit: bool,
}

/// Boundary refinement: where vessels end in the lungs, by the scan's own voxels, which are finer than the network's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BoundaryRefinement {
    /// No voxel below this becomes vessel that the network did not call so, HU: about half-way between lung and blood.
    pub hu: f64,
    /// How near to a vessel that was found a voxel must be to become part of it, mm.
    pub reach_mm: f64,
}

/// What is blended where tiles overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Blend {
    /// Logits, then the sigmoid.
    Logits,
    /// Probabilities.
    Probabilities,
}

/// Something a prompt can resolve to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Target {
    /// Stable name: `artery`, `vein`, `left artery`, …
    pub name: String,
    /// Value in the label map, 1–255.
    pub value: u8,
    /// The prompt whose embedding is stored.
    pub prompt: String,
    /// Vessel classes the target is made of.
    pub classes: Vec<VesselClass>,
    /// Side the target is limited to; `null` means both.
    pub side: Option<BodySide>,
    /// The prompt's embedding (pooled and projected, not normalised).
    pub embedding: Vec<f32>,
}

/// A vessel class of the reference labels: 1 artery, 2 vein.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VesselClass {
    /// Pulmonary artery, reference label 1.
    Artery,
    /// Pulmonary vein, reference label 2.
    Vein,
}

/// The patient's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BodySide {
    /// The patient's left.
    Left,
    /// The patient's right.
    Right,
}

/// Which text encoder made the embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TextEncoder {
    /// `bundled` or a checkpoint name such as `openai/clip-vit-base-patch32`.
    pub id: String,
    /// SHA-256 of its tensors, hex.
    pub sha256: String,
}
