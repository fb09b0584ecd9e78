//! Smoothing that does not shrink (Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995): steps
//! towards the mean of the neighbours, each followed by a slightly larger step back. What corners and thin vessels lose
//! nevertheless is given back by moving the whole surface outwards.

use crate::mesh::Mesh;

const TURNS: usize = 15;
/// Share of the way to the neighbours' mean; the pass band is 1 / [`FORWARD`] + 1 / [`BACK`] = 0.1.
const FORWARD: f64 = 0.5;
const BACK: f64 = -0.526;

/// Moves until the volume is met to a thousandth.
const MOVES: usize = 4;

/// The mesh with its steps of voxels smoothed away, enclosing `volume_mm3`.
#[must_use]
pub fn smooth(mesh: &Mesh, volume_mm3: f64) -> Mesh {
    let mut smoothed = fair(mesh);
    for _ in 0..MOVES {
        let outwards_mm = (volume_mm3 - smoothed.volume_mm3()) / smoothed.area_mm2().max(1e-9);
        let normals = smoothed.normals();
        for (corner, normal) in smoothed.corners.iter_mut().zip(normals) {
            for axis in 0..3 {
                corner[axis] += outwards_mm as f32 * normal[axis];
            }
        }
    }
    smoothed
}

fn fair(mesh: &Mesh) -> Mesh {
    let mut corners: Vec<[f64; 3]> = mesh.corners.iter().map(|corner| corner.map(f64::from)).collect();
    for share in [FORWARD, BACK].into_iter().cycle().take(2 * TURNS) {
        let mut sums = vec![([0f64; 3], 0u32); corners.len()];
        for &[a, b, c] in &mesh.triangles {
            // Both triangles of an edge add it, so each neighbour counts alike.
            for (from, to) in [(a, b), (b, c), (c, a), (b, a), (c, b), (a, c)] {
                let (sum, count) = &mut sums[from as usize];
                for axis in 0..3 {
                    sum[axis] += corners[to as usize][axis];
                }
                *count += 1;
            }
        }
        for (corner, (sum, count)) in corners.iter_mut().zip(sums) {
            for axis in 0..3 {
                corner[axis] += share * (sum[axis] / f64::from(count.max(1)) - corner[axis]);
            }
        }
    }
    let corners = corners.into_iter().map(|corner| corner.map(|value| value as f32)).collect();
    Mesh { corners, triangles: mesh.triangles.clone() }
}
