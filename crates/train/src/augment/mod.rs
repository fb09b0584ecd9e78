//! What is done to a patch before the network sees it: one augmentation a file.
//!
//! Sides are never broken silently: whatever moves voxels moves the side channel and the codes with them, and the
//! mirror swaps left and right in both.

mod blur;
mod coarse;
mod contrast;
mod elastic;
mod flip;
mod gamma;
mod inverted_gamma;
mod low_resolution;
mod noise;
mod rotate;
mod scale;
mod shift;
mod slices;
mod smooth;
mod turn;
mod warp;

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use self::warp::Warping;
pub use self::{
    blur::Blur, coarse::Coarse, contrast::Contrast, elastic::Elastic, flip::Flip, gamma::Gamma,
    inverted_gamma::InvertedGamma, low_resolution::LowResolution, noise::Noise, rotate::Rotate, scale::Scale,
    shift::Shift, slices::Slices, turn::Turn, warp::Warp,
};
use crate::{error::TrainError, patch::Patch, range::within};

/// The settings of every augmentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Augment {
    /// Left–right mirror.
    pub flip: Flip,
    /// Quarter turns in the axial plane.
    pub rotate: Rotate,
    /// Rotation by any angle.
    pub turn: Turn,
    /// Magnification.
    pub scale: Scale,
    /// Elastic deformation.
    pub elastic: Elastic,
    /// Gamma curve over the vessels' range.
    pub gamma: Gamma,
    /// Gamma curve on inverted values.
    pub inverted_gamma: InvertedGamma,
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
    /// Low resolution along all axes.
    pub low_resolution: LowResolution,
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
    /// Every way of moving voxels from place to place on their grid, by its name in the config, in the order in which
    /// they are applied.
    fn moves(&self) -> [(&'static str, &dyn Augmentation); 2] {
        [("flip", &self.flip), ("rotate", &self.rotate)]
    }

    /// Every way of changing values, by its name in the config, in the order in which they are applied: brightness, then
    /// what a scanner adds.
    fn values(&self) -> [(&'static str, &dyn Augmentation); 9] {
        [
            ("gamma", &self.gamma),
            ("invertedGamma", &self.inverted_gamma),
            ("contrast", &self.contrast),
            ("shift", &self.shift),
            ("blur", &self.blur),
            ("noise", &self.noise),
            ("slices", &self.slices),
            ("lowResolution", &self.low_resolution),
            ("coarse", &self.coarse),
        ]
    }

    /// Every way of moving voxels off their grid, by its name in the config. They share one resampling ([`Warp`]), after
    /// mirrors and quarter turns.
    fn warpings(&self) -> [(&'static str, &dyn Warping); 3] {
        [("turn", &self.turn), ("scale", &self.scale), ("elastic", &self.elastic)]
    }

    /// Draws how a patch of this shape moves off its grid, each way as often as it should happen. This comes before the
    /// patch is cut, since it is cut with [`Warp::margin`] around it.
    pub fn draw_warp(&self, shape: [usize; 3], spacing_mm: [f64; 3], choice: &mut Philox) -> Option<Warp> {
        let mut warp = None;
        for (_, warping) in self.warpings() {
            if happens(warping.probability(), choice) {
                warping.add_to(warp.get_or_insert_with(|| Warp::none(shape, spacing_mm)), choice);
            }
        }
        warp
    }

    /// Moves voxels, each way as often as it should happen; `warp` is what was drawn for this patch.
    pub fn apply_geometry(
        &self,
        patch: &mut Patch,
        warp: Option<&Warp>,
        spacing_mm: [f64; 3],
        random: &mut Randoms<'_>,
    ) {
        apply(&self.moves(), patch, spacing_mm, random);
        if let Some(warp) = warp {
            warp.apply(patch);
        }
    }

    /// Changes values, each way as often as it should happen.
    pub fn apply_intensity(&self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        apply(&self.values(), patch, spacing_mm, random);
    }

    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        let all = || self.moves().into_iter().chain(self.values());
        for (name, augmentation) in all() {
            within(&format!("augment.{name}.probability"), f64::from(augmentation.probability()), 0.0, 1.0)?;
        }
        for (name, warping) in self.warpings() {
            within(&format!("augment.{name}.probability"), f64::from(warping.probability()), 0.0, 1.0)?;
        }
        all().try_for_each(|(_, augmentation)| augmentation.check_ranges())?;
        self.warpings().into_iter().try_for_each(|(_, warping)| warping.check_ranges())
    }
}

/// What never happens draws no number, so that a run stays the same when an augmentation is added that it does not use.
fn happens(probability: f32, choice: &mut Philox) -> bool {
    probability > 0.0 && choice.chance(probability)
}

fn apply(
    augmentations: &[(&str, &dyn Augmentation)],
    patch: &mut Patch,
    spacing_mm: [f64; 3],
    random: &mut Randoms<'_>,
) {
    for (_, augmentation) in augmentations {
        if happens(augmentation.probability(), random.choice) {
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
