//! Gamma curve on inverted values: it spreads what is bright where [`super::Gamma`] spreads what is dark.

use serde::{Deserialize, Serialize};

use super::{
    Augmentation, Randoms,
    gamma::{Curve, HIGH_HU, LOW_HU},
};
use crate::error::TrainError;
use crate::patch::Patch;
use crate::range::rising;

/// Maps −1000…600 HU through `t ↦ 1 − (1 − t)^e`, with e log-uniform in `exponent`; other voxels stay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InvertedGamma {
    /// How often.
    pub probability: f32,
    /// Smallest and largest exponent.
    pub exponent: [f32; 2],
}

impl Augmentation for InvertedGamma {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.invertedGamma.exponent", self.exponent, 0.1, 10.0)
    }

    fn apply(&self, patch: &mut Patch, _spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        let exponent = random.choice.between(self.exponent[0].ln(), self.exponent[1].ln()).exp();
        let curve = Curve::new(exponent);
        let inverted = |hu: f32| LOW_HU + HIGH_HU - hu;
        for hu in &mut patch.hu {
            if (LOW_HU..=HIGH_HU).contains(hu) {
                *hu = inverted(curve.at(inverted(*hu)));
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
    fn bright_values_are_spread_and_dark_ones_pressed() {
        let mut patch = numbered([1, 1, 5]);
        patch.hu = vec![-1100.0, LOW_HU, -200.0, HIGH_HU, 700.0];
        let stream = |stream| Philox::new(1, 2, 0, stream);
        let mut random = Randoms { choice: &mut stream(Stream::Augment), noise: &mut stream(Stream::Noise) };
        InvertedGamma { probability: 1.0, exponent: [2.0, 2.0] }.apply(&mut patch, [1.0; 3], &mut random);
        // t of −200 HU is ½; 1 − ¼ of 1,600 HU above −1000 is 200.
        for (hu, expected) in patch.hu.iter().zip([-1100.0, LOW_HU, 200.0, HIGH_HU, 700.0]) {
            assert!((hu - expected).abs() < 0.1, "{hu} {expected}");
        }
    }
}
