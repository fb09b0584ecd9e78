//! Low resolution along all axes: larger voxels, with the labels of the small ones.
//!
//! [`super::Coarse`] asks of coarse voxels what they can show; this asks for the shape that the sharp scan had.

use serde::{Deserialize, Serialize};

use super::{Augmentation, Randoms, slices::thicken};
use crate::error::TrainError;
use crate::patch::Patch;
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

    fn apply(&self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        let voxel_mm = random.choice.between(self.voxel_mm[0], self.voxel_mm[1]);
        for (axis, spacing_mm) in spacing_mm.into_iter().enumerate() {
            let (edge, offset) = (voxel_mm / spacing_mm as f32, random.choice.uniform());
            if edge > 1.0 {
                patch.hu = thicken(&patch.hu, patch.shape, axis, edge, offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulmoav_random::{Philox, Stream};

    use super::*;
    use crate::patch::tests::numbered;

    #[test]
    fn detail_goes_and_labels_stay() {
        let mut patch = numbered([16, 16, 16]);
        patch.hu.fill(0.0);
        patch.hu[(8 * 16 + 8) * 16 + 8] = 640.0;
        let before = patch.clone();
        let stream = |stream| Philox::new(1, 2, 0, stream);
        let mut random = Randoms { choice: &mut stream(Stream::Augment), noise: &mut stream(Stream::Noise) };
        LowResolution { probability: 1.0, voxel_mm: [4.0, 4.0] }.apply(&mut patch, [1.0; 3], &mut random);
        let brightest = patch.hu.iter().copied().fold(0.0, f32::max);
        assert!(brightest > 0.0 && brightest <= 10.01, "{brightest}");
        assert_eq!((patch.codes, patch.side), (before.codes, before.side));
    }
}
