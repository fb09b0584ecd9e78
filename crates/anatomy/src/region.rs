//! Where pulmonary vessels can be: the lungs, a thin rim on their inner side, and a box of the mediastinum around the
//! carina.
//!
//! The carina places the box, so a scan of a part of the chest gets the same one as the whole scan. Sizes are those of
//! an adult whose lungs are [`ADULT_WIDTH_MM`] wide, and scale with the lungs.

use std::ops::Range;

use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::dilation::dilated;
use rayon::prelude::*;

use crate::coarse::Coarse;
use crate::side::{LEFT, RIGHT};

/// Vessels at the lungs' inner surface may lie this far outside; at the outer one there are ribs.
const RIM_MM: f64 = 4.0;
/// Width of both lungs of the adult whose sizes follow.
pub(crate) const ADULT_WIDTH_MM: f64 = 230.0;
/// The box around the carina, mm along z and y: down to the ostia of the lower veins, up above the division of the
/// pulmonary trunk; back to the spine, forward to the root of the trunk.
const HEIGHT_MM: [f64; 2] = [-90.0, 45.0];
const DEPTH_MM: [f64; 2] = [-38.0, 86.0];
/// Its half-width along x.
const HALF_WIDTH_MM: f64 = 60.0;
/// Where no carina is seen: its height as a share between the lungs' base and apex, or in mm from one of them where the
/// other is not in the scan.
const CARINA_SHARE: f64 = 0.6;
const ABOVE_BASE_MM: f64 = 140.0;
const BELOW_APEX_MM: f64 = 92.0;
/// Its place along y as a share of the lungs' depth from the back.
const CARINA_DEPTH_SHARE: f64 = 0.37;

/// What the region is measured from.
pub(crate) struct Landmarks {
    /// The coarse box of both lungs.
    pub(crate) bounds: VoxelBox,
    /// The plane between the lungs and half their box's width, mm.
    pub(crate) middle_mm: f64,
    pub(crate) half_width_mm: f64,
    /// Place of the carina along z and y, mm.
    pub(crate) carina_mm: Option<[f64; 2]>,
}

/// 1 where a pulmonary vessel can be, `[z, y, x]`; `air` is that of the lungs, not 0.
pub(crate) fn find(coarse: &Coarse, sides: &[u8], air: &[u8], marks: &Landmarks) -> Vec<u8> {
    let size = 2.0 * marks.half_width_mm / ADULT_WIDTH_MM;
    let [heights, depths] = around_carina(coarse, marks, size);
    let between = between_lungs(sides, coarse.shape);
    let near = dilated(|i| air[i] != 0, coarse.shape, coarse.spacing_mm, RIM_MM);
    (0..sides.len())
        .into_par_iter()
        .map(|index| {
            if sides[index] > 0 {
                return 1;
            }
            let place = coarse.place(index);
            let [z_mm, y_mm, x_mm] = [0, 1, 2].map(|a| (place[a] as f64 + 0.5) * coarse.spacing_mm[a]);
            if (x_mm - marks.middle_mm).abs() > HALF_WIDTH_MM * size {
                return 0;
            }
            let in_box = heights.contains(&z_mm) && depths.contains(&y_mm) && between[place[0]].contains(&place[1]);
            u8::from(in_box || near[index])
        })
        .collect()
}

/// The box along z and y, mm; without bounds along z where neither carina, apex nor base is in the scan.
fn around_carina(coarse: &Coarse, marks: &Landmarks, size: f64) -> [Range<f64>; 2] {
    let edge = |axis: usize, voxel: usize| voxel as f64 * coarse.spacing_mm[axis];
    let (base_mm, apex_mm) = (edge(0, marks.bounds.low[0]), edge(0, marks.bounds.high[0]));
    let (has_base, has_apex) = (marks.bounds.low[0] > 0, marks.bounds.high[0] < coarse.shape[0]);
    let height_mm = match (marks.carina_mm, has_base, has_apex) {
        (Some([z_mm, _]), ..) => Some(z_mm),
        (None, true, true) => Some(base_mm + CARINA_SHARE * (apex_mm - base_mm)),
        (None, true, false) => Some(base_mm + ABOVE_BASE_MM * size),
        (None, false, true) => Some(apex_mm - BELOW_APEX_MM * size),
        (None, false, false) => None,
    };
    let (back_mm, front_mm) = (edge(1, marks.bounds.low[1]), edge(1, marks.bounds.high[1]));
    let depth_mm = marks.carina_mm.map_or(back_mm + CARINA_DEPTH_SHARE * (front_mm - back_mm), |[_, y_mm]| y_mm);
    let around = |centre: f64, [low, high]: [f64; 2]| centre + low * size..centre + high * size;
    [height_mm.map_or(f64::NEG_INFINITY..f64::INFINITY, |centre| around(centre, HEIGHT_MM)), around(depth_mm, DEPTH_MM)]
}

/// For each axial slice the rows that reach neither before nor behind one of its lungs: the breastbone lies before
/// both. With one lung alone, its own rows.
fn between_lungs(sides: &[u8], [depth, height, width]: [usize; 3]) -> Vec<Range<usize>> {
    let rows = |z: usize, side: u8| {
        let has = |&y: &usize| sides[(z * height + y) * width..][..width].contains(&side);
        Some((0..height).find(has)?..(0..height).rev().find(has)? + 1)
    };
    (0..depth)
        .map(|z| match (rows(z, LEFT), rows(z, RIGHT)) {
            (Some(left), Some(right)) => left.start.max(right.start)..left.end.min(right.end),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 0..0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_between_the_lungs_are_those_of_both() {
        let mut sides = vec![0; 3 * 6 * 4];
        for (z, y, x, side) in [(0, 1, 0, LEFT), (0, 4, 0, LEFT), (0, 2, 3, RIGHT), (0, 5, 3, RIGHT), (1, 3, 3, RIGHT)]
        {
            sides[(z * 6 + y) * 4 + x] = side;
        }
        assert_eq!(between_lungs(&sides, [3, 6, 4]), [2..5, 3..4, 0..0]);
    }
}
