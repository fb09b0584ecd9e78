//! Low resolution along all axes: larger voxels, with the labels of the small ones.
//!
//! [`super::Coarse`] asks of coarse voxels what they can show; this asks for the shape that the sharp scan had.

use serde::{Deserialize, Serialize};

use super::{
    Augmentation, Change, Randoms, Site,
    slices::{Stack, Thickened},
};
use crate::error::TrainError;
use crate::range::rising;

/// Averages into cubes of uniform size at a random offset and interpolates linearly between their centres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LowResolution {
    /// How often.
    pub probability: f32,
    /// Smallest and largest edge of a cube.
    pub voxel_mm: [f32; 2],
}

impl Augmentation for LowResolution {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.lowResolution.voxelMm", self.voxel_mm, 0.1, 20.0)
    }

    fn draw(&self, site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        let voxel_mm = random.choice.between(self.voxel_mm[0], self.voxel_mm[1]);
        let stack =
            |spacing_mm: f64| Stack { thickness: voxel_mm / spacing_mm as f32, offset: random.choice.uniform() };
        Box::new(Thickened(site.spacing_mm.map(stack)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{augment::tests::happen, patch::tests::numbered};

    #[test]
    fn detail_goes_and_labels_stay() {
        let mut patch = numbered([16, 16, 16]);
        patch.hu.fill(0.0);
        patch.hu[(8 * 16 + 8) * 16 + 8] = 640.0;
        let before = patch.clone();
        happen(&LowResolution { probability: 1.0, voxel_mm: [4.0, 4.0] }, &mut patch);
        let brightest = patch.hu.iter().copied().fold(0.0, f32::max);
        assert!(brightest > 0.0 && brightest <= 10.01, "{brightest}");
        assert_eq!((patch.codes, patch.side), (before.codes, before.side));
    }
}
