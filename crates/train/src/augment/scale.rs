//! Scaling: the same body, larger or smaller.

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use super::warp::{Warp, Warping};
use crate::error::TrainError;
use crate::range::rising;

/// Magnifies by a factor that is log-uniform in `factor`, the same along all axes; factors below 1 make smaller.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scale {
    /// How often.
    pub probability: f32,
    /// Smallest and largest factor.
    pub factor: [f32; 2],
}

impl Warping for Scale {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.scale.factor", self.factor, 0.5, 2.0)
    }

    fn add_to(&self, warp: &mut Warp, choice: &mut Philox) {
        let factor = choice.between(self.factor[0].ln(), self.factor[1].ln()).exp();
        let share = 1.0 / factor;
        warp.then([[share, 0.0, 0.0], [0.0, share, 0.0], [0.0, 0.0, share]]);
    }
}
