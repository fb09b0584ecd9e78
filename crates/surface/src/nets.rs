//! The surface between voxels, by surface nets (Gibson, MICCAI 1998): a corner in every cube of eight voxels that are not
//! all alike, at the mean of its edges' crossings, and a square across every pair of neighbours that differ.

use pulmoav_task::{Cancelled, Monitor};
use pulmoav_volume::Grid;
use pulmoav_volume::crop::VoxelBox;

use crate::mesh::Mesh;

/// No corner in this cube.
const NONE: u32 = u32::MAX;
/// Edges of a cube, by the corners they join; bit 0 of a corner is x, bit 1 y, bit 2 z.
const EDGES: [(usize, usize); 12] =
    [(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (0, 4), (1, 5), (2, 6), (3, 7)];

/// The surface around all voxels of one value; what touches the array's border is closed there.
///
/// # Shapes
/// `labels`: `[z, y, x]` of `grid`.
///
/// # Errors
/// [`Cancelled`], asked between slices.
pub fn surface(labels: &[u8], grid: &Grid, value: u8, monitor: &dyn Monitor) -> Result<Mesh, Cancelled> {
    let mut mesh = Mesh::default();
    let Some(part) = VoxelBox::around(labels, grid.shape, |label| label == value) else { return Ok(mesh) };
    let [_, height, width] = grid.shape;
    // Cube (z, y, x) has the voxels from (low − 1 + place) on, so the outermost ones lie beyond the box.
    let [depth, rows, columns] = part.shape().map(|size| size + 1);
    let inside = |[z, y, x]: [usize; 3]| {
        let voxel = [z + part.low[0], y + part.low[1], x + part.low[2]];
        let is_there = [0, 1, 2].iter().all(|&axis| voxel[axis] >= 1 && voxel[axis] <= grid.shape[axis]);
        is_there && labels[((voxel[0] - 1) * height + voxel[1] - 1) * width + voxel[2] - 1] == value
    };
    let place = |[z, y, x]: [f64; 3]| {
        let at = [x + part.low[2] as f64, y + part.low[1] as f64, z + part.low[0] as f64];
        let row = |row: &[f64; 4]| (0..3).map(|axis| row[axis] * (at[axis] - 1.0)).sum::<f64>() + row[3];
        [0, 1, 2].map(|axis| row(&grid.affine.0[axis]) as f32)
    };
    // In a mirrored frame what turns left turns right.
    let is_mirrored = grid.affine.determinant() < 0.0;
    let mut layers = [vec![NONE; rows * columns], vec![NONE; rows * columns]];
    for z in 0..depth {
        if monitor.cancelled() {
            return Err(Cancelled);
        }
        layers.swap(0, 1);
        for y in 0..rows {
            for x in 0..columns {
                let is_in: [bool; 8] =
                    std::array::from_fn(|corner| inside([z + (corner >> 2), y + (corner >> 1 & 1), x + (corner & 1)]));
                let here = y * columns + x;
                if is_in.iter().all(|&inside| inside == is_in[0]) {
                    layers[1][here] = NONE;
                    continue;
                }
                layers[1][here] = mesh.corners.len() as u32;
                let offset = centre(is_in);
                mesh.corners.push(place([0, 1, 2].map(|axis| [z, y, x][axis] as f64 + offset[axis])));
                let mut square = |corners: [u32; 4], is_towards: bool| {
                    let [a, b, c, d] = if is_towards == is_mirrored {
                        [corners[0], corners[3], corners[2], corners[1]]
                    } else {
                        corners
                    };
                    mesh.triangles.extend([[a, b, c], [a, c, d]]);
                };
                let [below, now] = &layers;
                // Across the edges that leave the cube's first voxel: the four cubes around each have been seen.
                if y > 0 && z > 0 && is_in[0] != is_in[1] {
                    square([now[here], now[here - columns], below[here - columns], below[here]], is_in[0]);
                }
                if x > 0 && z > 0 && is_in[0] != is_in[2] {
                    square([now[here], below[here], below[here - 1], now[here - 1]], is_in[0]);
                }
                if x > 0 && y > 0 && is_in[0] != is_in[4] {
                    square([now[here], now[here - 1], now[here - columns - 1], now[here - columns]], is_in[0]);
                }
            }
        }
        monitor.report("surface", z as u64 + 1, depth as u64);
    }
    Ok(mesh)
}

/// The mean of the middles of a cube's edges that are crossed, `[z, y, x]` from its first voxel.
fn centre(is_in: [bool; 8]) -> [f64; 3] {
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for (a, b) in EDGES {
        if is_in[a] != is_in[b] {
            for (axis, shift) in [(0, 2), (1, 1), (2, 0)] {
                sum[axis] += f64::midpoint((a >> shift & 1) as f64, (b >> shift & 1) as f64);
            }
            count += 1.0;
        }
    }
    sum.map(|value| value / count)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use pulmoav_task::Silent;
    use pulmoav_volume::Affine;

    use super::*;
    use crate::smooth;

    /// A ball of 12 mm and a bar that touches the border, on anisotropic voxels, mirrored or not.
    fn ball(is_mirrored: bool) -> (Vec<u8>, Grid) {
        let (shape, spacing_mm) = ([20, 44, 50], [1.5, 0.8, 0.7]);
        let mut affine = Affine::from_spacing(spacing_mm);
        if is_mirrored {
            for row in &mut affine.0 {
                row[0] = -row[0];
            }
        }
        let grid = Grid { shape, spacing_mm, affine };
        let labels = (0..grid.len()).map(|index| {
            let place = [index / 2200, index / 50 % 44, index % 50];
            let mm = [0, 1, 2].map(|axis| (place[axis] as f64 + 0.5) * spacing_mm[axis]);
            let from = (mm[0] - 15.0).hypot(mm[1] - 17.6).hypot(mm[2] - 17.5);
            u8::from(from < 12.0) + 2 * u8::from(place[0] < 3 && place[1] < 9)
        });
        (labels.collect(), grid)
    }

    fn count(labels: &[u8], value: u8) -> f64 {
        labels.iter().map(|&label| f64::from(u8::from(label == value))).sum()
    }

    #[test]
    fn surfaces_are_closed_and_enclose_their_voxels() {
        for is_mirrored in [false, true] {
            let (labels, grid) = ball(is_mirrored);
            for value in [1, 2] {
                let mesh = surface(&labels, &grid, value, &Silent).expect("nobody cancels");
                let voxels = count(&labels, value);
                let expected = voxels * 1.5 * 0.8 * 0.7;
                let found = mesh.volume_mm3();
                // Nets cut corners.
                assert!((found / expected - 1.0).abs() < 0.05, "{found} mm³, expected {expected}");
                let found = smooth(&mesh, expected).volume_mm3();
                assert!((found / expected - 1.0).abs() < 0.002, "smoothed {found} mm³, expected {expected}");
                let mut edges: HashMap<(u32, u32), i32> = HashMap::new();
                for &[a, b, c] in &mesh.triangles {
                    for (from, to) in [(a, b), (b, c), (c, a)] {
                        *edges.entry((from.min(to), from.max(to))).or_default() += if from < to { 1 } else { -1 };
                    }
                }
                assert!(edges.values().all(|&balance| balance == 0), "an edge with one side only");
            }
        }
    }

    #[test]
    fn smoothing_takes_steps_away() {
        let (labels, grid) = ball(false);
        let mesh = surface(&labels, &grid, 1, &Silent).expect("nobody cancels");
        let roughness = |mesh: &Mesh| {
            let away = mesh.corners.iter().map(|&[x, y, z]| {
                // Voxel (0, 0, 0) has its centre at the origin.
                let mm = [f64::from(x) + 0.35, f64::from(y) + 0.4, f64::from(z) + 0.75];
                (mm[0] - 17.5).hypot(mm[1] - 17.6).hypot(mm[2] - 15.0) - 12.0
            });
            (away.map(|mm| mm * mm).sum::<f64>() / mesh.corners.len() as f64).sqrt()
        };
        let volume_mm3 = count(&labels, 1) * 1.5 * 0.8 * 0.7;
        let (before, after) = (roughness(&mesh), roughness(&smooth(&mesh, volume_mm3)));
        assert!(after < 0.15 && after < 0.7 * before, "{before} mm, then {after}");
    }

    #[test]
    fn nothing_has_no_surface() {
        let grid = Grid { shape: [2, 2, 2], spacing_mm: [1.0; 3], affine: Affine::IDENTITY };
        assert_eq!(surface(&[0; 8], &grid, 1, &Silent).expect("nobody cancels"), Mesh::default());
    }
}
