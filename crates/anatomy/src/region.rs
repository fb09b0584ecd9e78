//! Where pulmonary vessels can be: the lungs, a thin rim on their inner side, and the mediastinum between the hila.

use std::ops::Range;

use pulmoav_volume::crop::VoxelBox;

use crate::coarse::Coarse;
use crate::lungs::{LEFT, RIGHT};

/// Vessels at the lungs' inner surface may lie this far outside; at the outer one there are ribs.
const RIM_MM: f32 = 4.0;
/// The mediastinal box along y and z, as shares of the lungs' box from the back and from below: before the spine and
/// behind the sternum, from the inferior veins' ostia to above the bifurcation.
const DEPTH_SHARE: [f64; 2] = [0.25, 0.88];
const HEIGHT_SHARE: [f64; 2] = [0.2, 0.88];
/// Its half-width along x as a share of the lungs' half-width.
const WIDTH_SHARE: f64 = 0.5;

/// 1 where a pulmonary vessel can be, `[z, y, x]`.
///
/// `distance_mm2` is the squared distance to the lungs' air, `bounds` the coarse box of both lungs.
pub(crate) fn find(
    coarse: &Coarse,
    sides: &[u8],
    distance_mm2: impl Fn(usize) -> f32,
    bounds: &VoxelBox,
    middle_mm: f64,
    half_width_mm: f64,
) -> Vec<u8> {
    let inside = |place: usize, axis: usize, share: [f64; 2]| {
        let (low, size) = (bounds.low[axis] as f64, bounds.shape()[axis] as f64);
        let at = (place as f64 + 0.5 - low) / size;
        share[0] <= at && at <= share[1]
    };
    let between = between_lungs(sides, coarse.shape);
    (0..sides.len())
        .map(|index| {
            let [z, y, x] = coarse.place(index);
            let from_middle_mm = ((x as f64 + 0.5) * coarse.spacing_mm[2] - middle_mm).abs();
            let inner = from_middle_mm <= WIDTH_SHARE * half_width_mm;
            let in_box = || inside(z, 0, HEIGHT_SHARE) && inside(y, 1, DEPTH_SHARE) && between[z].contains(&y);
            let near = || distance_mm2(index) <= RIM_MM * RIM_MM;
            u8::from(sides[index] > 0 || inner && (near() || in_box()))
        })
        .collect()
}

/// For each axial slice the rows that reach neither before nor behind one of its lungs: the breastbone lies before both.
/// With one lung alone, its own rows.
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
