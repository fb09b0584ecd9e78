//! Rotation by any angle about all three axes.

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use super::warp::{Warp, Warping};
use crate::error::TrainError;
use crate::range::within;

/// Largest angle: beyond it quarter turns are the better choice, and patches are read far beyond their size.
const MAX_DEGREES: f64 = 45.0;

/// Turns the patch about the axes z, y and x, one after the other, by uniform angles from ±`degrees`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Turn {
    /// How often.
    pub probability: f32,
    /// Largest angle about each axis, `[z, y, x]`.
    pub degrees: [f32; 3],
}

impl Warping for Turn {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        self.degrees.iter().try_for_each(|&most| within("augment.turn.degrees", f64::from(most), 0.0, MAX_DEGREES))
    }

    fn add_to(&self, warp: &mut Warp, choice: &mut Philox) {
        for (axis, most) in self.degrees.into_iter().enumerate() {
            let angle = choice.between(-most, most).to_radians();
            let (from, to) = ((axis + 1) % 3, (axis + 2) % 3);
            let mut about = [[0.0; 3]; 3];
            about[axis][axis] = 1.0;
            (about[from][from], about[from][to]) = (angle.cos(), -angle.sin());
            (about[to][from], about[to][to]) = (angle.sin(), angle.cos());
            warp.then(about);
        }
    }
}
