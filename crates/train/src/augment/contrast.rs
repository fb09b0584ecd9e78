//! Stretch about the mean.

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use super::mean_of;
use crate::patch::Patch;

/// Multiplies the distance to the patch's mean by a uniform factor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Contrast {
    /// How often.
    pub probability: f32,
    /// Smallest and largest factor.
    pub factor: [f32; 2],
}

impl Contrast {
    pub(super) fn apply(self, patch: &mut Patch, random: &mut Philox) {
        if !random.chance(self.probability) || patch.is_empty() {
            return;
        }
        let factor = random.between(self.factor[0], self.factor[1]);
        let mean = mean_of(&patch.hu, |hu| hu) as f32;
        patch.hu.iter_mut().for_each(|hu| *hu = mean + (*hu - mean) * factor);
    }
}
