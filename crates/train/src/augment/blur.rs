//! Gaussian blur: a softer reconstruction kernel.

use pulmoav_ops::augment::CardPatch;
use serde::{Deserialize, Serialize};

use super::{
    Augmentation, CardTables, Change, Randoms, Site,
    smooth::{gaussian, half_kernel},
};
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

    fn draw(&self, _site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        Box::new(Blurred { sigma_voxels: random.choice.between(self.sigma_voxels[0], self.sigma_voxels[1]) })
    }
}

#[derive(Debug)]
struct Blurred {
    sigma_voxels: f32,
}

impl Change for Blurred {
    fn apply(&self, patch: &mut Patch) {
        gaussian(&mut patch.hu, patch.shape, self.sigma_voxels);
    }

    fn apply_on_card(&self, patch: &mut CardPatch, _tables: &CardTables) -> candle_core::Result<()> {
        patch.smooth(&half_kernel(self.sigma_voxels))
    }
}
