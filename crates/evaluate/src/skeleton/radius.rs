//! Radius at a point of a centreline: the middle between the distance to the centre of the nearest voxel outside the
//! vessel and the distance to that voxel itself, between which the wall must lie.

use pulmoav_volume::bits::{Bits, WORD};
use pulmoav_volume::nearest::{Found, Nearest};
use rayon::prelude::*;

use crate::skeleton::line::Line;

/// The radius at each point, mm.
pub(crate) fn radii_mm(mask: &Bits, line: &Line, spacing_mm: [f64; 3]) -> Vec<f64> {
    let shell = shell(mask);
    let nearest = Nearest::new(&shell, spacing_mm);
    let radius_mm = |at: [usize; 3]| {
        let Some(Found { squared_mm2, at: outside }) = nearest.to(at, f64::INFINITY) else { return f64::INFINITY };
        let gap_mm = |axis: usize| (at[axis].abs_diff(outside[axis]) as f64 - 0.5).max(0.0) * spacing_mm[axis];
        let face_mm = (0..3).map(|axis| gap_mm(axis).powi(2)).sum::<f64>().sqrt();
        f64::midpoint(squared_mm2.sqrt(), face_mm)
    };
    line.points.par_iter().map(|point| radius_mm(point.at)).collect()
}

/// The voxels outside with a face on the vessel; the nearest one outside is always among them.
fn shell(mask: &Bits) -> Bits {
    let [depth, height, _] = mask.shape();
    let mut found = Bits::empty(mask.shape());
    for z in 0..depth {
        for y in 0..height {
            let row = mask.row(z, y);
            let beside = [
                z.checked_sub(1).map(|z| mask.row(z, y)),
                (z + 1 < depth).then(|| mask.row(z + 1, y)),
                y.checked_sub(1).map(|y| mask.row(z, y)),
                (y + 1 < height).then(|| mask.row(z, y + 1)),
            ];
            for index in 0..row.len() {
                let before = index.checked_sub(1).map_or(0, |before| row[before] >> (WORD - 1));
                let after = row.get(index + 1).map_or(0, |after| after << (WORD - 1));
                let mut near = row[index] << 1 | before | row[index] >> 1 | after;
                near |= beside.iter().flatten().fold(0, |any, row| any | row[index]);
                found.row_mut(z, y)[index] = near & !row[index];
            }
        }
    }
    found
}
