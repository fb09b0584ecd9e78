//! Gaussian noise, with the grain of a reconstruction kernel.

use serde::{Deserialize, Serialize};

use super::{Randoms, mean_of, smooth::gaussian};
use crate::patch::Patch;

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

impl Noise {
    pub(super) fn apply(self, patch: &mut Patch, random: &mut Randoms) {
        if !random.choice.chance(self.probability) || patch.is_empty() {
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
