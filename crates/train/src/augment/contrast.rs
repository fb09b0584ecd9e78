//! Stretch about the mean.

use pulmoav_ops::augment::CardPatch;
use serde::{Deserialize, Serialize};

use super::{Augmentation, CardTables, Change, Randoms, Site, mean_of};
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

    fn draw(&self, _site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        Box::new(Stretched { factor: random.choice.between(self.factor[0], self.factor[1]) })
    }
}

#[derive(Debug)]
struct Stretched {
    factor: f32,
}

impl Change for Stretched {
    fn apply(&self, patch: &mut Patch) {
        if patch.is_empty() {
            return;
        }
        let mean = mean_of(&patch.hu, |hu| hu) as f32;
        patch.hu.iter_mut().for_each(|hu| *hu = mean + (*hu - mean) * self.factor);
    }

    fn apply_on_card(&self, patch: &mut CardPatch, _tables: &CardTables) -> candle_core::Result<()> {
        patch.stretch(self.factor)
    }
}
