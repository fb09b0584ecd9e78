//! Gaussian blur: a softer reconstruction kernel.

use serde::{Deserialize, Serialize};

use super::{Augmentation, Randoms, smooth::gaussian};
use crate::error::TrainError;
use crate::patch::Patch;
use crate::range::rising;

/// Blurs the CT by a Gaussian of uniform width.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Blur {
    /// How often.
    pub probability: f32,
    /// Smallest and largest standard deviation, in voxels of the plan's grid.
    pub sigma_voxels: [f32; 2],
}

impl Augmentation for Blur {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.blur.sigmaVoxels", self.sigma_voxels, 0.0, 10.0)
    }

    fn apply(&self, patch: &mut Patch, _spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        let sigma = random.choice.between(self.sigma_voxels[0], self.sigma_voxels[1]);
        gaussian(&mut patch.hu, patch.shape, sigma);
    }
}
