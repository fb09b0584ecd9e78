//! Fluid below the level at which there is still air before it.
//!
//! It goes on down along the wall, as thick as above and as bright. A dome of the diaphragm is brighter: liver and
//! spleen have more than 40 HU, fluid less.

use std::collections::BTreeSet;

use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::distance::near_squared_distance_mm2;

use super::{HU_APART, MIN_FROM_MIDDLE_MM, mean_around, mean_hu, opened};
use crate::coarse::Coarse;

/// Muscle, spleen and consolidated lung are brighter, so that nobody knows where a lung ends among them.
const MAX_FLUID_HU: f32 = 22.0;
/// Fat is darker by more.
const DARKER_HU: f32 = -40.0;
/// The fluid is looked at in so many mm above its lower end.
const ABOVE_MM: f64 = 20.0;
/// How far it may go on.
const DOWN_MM: f64 = 120.0;
/// A thicker layer is no layer along the wall.
const MAX_DEPTH_MM: f64 = 60.0;
/// How much thicker it may be than above.
const THICKER_MM: f32 = 5.0;
/// Share of the fluid whose distance from the wall is not above its depth.
const DEPTH_SHARE: f64 = 0.9;
/// Radius of the opening.
const OPENING_MM: f64 = 4.0;

/// Voxels below those of `fluid` that belong to it too; `wall` is true in the rib cage, `sides` not 0 in lungs.
pub(super) fn below(coarse: &Coarse, wall: &[bool], sides: &[u8], fluid: &[usize], middle_mm: f64) -> Vec<usize> {
    let Some(lowest) = fluid.iter().map(|&index| coarse.place(index)[0]).min() else { return Vec::new() };
    let step_mm = coarse.spacing_mm;
    let slices = |mm: f64| (mm / step_mm[0]).ceil() as usize;
    let end: Vec<usize> =
        fluid.iter().copied().filter(|&index| coarse.place(index)[0] < lowest + slices(ABOVE_MM)).collect();
    let mean = mean_hu(coarse, &end);
    if mean > MAX_FLUID_HU {
        return Vec::new();
    }
    let from_wall = near_squared_distance_mm2(|index| wall[index], coarse.shape, step_mm, MAX_DEPTH_MM);
    let Some(depth) = quantile(end.iter().map(|&index| from_wall[index].sqrt()).collect(), DEPTH_SHARE) else {
        return Vec::new();
    };
    let deepest = (depth + THICKER_MM).powi(2);
    let front = end.iter().map(|&index| coarse.place(index)[1]).max().unwrap_or(0);
    let is_left = |x: usize| (x as f64 + 0.5) * step_mm[2] < middle_mm;
    let side = is_left(coarse.place(end[0])[2]);
    let may_be = |index: usize| {
        let [_, y, x] = coarse.place(index);
        y <= front
            && is_left(x) == side
            && ((x as f64 + 0.5) * step_mm[2] - middle_mm).abs() > MIN_FROM_MIDDLE_MM
            && sides[index] == 0
            && !wall[index]
            && from_wall[index] <= deepest
            && (DARKER_HU..HU_APART).contains(&(mean_around(coarse, index) - mean))
    };
    let plane = coarse.shape[1] * coarse.shape[2];
    let mut candidates = vec![false; sides.len()];
    for index in lowest.saturating_sub(slices(DOWN_MM)) * plane..lowest * plane {
        candidates[index] = may_be(index);
    }
    // The fluid itself is a part of what the opening looks at, so that nothing is lost where the two meet.
    for &index in &end {
        candidates[index] = true;
    }
    let mut thick = vec![0u8; sides.len()];
    for index in opened(coarse, &candidates, OPENING_MM, OPENING_MM + 2.0) {
        thick[index] = 1;
    }
    let found = components(&thick, coarse.shape, Connectivity::Faces);
    let of_fluid: BTreeSet<u32> = end.iter().map(|&index| found.labels[index]).filter(|&label| label > 0).collect();
    (0..lowest * plane).filter(|&index| of_fluid.contains(&found.labels[index])).collect()
}

/// The value below which a share of all lies; `None` of nothing.
fn quantile(mut values: Vec<f32>, share: f64) -> Option<f32> {
    let at = (values.len().checked_sub(1)? as f64 * share) as usize;
    Some(*values.select_nth_unstable_by(at, f32::total_cmp).1)
}
