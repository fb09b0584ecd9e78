//! Gaussian blur: a softer reconstruction kernel.

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use super::smooth::gaussian;
use crate::patch::Patch;

/// Blurs the CT by a Gaussian of uniform width.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Blur {
    /// How often.
    pub probability: f32,
    /// Smallest and largest standard deviation, in voxels of the plan's grid.
    pub sigma_voxels: [f32; 2],
}

impl Blur {
    pub(super) fn apply(self, patch: &mut Patch, random: &mut Philox) {
        if random.chance(self.probability) {
            let sigma = random.between(self.sigma_voxels[0], self.sigma_voxels[1]);
            gaussian(&mut patch.hu, patch.shape, sigma);
        }
    }
}
