//! Constant shift of brightness.

use pulmoav_ops::augment::CardPatch;
use serde::{Deserialize, Serialize};

use super::{Augmentation, CardTables, Change, Randoms, Site};
use crate::error::TrainError;
use crate::patch::Patch;
use crate::range::within;

/// Adds one uniform number from ±`amount_hu` to the whole patch (±0.1 of a window of 1000 HU is 100 HU).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Shift {
    /// How often.
    pub probability: f32,
    /// Largest shift.
    pub amount_hu: f32,
}

impl Augmentation for Shift {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        within("augment.shift.amountHu", f64::from(self.amount_hu), 0.0, 1000.0)
    }

    fn draw(&self, _site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        Box::new(Shifted { by_hu: random.choice.between(-self.amount_hu, self.amount_hu) })
    }
}

#[derive(Debug)]
struct Shifted {
    by_hu: f32,
}

impl Change for Shifted {
    fn apply(&self, patch: &mut Patch) {
        patch.hu.iter_mut().for_each(|hu| *hu += self.by_hu);
    }

    fn apply_on_card(&self, patch: &mut CardPatch, _tables: &CardTables) -> candle_core::Result<()> {
        patch.shift(self.by_hu)
    }
}
