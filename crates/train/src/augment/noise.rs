//! Gaussian noise, with the grain of a reconstruction kernel.

use pulmoav_ops::augment::{self, CardPatch};
use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use super::{
    Augmentation, CardTables, Change, Randoms, Site, mean_of,
    smooth::{gaussian, half_kernel},
};
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

    fn draw(&self, site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        Box::new(Grain {
            sd_hu: random.choice.between(self.sd_hu[0], self.sd_hu[1]),
            sigma_voxels: random.choice.between(self.sigma_voxels[0], self.sigma_voxels[1]),
            normals: random.noise.set_aside(site.shape.iter().product()),
        })
    }
}

#[derive(Debug)]
struct Grain {
    sd_hu: f32,
    sigma_voxels: f32,
    /// One a voxel.
    normals: Philox,
}

impl Change for Grain {
    fn apply(&self, patch: &mut Patch) {
        if patch.is_empty() {
            return;
        }
        let mut grain = vec![0.0f32; patch.len()];
        self.normals.clone().normals(&mut grain);
        gaussian(&mut grain, patch.shape, self.sigma_voxels);
        let energy = mean_of(&grain, |v| v * v);
        let scale = self.sd_hu / energy.sqrt().max(1e-6) as f32;
        for (hu, grain) in patch.hu.iter_mut().zip(&grain) {
            *hu += grain * scale;
        }
    }

    fn apply_on_card(&self, patch: &mut CardPatch, tables: &CardTables) -> candle_core::Result<()> {
        let (key, counter) = self.normals.key_and_counter();
        let kernel = &half_kernel(self.sigma_voxels);
        patch.grain(&augment::Grain { sd: self.sd_hu, kernel, key, counter }, &tables.normal_quantiles)
    }
}
