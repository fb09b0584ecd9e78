//! Constant shift of brightness.

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use crate::patch::Patch;

/// Adds one uniform number from ±`amount_hu` to the whole patch (±0.1 of a window of 1000 HU is 100 HU).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Shift {
    /// How often.
    pub probability: f32,
    /// Largest shift.
    pub amount_hu: f32,
}

impl Shift {
    pub(super) fn apply(self, patch: &mut Patch, random: &mut Philox) {
        if random.chance(self.probability) {
            let shift = random.between(-self.amount_hu, self.amount_hu);
            patch.hu.iter_mut().for_each(|hu| *hu += shift);
        }
    }
}
