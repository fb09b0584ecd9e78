//! What a phantom is asked to be.

use serde::{Deserialize, Serialize};

/// How many voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Size {
    /// At most 20 million voxels: what training uses.
    Small,
    /// 512 × 512 × about 300 to 400.
    Full,
}

/// Where the contrast medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Arteries brighter than veins by at least 100 HU.
    Arterial,
    /// Veins brighter than arteries by at least 60 HU.
    Venous,
    /// Both bright, within 30 HU.
    Equal,
    /// No contrast medium: blood of 35–55 HU.
    None,
}

/// What kind of phantom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Style {
    /// Trees by the branching law, bronchi seen to the end, little round the body: the phantoms that the benchmarks
    /// score on. A seed keeps its voxels.
    Plain,
    /// What real scans have: calibres as measured in people, bronchi that fade, tables, clothes, devices, round fields
    /// of view, diseases.
    Hospital,
}

/// A phantom's recipe; the same recipe gives the same voxels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhantomConfig {
    /// Everything random follows from this.
    pub seed: u64,
    /// How many voxels.
    pub size: Size,
    /// What kind.
    pub style: Style,
    /// The phase; `None` draws one: 30 % arterial, 20 % venous, 20 % equal, 30 % none.
    pub phase: Option<Phase>,
    /// Diameter in mm from which a vessel is labelled; thinner ones are only drawn.
    pub labelled_diameter_mm: f32,
}

impl PhantomConfig {
    /// A small phantom with vessels labelled from 1.5 mm.
    pub fn small(seed: u64, style: Style) -> Self {
        Self { seed, size: Size::Small, style, phase: None, labelled_diameter_mm: 1.5 }
    }
}
