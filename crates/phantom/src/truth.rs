//! What a finder of the anatomy should find in a phantom: body, lungs, airway lumen and its centrelines.

use rayon::prelude::*;

use crate::calibre::Fade;
use crate::lattice::Lattice;
use crate::layers::Anatomy;
use crate::point::Point;
use crate::tubes::{Segment, Tubes};

/// Values of [`crate::Phantom::anatomy`]; a later one lies over an earlier one.
const BODY: u8 = 1;
const LUNGS: [u8; 2] = [3, 4];
const LUMEN: u8 = 5;
const CENTRELINE: u8 = 6;

/// Bronchi from this lumen on have a centreline.
const MIN_RADIUS_MM: f32 = 1.5;

/// The label map of the truth.
///
/// # Shapes
/// `lungs` (1 left, 2 right) and `lumen` (share of a voxel, 255 = all): `[z, y, x]` of the lattice, as what is
/// returned.
pub(crate) fn truth(anatomy: &Anatomy, lattice: &Lattice, fade: Fade, lungs: &[u8], lumen: &[u8]) -> Vec<u8> {
    let mut map = vec![0_u8; lattice.len()];
    let [_, ny, nx] = lattice.shape;
    map.par_chunks_mut(ny * nx).enumerate().for_each(|(z, slice)| {
        for (i, value) in slice.iter_mut().enumerate() {
            let at = z * ny * nx + i;
            *value = match lungs[at] {
                _ if lumen[at] >= 128 => LUMEN,
                0 => BODY * u8::from(anatomy.chest.body_mm(lattice.centre(z, i / nx, i % nx)) >= 0.0),
                side => LUNGS[side as usize - 1],
            };
        }
    });
    draw_centrelines(&anatomy.bronchi.tubes, lattice, fade, &mut map);
    map
}

/// Marks every voxel that a centreline runs through.
fn draw_centrelines(tubes: &Tubes, lattice: &Lattice, fade: Fade, map: &mut [u8]) {
    let finest_mm = lattice.spacing_mm.into_iter().fold(f32::MAX, f32::min);
    for Segment { from, to, .. } in tubes.segments().filter(|s| s.to_radius_mm >= MIN_RADIUS_MM && fade.sees(s)) {
        let pieces = ((to - from).norm() / (0.25 * finest_mm)).ceil().max(1.0) as usize;
        for k in 0..=pieces {
            if let Some(voxel) = voxel(lattice, from.towards(to, k as f32 / pieces as f32)) {
                map[voxel] = CENTRELINE;
            }
        }
    }
}

/// Index of the voxel that holds a place.
fn voxel(lattice: &Lattice, p: Point) -> Option<usize> {
    let v = p - lattice.origin;
    let [sz, sy, sx] = lattice.spacing_mm;
    let places = [v.z / sz, v.y / sy, v.x / sx].map(f32::round);
    let inside = places.iter().zip(lattice.shape).all(|(&at, n)| at >= 0.0 && at < n as f32);
    let [z, y, x] = places.map(|at| at as usize);
    inside.then(|| (z * lattice.shape[1] + y) * lattice.shape[2] + x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PhantomConfig, Style};
    use crate::lattice::Lattice;
    use crate::layers::tests::coarse;
    use crate::raster::draw_tubes;
    use pulmoav_task::Silent;
    use pulmoav_volume::components::{Connectivity, components};

    #[test]
    fn the_truth_is_nested_and_centrelines_run_in_lumens() {
        for seed in [5, 6] {
            let anatomy = Anatomy::grow(seed, Style::Plain);
            let coarse = coarse(&anatomy);
            let lattice = Lattice {
                shape: coarse.shape.map(|n| n * 3 / 2),
                spacing_mm: coarse.spacing_mm.map(|s| s / 1.5),
                ..coarse
            };
            let layers = crate::layers::draw(&anatomy, &lattice, &PhantomConfig::small(seed, Style::Plain), &Silent)
                .expect("layers");
            let map = &layers.anatomy;
            let mut counts = [0; 7];
            for &value in map {
                counts[value as usize] += 1;
            }
            println!("seed {seed}: {counts:?}");
            assert!(counts[1] > counts[3] && counts[3] > 10_000 && counts[4] > 10_000);
            assert!(counts[5] > counts[6] && counts[6] > 500 && counts[2] == 0);
            let mut lumen = vec![0_u8; lattice.len()];
            draw_tubes(&lattice, &anatomy.bronchi.tubes.segments().collect::<Vec<_>>(), &mut lumen);
            let mut inside = 0;
            for (i, &value) in map.iter().enumerate() {
                let [ny, nx] = [lattice.shape[1], lattice.shape[2]];
                let depth = anatomy.chest.body_mm(lattice.centre(i / (ny * nx), i / nx % ny, i % nx));
                assert!(value == 0 || depth >= 0.0, "{value} at {depth} mm");
                assert!((value == 3) <= (layers.lungs[i] == 1) && (value == 4) <= (layers.lungs[i] == 2));
                assert!(value != 1 || layers.lungs[i] == 0);
                inside += usize::from(value == 6 && lumen[i] >= 128);
            }
            let share = inside as f32 / counts[6] as f32;
            let line: Vec<u8> = map.iter().map(|&v| u8::from(v == CENTRELINE)).collect();
            let largest = components(&line, lattice.shape, Connectivity::Corners).sizes.into_iter().max();
            println!("seed {seed}: {share:.3} of the centreline in lumens, {largest:?} in one piece");
            assert!(share >= 0.95 && largest > Some(counts[6] * 95 / 100));
        }
    }
}
