//! Stretch about the mean.

use serde::{Deserialize, Serialize};

use super::{Augmentation, Randoms, mean_of};
use crate::error::TrainError;
use crate::patch::Patch;
use crate::range::rising;

/// Multiplies the distance to the patch's mean by a uniform factor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Contrast {
    /// How often.
    pub probability: f32,
    /// Smallest and largest factor.
    pub factor: [f32; 2],
}

impl Augmentation for Contrast {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.contrast.factor", self.factor, 0.1, 10.0)
    }

    fn apply(&self, patch: &mut Patch, _spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        if patch.is_empty() {
            return;
        }
        let factor = random.choice.between(self.factor[0], self.factor[1]);
        let mean = mean_of(&patch.hu, |hu| hu) as f32;
        patch.hu.iter_mut().for_each(|hu| *hu = mean + (*hu - mean) * factor);
    }
}
