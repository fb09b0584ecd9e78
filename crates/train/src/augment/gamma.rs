//! Gamma curve over the range in which vessels lie.

use serde::{Deserialize, Serialize};

use crate::{patch::Patch, random::Philox};

const LOW_HU: f32 = -1000.0;
const HIGH_HU: f32 = 600.0;

/// Maps −1000…600 HU through `t ↦ t^e`, with e log-uniform in `exponent`; other voxels stay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Gamma {
    /// How often.
    pub probability: f32,
    /// Smallest and largest exponent.
    pub exponent: [f32; 2],
}

impl Gamma {
    pub(super) fn apply(self, patch: &mut Patch, random: &mut Philox) {
        if !random.chance(self.probability) {
            return;
        }
        let exponent = random.between(self.exponent[0].ln(), self.exponent[1].ln()).exp();
        for hu in &mut patch.hu {
            if (LOW_HU..=HIGH_HU).contains(hu) {
                *hu = LOW_HU + (HIGH_HU - LOW_HU) * ((*hu - LOW_HU) / (HIGH_HU - LOW_HU)).powf(exponent);
            }
        }
    }
}
