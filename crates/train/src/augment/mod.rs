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
use crate::{error::TrainError, patch::Patch, range::within};

/// So many augmentations at the head of the list move voxels, the others change values.
const GEOMETRIC: usize = 2;

/// The settings of every augmentation.
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

/// One augmentation with its settings.
trait Augmentation {
    /// How often it happens.
    fn probability(&self) -> f32;

    /// Refuses settings out of their range, by their names in the config.
    ///
    /// # Errors
    /// [`TrainError::Config`].
    fn check_ranges(&self) -> Result<(), TrainError> {
        Ok(())
    }

    /// Makes it happen.
    fn apply(&self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Randoms<'_>);
}

impl Augment {
    /// Every augmentation by its name in the config, in the order in which they are applied: geometry, brightness, then
    /// what a scanner adds.
    fn all(&self) -> [(&'static str, &dyn Augmentation); 9] {
        [
            ("flip", &self.flip),
            ("rotate", &self.rotate),
            ("gamma", &self.gamma),
            ("contrast", &self.contrast),
            ("shift", &self.shift),
            ("blur", &self.blur),
            ("noise", &self.noise),
            ("slices", &self.slices),
            ("coarse", &self.coarse),
        ]
    }

    /// Applies each as often as it should happen.
    pub fn apply(&self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        self.apply_geometry(patch, spacing_mm, random);
        self.apply_intensity(patch, spacing_mm, random);
    }

    /// Moves voxels, each way as often as it should happen.
    pub fn apply_geometry(&self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        apply(&self.all()[..GEOMETRIC], patch, spacing_mm, random);
    }

    /// Changes values, each way as often as it should happen.
    pub fn apply_intensity(&self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        apply(&self.all()[GEOMETRIC..], patch, spacing_mm, random);
    }

    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        for (name, augmentation) in self.all() {
            within(&format!("augment.{name}.probability"), f64::from(augmentation.probability()), 0.0, 1.0)?;
        }
        self.all().into_iter().try_for_each(|(_, augmentation)| augmentation.check_ranges())
    }
}

fn apply(
    augmentations: &[(&str, &dyn Augmentation)],
    patch: &mut Patch,
    spacing_mm: [f64; 3],
    random: &mut Randoms<'_>,
) {
    for (_, augmentation) in augmentations {
        if random.choice.chance(augmentation.probability()) {
            augmentation.apply(patch, spacing_mm, random);
        }
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
