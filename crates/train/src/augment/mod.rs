//! What is done to a patch before the network sees it: one augmentation a file.
//!
//! Sides are never broken silently: whatever moves voxels moves the side channel and the codes with them, and the
//! mirror swaps left and right in both.

mod blur;
mod coarse;
mod contrast;
mod flip;
mod gamma;
mod noise;
mod rotate;
mod shift;
mod slices;
mod smooth;

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

pub use self::{
    blur::Blur, coarse::Coarse, contrast::Contrast, flip::Flip, gamma::Gamma, noise::Noise, rotate::Rotate,
    shift::Shift, slices::Slices,
};
use crate::{config::within, error::TrainError, patch::Patch};

/// Every augmentation, in the order in which they are applied: geometry, brightness, then what a scanner adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Augment {
    /// Left–right mirror.
    pub flip: Flip,
    /// Quarter turns in the axial plane.
    pub rotate: Rotate,
    /// Gamma curve over the vessels' range.
    pub gamma: Gamma,
    /// Stretch about the patch's mean.
    pub contrast: Contrast,
    /// Constant shift.
    pub shift: Shift,
    /// Gaussian blur.
    pub blur: Blur,
    /// Gaussian noise.
    pub noise: Noise,
    /// Thick slices.
    pub slices: Slices,
    /// Coarse voxels.
    pub coarse: Coarse,
}

/// The two streams a sample's augmentations draw from.
pub struct Randoms<'a> {
    /// Decides what happens and how strongly.
    pub choice: &'a mut Philox,
    /// Noise, voxel by voxel.
    pub noise: &'a mut Philox,
}

impl Augment {
    /// Applies all of them.
    pub fn apply(&self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Randoms) {
        self.flip.apply(patch, random.choice);
        self.rotate.apply(patch, random.choice);
        self.gamma.apply(patch, random.choice);
        self.contrast.apply(patch, random.choice);
        self.shift.apply(patch, random.choice);
        self.blur.apply(patch, random.choice);
        self.noise.apply(patch, random);
        self.slices.apply(patch, spacing_mm, random.choice);
        self.coarse.apply(patch, spacing_mm, random.choice);
    }

    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        for (name, probability) in [
            ("flip", self.flip.probability),
            ("rotate", self.rotate.probability),
            ("gamma", self.gamma.probability),
            ("contrast", self.contrast.probability),
            ("shift", self.shift.probability),
            ("blur", self.blur.probability),
            ("noise", self.noise.probability),
            ("slices", self.slices.probability),
            ("coarse", self.coarse.probability),
        ] {
            within(&format!("augment.{name}.probability"), f64::from(probability), 0.0, 1.0)?;
        }
        range("augment.gamma.exponent", self.gamma.exponent, 0.1, 10.0)?;
        range("augment.contrast.factor", self.contrast.factor, 0.1, 10.0)?;
        within("augment.shift.amountHu", f64::from(self.shift.amount_hu), 0.0, 1000.0)?;
        range("augment.blur.sigmaVoxels", self.blur.sigma_voxels, 0.0, 10.0)?;
        range("augment.noise.sdHu", self.noise.sd_hu, 0.0, 1000.0)?;
        range("augment.noise.sigmaVoxels", self.noise.sigma_voxels, 0.0, 10.0)?;
        range("augment.slices.thicknessMm", self.slices.thickness_mm, 0.1, 20.0)?;
        range("augment.coarse.voxelMm", self.coarse.voxel_mm, 0.1, 20.0)
    }
}

/// The mean of a function of some values, summed in lanes that the compiler turns into vectors: f32 within a part, f64
/// from part to part.
fn mean_of(values: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    const PART: usize = 1024;
    let sum_of = |part: &[f32]| {
        let (rows, rest) = part.as_chunks::<16>();
        let mut lanes = [0f32; 16];
        for row in rows {
            lanes.iter_mut().zip(row).for_each(|(lane, &value)| *lane += of(value));
        }
        lanes.into_iter().chain(rest.iter().map(|&value| of(value))).map(f64::from).sum::<f64>()
    };
    values.chunks(PART).map(sum_of).sum::<f64>() / values.len() as f64
}

fn range(name: &str, [low, high]: [f32; 2], least: f64, most: f64) -> Result<(), TrainError> {
    within(&format!("{name}[0]"), f64::from(low), least, most)?;
    within(&format!("{name}[1]"), f64::from(high), f64::from(low), most)
}
