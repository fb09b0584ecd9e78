//! Coarse voxels: what a scan of few large voxels looks like after it was resampled to the plan's spacing.

use serde::{Deserialize, Serialize};

use super::slices::thicken;
use crate::{patch::Patch, random::Philox};

/// Averages into cubes of uniform size at a random offset and interpolates linearly between their centres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Coarse {
    /// How often.
    pub probability: f32,
    /// Smallest and largest edge of a cube.
    pub voxel_mm: [f32; 2],
}

impl Coarse {
    pub(super) fn apply(self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Philox) {
        if !random.chance(self.probability) {
            return;
        }
        let edge_mm = random.between(self.voxel_mm[0], self.voxel_mm[1]);
        for (axis, spacing_mm) in spacing_mm.into_iter().enumerate() {
            let (edge, offset) = (edge_mm / spacing_mm as f32, random.uniform());
            if edge > 1.0 {
                patch.hu = thicken(&patch.hu, patch.shape, axis, edge, offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{patch::tests::numbered, random::Stream};

    #[test]
    fn a_point_spreads_in_every_direction_and_codes_stay() {
        let mut patch = numbered([16, 16, 16]);
        patch.hu.fill(0.0);
        patch.hu[(8 * 16 + 8) * 16 + 8] = 640.0;
        let before = patch.clone();
        let coarse = Coarse { probability: 1.0, voxel_mm: [4.0, 4.0] };
        coarse.apply(&mut patch, [1.0; 3], &mut Philox::new(1, 2, 0, Stream::Augment));
        let brightest = patch.hu.iter().copied().fold(0.0, f32::max);
        assert!(brightest > 0.0 && brightest <= 640.0 / 64.0, "{brightest}");
        for stride in [1, 16, 256] {
            let reached = (1..4).any(|k| patch.hu[(8 * 16 + 8) * 16 + 8 + k * stride] > 0.0);
            assert!(reached, "{stride}");
        }
        assert_eq!((&patch.codes, &patch.side), (&before.codes, &before.side));
    }
}
