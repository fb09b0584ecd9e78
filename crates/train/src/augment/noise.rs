//! Gaussian noise, with the grain of a reconstruction kernel.

use serde::{Deserialize, Serialize};

use super::{Augmentation, Randoms, mean_of, smooth::gaussian};
use crate::error::TrainError;
use crate::patch::Patch;
use crate::range::rising;

/// Adds noise of a uniform standard deviation, smoothed by a Gaussian of uniform width and rescaled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Noise {
    /// How often.
    pub probability: f32,
    /// Smallest and largest standard deviation.
    pub sd_hu: [f32; 2],
    /// Smallest and largest width of the grain, in voxels.
    pub sigma_voxels: [f32; 2],
}

impl Augmentation for Noise {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.noise.sdHu", self.sd_hu, 0.0, 1000.0)?;
        rising("augment.noise.sigmaVoxels", self.sigma_voxels, 0.0, 10.0)
    }

    fn apply(&self, patch: &mut Patch, _spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        if patch.is_empty() {
            return;
        }
        let sd = random.choice.between(self.sd_hu[0], self.sd_hu[1]);
        let sigma = random.choice.between(self.sigma_voxels[0], self.sigma_voxels[1]);
        let mut grain = vec![0.0f32; patch.len()];
        random.noise.normals(&mut grain);
        gaussian(&mut grain, patch.shape, sigma);
        let energy = mean_of(&grain, |v| v * v);
        let scale = sd / energy.sqrt().max(1e-6) as f32;
        for (hu, grain) in patch.hu.iter_mut().zip(&grain) {
            *hu += grain * scale;
        }
    }
}
