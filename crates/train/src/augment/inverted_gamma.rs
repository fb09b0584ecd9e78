//! Gamma curve on inverted values: it spreads what is bright where [`super::Gamma`] spreads what is dark.

use serde::{Deserialize, Serialize};

use super::{Augmentation, Change, Randoms, Site, gamma::Curved};
use crate::error::TrainError;
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

    fn draw(&self, _site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        Box::new(Curved::draw(self.exponent, true, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{augment::tests::happen, patch::tests::numbered};

    #[test]
    fn bright_values_are_spread_and_dark_ones_pressed() {
        let mut patch = numbered([1, 1, 5]);
        patch.hu = vec![-1100.0, -1000.0, -200.0, 600.0, 700.0];
        happen(&InvertedGamma { probability: 1.0, exponent: [2.0, 2.0] }, &mut patch);
        // t of −200 HU is ½; 1 − ¼ of 1,600 HU above −1000 is 200.
        for (hu, expected) in patch.hu.iter().zip([-1100.0, -1000.0, 200.0, 600.0, 700.0]) {
            assert!((hu - expected).abs() < 0.1, "{hu} {expected}");
        }
    }
}
