//! Whether head and feet, front and back lie where the header says.

use crate::airway::Airways;
use crate::coarse::Coarse;
use crate::lungs::{CUT_MM2, Lungs};

/// Bone averages above this, outside the vessels' region, where contrast medium is as bright.
pub(crate) const BONE_HU: f32 = 200.0;
/// With less bone nothing is said of front and back.
const MIN_BONE_ML: f64 = 20.0;
/// Bone of the chest lies behind the middle of the lungs: its mean place from their back, as a share of their depth, is
/// 0.26 to 0.40 in scans and phantoms.
const BONE_IN_FRONT: f64 = 0.58;
/// Where the lungs' width is taken, from their lower and from their upper end, as a share of their height.
const WIDTH_AT: f64 = 0.15;
/// Lungs are wide below and narrow above: the ratio of these widths is 1.15 to 1.4 in scans and phantoms.
const WIDE_ABOVE: f64 = 0.9;
/// A windpipe that reaches this share of the lungs' height stands upright; an upright one reaches 0.8 and more.
const UPRIGHT_WINDPIPE: f64 = 0.75;

/// What contradicts the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pose {
    pub(crate) head_below: bool,
    pub(crate) back_in_front: bool,
}

impl Pose {
    /// Nothing is said of head and feet where a lung is missing or cut off above or below, nor of front and back where
    /// there is hardly any bone.
    pub(crate) fn find(coarse: &Coarse, lungs: &Lungs, airways: &Airways) -> Self {
        let has_both = !lungs.volumes_ml.contains(&0.0);
        let ratio = width_ratio(coarse, lungs).filter(|_| has_both).unwrap_or(f64::INFINITY);
        Self {
            head_below: ratio < WIDE_ABOVE && airway_top(lungs, airways) < UPRIGHT_WINDPIPE,
            back_in_front: bone_place(coarse, lungs).is_some_and(|place| place > BONE_IN_FRONT),
        }
    }
}

/// Width of both lungs near their lower end over that near their upper one; `None` where an end is cut off.
fn width_ratio(coarse: &Coarse, lungs: &Lungs) -> Option<f64> {
    let [depth, height, width] = coarse.shape;
    let section = |z: usize| &lungs.sides[z * height * width..(z + 1) * height * width];
    let is_lung = |z: usize| section(z).iter().any(|&side| side != 0);
    let (low, high) = ((0..depth).find(|&z| is_lung(z))?, (0..depth).rev().find(|&z| is_lung(z))?);
    let area_mm2 = |z: usize| {
        section(z).iter().filter(|&&side| side != 0).count() as f64 * coarse.spacing_mm[1] * coarse.spacing_mm[2]
    };
    let is_cut = |z: usize| (z == 0 || z + 1 == depth) && area_mm2(z) > CUT_MM2;
    if is_cut(low) || is_cut(high) {
        return None;
    }
    let inwards = (WIDTH_AT * (high - low) as f64).round() as usize;
    let across = |z: usize| {
        let columns = || (0..width).filter(|&x| section(z).iter().skip(x).step_by(width).any(|&side| side != 0));
        Some((columns().next_back()? + 1 - columns().next()?) as f64)
    };
    Some(across(low + inwards)? / across(high - inwards)?)
}

/// How far up the airways reach, as a share of the lungs' height; 0 without any.
fn airway_top(lungs: &Lungs, airways: &Airways) -> f64 {
    let plane = lungs.grid.shape[1] * lungs.grid.shape[2];
    let top = airways.lumen.last().map_or(0.0, |&voxel| (voxel as usize / plane.max(1) + 1) as f64);
    (top - lungs.bounds.low[0] as f64) / lungs.bounds.shape()[0] as f64
}

/// Mean place of bone along y at the lungs' height, from their back, as a share of their depth.
fn bone_place(coarse: &Coarse, lungs: &Lungs) -> Option<f64> {
    let [_, height, width] = coarse.shape;
    let (mut count, mut sum) = (0usize, 0.0);
    for z in lungs.bounds.low[0] / coarse.factor[0]..lungs.bounds.high[0].div_ceil(coarse.factor[0]) {
        for y in 0..height {
            let row = (z * height + y) * width..(z * height + y + 1) * width;
            let bone = row.filter(|&index| coarse.hu[index] > BONE_HU && lungs.region[index] == 0).count();
            count += bone;
            sum += bone as f64 * (y as f64 + 0.5) * coarse.factor[1] as f64;
        }
    }
    if (count as f64) * coarse.voxel_ml() < MIN_BONE_ML {
        return None;
    }
    Some((sum / count as f64 - lungs.bounds.low[1] as f64) / lungs.bounds.shape()[1] as f64)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Chest, MIDDLE_MM, chest};

    /// The fixture's lungs are as wide above as below; this one's have narrow tops, as people's have.
    fn tapered() -> Chest {
        chest().painted(|[z, _, x], hu| {
            let is_outer = (x - MIDDLE_MM).abs() > 135.0 - 0.5 * (z - 100.0).max(0.0);
            if z > 100.0 && is_outer && hu < -500.0 && hu > -980.0 { 40.0 } else { hu }
        })
    }

    #[test]
    fn what_stands_as_the_header_says_is_silent() {
        assert!(tapered().warnings().is_empty(), "{:?}", tapered().warnings());
    }

    #[test]
    fn head_and_feet_exchanged_are_told() {
        assert_eq!(tapered().flipped(0).warnings(), ["ORIENTATION_UNCLEAR"]);
    }

    #[test]
    fn front_and_back_exchanged_are_told() {
        let found = tapered().flipped(1).warnings();
        assert!(found.contains(&"ORIENTATION_UNCLEAR"), "{found:?}");
    }

    #[test]
    fn a_lung_cut_off_says_nothing_of_head_and_feet() {
        let lower = tapered().flipped(0).cropped([0.0; 3], [150.0, 280.0, 350.0]);
        assert!(!lower.warnings().contains(&"ORIENTATION_UNCLEAR"), "{:?}", lower.warnings());
    }
}
