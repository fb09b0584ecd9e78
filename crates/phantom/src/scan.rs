//! What is in a phantom, for those who use it: facts that stand in `dataset.json`.

use serde::Serialize;

use crate::chest::Build;
use crate::config::Style;
use crate::devices::Device;
use crate::field::Field;
use crate::surroundings::{Cover, Table};

/// Facts about one phantom that follow from its recipe.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scan {
    /// What kind.
    pub style: Style,
    /// How the person is built.
    pub build: Build,
    /// Whether breasts were drawn.
    pub breasts: bool,
    /// Distance between slices.
    pub slice_mm: f32,
    /// `soft`, `sharp` or, sharper and noisier, `lung`.
    pub kernel: Kernel,
    /// What the body lies on; a tight field shows little of it.
    pub table: Table,
    /// What covers it.
    pub cover: Cover,
    /// Whether the arms lie beside the body.
    pub arms: bool,
    /// The field of view.
    pub field: Field,
    /// What was put in.
    pub device: Option<Device>,
    /// Whether the upper caval vein is denser than all other blood, with streaks.
    pub dense_cava: bool,
    /// `nodules`, `bands`, `emphysema`, `haze`, `effusion`, `consolidation`, `mass`, `lungRemoved`.
    pub findings: Vec<&'static str>,
    /// Radius of the thinnest lumen that counts as seen, mm.
    pub thinnest_airway_mm: f32,
    /// Centreline by radius in mm, cm: < 0.75, –1, –1.5, –2, –3, –4, –6, wider.
    pub centrelines_cm: Centrelines,
}

/// Centrelines as they were grown, by radius.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Centrelines {
    /// Pulmonary arteries with their trunk, labelled or not.
    pub artery: [f32; 8],
    /// Pulmonary veins, labelled or not.
    pub vein: [f32; 8],
    /// Lumens that are seen.
    pub airway: [f32; 8],
}

/// How the scan was reconstructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kernel {
    /// No overshoot.
    Soft,
    /// An overshoot of 0.3 to 1.2.
    Sharp,
    /// More than that.
    Lung,
}

impl Kernel {
    pub(crate) fn of(sharpness: f32) -> Self {
        match sharpness {
            s if s <= 0.0 => Self::Soft,
            s if s <= 1.2 => Self::Sharp,
            _ => Self::Lung,
        }
    }
}
