//! Gamma curve over the range in which vessels lie.

use pulmoav_ops::augment::{self, CardPatch};
use serde::{Deserialize, Serialize};

use super::{Augmentation, CardTables, Change, Randoms, Site};
use crate::error::TrainError;
use crate::patch::Patch;
use crate::range::rising;

const LOW_HU: f32 = -1000.0;
const HIGH_HU: f32 = 600.0;

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

    fn draw(&self, _site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        Box::new(Curved::draw(self.exponent, false, random))
    }
}

/// The curve of an exponent, perhaps on inverted values.
#[derive(Debug)]
pub(super) struct Curved {
    exponent: f32,
    inverted: bool,
}

impl Curved {
    /// Log-uniform in `exponents`.
    pub(super) fn draw(exponents: [f32; 2], inverted: bool, random: &mut Randoms<'_>) -> Self {
        let [low, high] = exponents.map(f32::ln);
        Self { exponent: random.choice.between(low, high).exp(), inverted }
    }
}

impl Change for Curved {
    fn apply(&self, patch: &mut Patch) {
        let curve = Curve::new(self.exponent);
        let inverted = |hu: f32| LOW_HU + HIGH_HU - hu;
        for hu in patch.hu.iter_mut().filter(|hu| (LOW_HU..=HIGH_HU).contains(*hu)) {
            *hu = if self.inverted { inverted(curve.at(inverted(*hu))) } else { curve.at(*hu) };
        }
    }

    fn apply_on_card(&self, patch: &mut CardPatch, _tables: &CardTables) -> candle_core::Result<()> {
        let places = &Curve::new(self.exponent).0;
        patch.curve(augment::Curve { ends: [LOW_HU, HIGH_HU], places, inverted: self.inverted })
    }
}

/// The curve at some places and lines between them: within 0.3 HU of the power for exponents in 0.8…1.25, a tenth of
/// the time.
struct Curve(Vec<f32>);

impl Curve {
    const PIECES: usize = 4096;

    fn new(exponent: f32) -> Self {
        let place = |piece: usize| (piece as f32 / Self::PIECES as f32).powf(exponent);
        // One beyond the end, so that the last place has a line too.
        Self((0..Self::PIECES + 2).map(|piece| LOW_HU + (HIGH_HU - LOW_HU) * place(piece)).collect())
    }

    /// For `LOW_HU..=HIGH_HU`.
    fn at(&self, hu: f32) -> f32 {
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
