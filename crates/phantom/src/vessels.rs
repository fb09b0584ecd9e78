//! Blood into coverage maps, and the labels of what is wide enough.

use rayon::prelude::*;

use crate::chest::ellipsoid;
use crate::heart::{Chamber, Side};
use crate::lattice::Lattice;
use crate::layers::Anatomy;
use crate::raster::{draw_chamber, draw_tubes};
use crate::tubes::{Segment, Tubes};

/// Draws the vessels that carry a label and returns the labels: at least half of the voxel in one vessel.
pub(crate) fn labelled(
    anatomy: &Anatomy,
    lattice: &Lattice,
    least_radius_mm: f32,
    walls: &[u8],
    artery: &mut [u8],
    vein: &mut [u8],
) -> Vec<u8> {
    let thick =
        |tubes: &Tubes| -> Vec<Segment> { tubes.segments().filter(|s| s.to_radius_mm >= least_radius_mm).collect() };
    draw_tubes(lattice, &thick(&anatomy.arteries), artery);
    draw_tubes(lattice, &thick(&anatomy.veins), vein);
    share(artery, vein, walls, None);
    let in_chamber = |c: &Chamber, p| ellipsoid(p - c.centre, c.radii) < 0.0;
    let mut labels = vec![0_u8; lattice.len()];
    let [_, ny, nx] = lattice.shape;
    labels.par_chunks_mut(ny * nx).enumerate().for_each(|(z, slice)| {
        for (i, label) in slice.iter_mut().enumerate() {
            let (a, v) = (artery[z * ny * nx + i], vein[z * ny * nx + i]);
            if a < 128 && v < 128 {
                continue;
            }
            let p = lattice.centre(z, i / nx, i % nx);
            *label = if a >= v {
                u8::from(!anatomy.heart.right.chambers.iter().any(|c| in_chamber(c, p)))
            } else {
                2 * u8::from(!in_chamber(&anatomy.heart.left_atrium, p))
            };
        }
    });
    labels
}

/// Draws blood without a label: thin vessels, heart and great vessels, the upper caval vein unless it is drawn by
/// itself.
pub(crate) fn unlabelled(
    anatomy: &Anatomy,
    lattice: &Lattice,
    least_radius_mm: f32,
    walls: &[u8],
    labels: &[u8],
    without_cava: bool,
    artery: &mut [u8],
    vein: &mut [u8],
) {
    let thin =
        |tubes: &Tubes| -> Vec<Segment> { tubes.segments().filter(|s| s.to_radius_mm < least_radius_mm).collect() };
    let side = |side: &Side, map: &mut [u8], vessels: bool| {
        for chamber in &side.chambers {
            draw_chamber(lattice, chamber, map);
        }
        if vessels {
            draw_tubes(lattice, &side.vessels.segments().collect::<Vec<_>>(), map);
        }
    };
    draw_tubes(lattice, &thin(&anatomy.arteries), artery);
    draw_tubes(lattice, &thin(&anatomy.veins), vein);
    side(&anatomy.heart.right, artery, !without_cava);
    side(&anatomy.heart.left, vein, true);
    draw_chamber(lattice, &anatomy.heart.left_atrium, vein);
    share(artery, vein, walls, Some(labels));
}

/// Makes room: bronchi cut vessels, and a voxel that both vessels claim goes to the one that has its label, or claims
/// more of it.
fn share(artery: &mut [u8], vein: &mut [u8], walls: &[u8], labels: Option<&[u8]>) {
    artery.par_iter_mut().zip(vein).zip(walls).enumerate().for_each(|(i, ((a, v), &wall))| {
        if *a == 0 && *v == 0 {
            return;
        }
        let room = 255 - wall;
        let first = match labels.map_or(0, |l| l[i]) {
            0 => *a >= *v,
            label => label == 1,
        };
        let (more, less) = if first { (a, v) } else { (v, a) };
        *more = (*more).min(room);
        *less = (*less).min(room - *more);
    });
}
