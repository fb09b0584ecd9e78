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

use std::fmt::Debug;

use candle_core::{Device, Tensor};
use pulmoav_ops::augment::{CardPatch, QUANTILES};
use pulmoav_ops::device::from_slice;
use pulmoav_random::{Philox, normal_quantiles};
use serde::{Deserialize, Serialize};

use self::warp::{Warp, Warping};
pub use self::{
    blur::Blur, coarse::Coarse, contrast::Contrast, elastic::Elastic, flip::Flip, gamma::Gamma,
    inverted_gamma::InvertedGamma, low_resolution::LowResolution, noise::Noise, rotate::Rotate, scale::Scale,
    shift::Shift, slices::Slices, turn::Turn,
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

/// The patch that something happens to.
#[derive(Clone, Copy)]
struct Site {
    /// Voxels, `[z, y, x]`.
    shape: [usize; 3],
    spacing_mm: [f64; 3],
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

    /// Draws how it happens.
    fn draw(&self, site: Site, random: &mut Randoms<'_>) -> Box<dyn Change>;
}

/// What was drawn for a patch, on its way to the voxels: to the bit the same on the host and on a card.
trait Change: Debug + Send {
    /// Makes it happen.
    fn apply(&self, patch: &mut Patch);

    /// Makes it happen on a card.
    ///
    /// # Errors
    /// A card without room.
    fn apply_on_card(&self, patch: &mut CardPatch, tables: &CardTables) -> candle_core::Result<()>;
}

/// What every patch on a card goes by.
#[derive(Debug)]
pub struct CardTables {
    /// [`normal_quantiles`].
    normal_quantiles: Tensor,
}

impl CardTables {
    /// Takes them to a card, once.
    ///
    /// # Errors
    /// A card without room.
    pub fn new(card: &Device) -> candle_core::Result<Self> {
        Ok(Self { normal_quantiles: from_slice(normal_quantiles(), QUANTILES, card)? })
    }
}

/// Everything that happens to one patch.
#[derive(Debug)]
pub struct Drawn {
    warp: Option<Warp>,
    moves: Vec<Box<dyn Change>>,
    values: Vec<Box<dyn Change>>,
}

impl Drawn {
    /// Whether voxels leave their grid: then the patch is cut with [`Self::margin`] around it.
    pub fn leaves_grid(&self) -> bool {
        self.warp.is_some()
    }

    /// So many voxels on each side of the patch are needed besides it.
    pub fn margin(&self) -> [usize; 3] {
        self.warp.as_ref().map_or([0; 3], Warp::margin)
    }

    /// Moves the voxels of a patch that was cut with its margin; what comes out has none.
    pub fn move_voxels(&self, patch: &mut Patch) {
        self.geometry().for_each(|change| change.apply(patch));
    }

    /// Changes the values of a patch whose voxels were moved.
    pub fn change_values(&self, patch: &mut Patch) {
        self.values.iter().for_each(|change| change.apply(patch));
    }

    /// As [`Self::move_voxels`].
    ///
    /// # Errors
    /// A card without room.
    pub fn move_voxels_on_card(&self, patch: &mut CardPatch, tables: &CardTables) -> candle_core::Result<()> {
        self.geometry().try_for_each(|change| change.apply_on_card(patch, tables))
    }

    /// As [`Self::change_values`].
    ///
    /// # Errors
    /// A card without room.
    pub fn change_values_on_card(&self, patch: &mut CardPatch, tables: &CardTables) -> candle_core::Result<()> {
        self.values.iter().try_for_each(|change| change.apply_on_card(patch, tables))
    }

    /// The warp comes after mirrors and quarter turns.
    fn geometry(&self) -> impl Iterator<Item = &dyn Change> {
        let warp = self.warp.as_ref().map(|warp| warp as &dyn Change);
        self.moves.iter().map(|change| &**change).chain(warp)
    }
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

    /// Draws what happens to a patch of this shape, each augmentation as often as it should happen. This comes before the
    /// patch is cut, since it is cut with [`Drawn::margin`] around it.
    pub fn draw(&self, shape: [usize; 3], spacing_mm: [f64; 3], random: &mut Randoms<'_>) -> Drawn {
        let warp = self.draw_warp(shape, spacing_mm, random.choice);
        let margin = warp.as_ref().map_or([0; 3], Warp::margin);
        let wide = std::array::from_fn(|axis| shape[axis] + 2 * margin[axis]);
        let moves = drawn(&self.moves(), Site { shape: wide, spacing_mm }, random);
        Drawn { warp, moves, values: drawn(&self.values(), Site { shape, spacing_mm }, random) }
    }

    fn draw_warp(&self, shape: [usize; 3], spacing_mm: [f64; 3], choice: &mut Philox) -> Option<Warp> {
        let mut warp = None;
        for (_, warping) in self.warpings() {
            if happens(warping.probability(), choice) {
                warping.add_to(warp.get_or_insert_with(|| Warp::none(shape, spacing_mm)), choice);
            }
        }
        warp
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

fn drawn(augmentations: &[(&str, &dyn Augmentation)], site: Site, random: &mut Randoms<'_>) -> Vec<Box<dyn Change>> {
    let mut changes = Vec::new();
    for (_, augmentation) in augmentations {
        if happens(augmentation.probability(), random.choice) {
            changes.push(augmentation.draw(site, random));
        }
    }
    changes
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

#[cfg(test)]
mod tests {
    use pulmoav_random::Stream;

    use super::*;

    /// Makes an augmentation happen to a patch of 1 mm voxels.
    pub(super) fn happen(augmentation: &dyn Augmentation, patch: &mut Patch) {
        let stream = |stream| Philox::new(1, 2, 0, stream);
        let mut random = Randoms { choice: &mut stream(Stream::Augment), noise: &mut stream(Stream::Noise) };
        augmentation.draw(Site { shape: patch.shape, spacing_mm: [1.0; 3] }, &mut random).apply(patch);
    }
}
