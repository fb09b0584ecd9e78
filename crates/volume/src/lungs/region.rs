//! Where pulmonary vessels can be: the lungs, a thin rim around them, and the mediastinum between the hila.

use crate::crop::VoxelBox;

use super::coarse::Coarse;

/// Vessels at the lungs' surface may lie this far outside.
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
pub(super) fn find(
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
    let in_box = |[z, y, x]: [usize; 3]| {
        let from_middle_mm = ((x as f64 + 0.5) * coarse.spacing_mm[2] - middle_mm).abs();
        inside(z, 0, HEIGHT_SHARE) && inside(y, 1, DEPTH_SHARE) && from_middle_mm <= WIDTH_SHARE * half_width_mm
    };
    (0..sides.len())
        .map(|index| {
            let near = sides[index] > 0 || distance_mm2(index) <= RIM_MM * RIM_MM;
            u8::from(near || in_box(coarse.place(index)))
        })
        .collect()
}
