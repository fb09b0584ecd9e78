//! Gamma curve over the range in which vessels lie.

use serde::{Deserialize, Serialize};

use super::{Augmentation, Randoms};
use crate::error::TrainError;
use crate::patch::Patch;
use crate::range::rising;

pub(super) const LOW_HU: f32 = -1000.0;
pub(super) const HIGH_HU: f32 = 600.0;

/// Maps −1000…600 HU through `t ↦ t^e`, with e log-uniform in `exponent`; other voxels stay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Gamma {
    /// How often.
    pub probability: f32,
    /// Smallest and largest exponent.
    pub exponent: [f32; 2],
}

impl Augmentation for Gamma {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.gamma.exponent", self.exponent, 0.1, 10.0)
    }

    fn apply(&self, patch: &mut Patch, _spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        let exponent = random.choice.between(self.exponent[0].ln(), self.exponent[1].ln()).exp();
        let curve = Curve::new(exponent);
        for hu in &mut patch.hu {
            if (LOW_HU..=HIGH_HU).contains(hu) {
                *hu = curve.at(*hu);
            }
        }
    }
}

/// The curve at some places and lines between them: within 0.3 HU of the power for exponents in 0.8…1.25, a tenth of
/// the time.
pub(super) struct Curve(Vec<f32>);

impl Curve {
    const PIECES: usize = 4096;

    pub(super) fn new(exponent: f32) -> Self {
        let place = |piece: usize| (piece as f32 / Self::PIECES as f32).powf(exponent);
        // One beyond the end, so that the last place has a line too.
        Self((0..Self::PIECES + 2).map(|piece| LOW_HU + (HIGH_HU - LOW_HU) * place(piece)).collect())
    }

    /// For `LOW_HU..=HIGH_HU`.
    pub(super) fn at(&self, hu: f32) -> f32 {
        let place = (hu - LOW_HU) * (Self::PIECES as f32 / (HIGH_HU - LOW_HU));
        let piece = (place as usize).min(Self::PIECES);
        let (low, high) = (self.0[piece], self.0[piece + 1]);
        low + (high - low) * (place - piece as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_follows_the_power() {
        for exponent in [0.8f32, 1.0, 1.25] {
            let curve = Curve::new(exponent);
            for step in 0..=16_000u16 {
                let hu = LOW_HU + f32::from(step) / 10.0;
                let exact = LOW_HU + 1600.0 * ((hu - LOW_HU) / 1600.0).powf(exponent);
                assert!((curve.at(hu) - exact).abs() < 0.3, "{hu} to the {exponent}: {} for {exact}", curve.at(hu));
            }
        }
    }
}
