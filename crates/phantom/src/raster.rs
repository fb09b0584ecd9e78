//! Tubes and ellipsoids into coverage: 0 for a voxel outside, 255 for one inside, the share in between.

use rayon::prelude::*;

use crate::chest::ellipsoid;
use crate::heart::Chamber;
use crate::lattice::Lattice;
use crate::point::{Point, at};
use crate::tubes::Segment;

/// Slices a block: fixed, so that threads never change the result.
const SLAB: usize = 8;

/// Sub-samples a voxel, `[z, y, x]`, and the sub-voxel's mean width.
#[derive(Clone, Copy)]
struct Sampling {
    counts: [usize; 3],
    width_mm: f32,
}

/// Draws capsules into a map of the lattice; a voxel keeps its largest coverage.
pub(crate) fn draw_tubes(lattice: &Lattice, segments: &[Segment], map: &mut [u8]) {
    let slabs = lattice.shape[0].div_ceil(SLAB);
    let mut buckets: Vec<Vec<u32>> = vec![vec![]; slabs];
    for (i, segment) in segments.iter().enumerate() {
        if let Some([low, high]) = span(lattice, segment).map(|s| s[0]) {
            for bucket in &mut buckets[low / SLAB..=high / SLAB] {
                bucket.push(i as u32);
            }
        }
    }
    map.par_chunks_mut(SLAB * lattice.slice_len()).enumerate().for_each(|(slab, voxels)| {
        for &i in &buckets[slab] {
            draw_capsule(lattice, &segments[i as usize], slab * SLAB, voxels);
        }
    });
}

/// Draws an ellipsoid with soft edges.
pub(crate) fn draw_chamber(lattice: &Lattice, chamber: &Chamber, map: &mut [u8]) {
    let width = lattice.spacing_mm.iter().sum::<f32>() / 3.0;
    map.par_chunks_mut(lattice.slice_len()).enumerate().for_each(|(z, slice)| {
        if (lattice.centre(z, 0, 0).z - chamber.centre.z).abs() > chamber.radii.z + width {
            return;
        }
        for y in 0..lattice.shape[1] {
            if (lattice.centre(z, y, 0).y - chamber.centre.y).abs() > chamber.radii.y + width {
                continue;
            }
            for x in 0..lattice.shape[2] {
                let d = ellipsoid(lattice.centre(z, y, x) - chamber.centre, chamber.radii);
                let covered = (soft(d, width) * 255.0) as u8;
                let voxel = &mut slice[y * lattice.shape[2] + x];
                *voxel = (*voxel).max(covered);
            }
        }
    });
}

/// Share inside of a cube of this width whose centre is `outside_mm` from a flat wall.
fn soft(outside_mm: f32, width_mm: f32) -> f32 {
    (0.5 - outside_mm / width_mm).clamp(0.0, 1.0)
}

/// First and last voxel a capsule can touch, by axis `[z, y, x]`.
fn span(lattice: &Lattice, s: &Segment) -> Option<[[usize; 2]; 3]> {
    let r = s.from_radius_mm.max(s.to_radius_mm);
    let axis = |a: f32, b: f32, origin: f32, spacing: f32, n: usize| {
        let low = ((a.min(b) - r - origin) / spacing - 0.5).floor().max(0.0);
        let high = ((a.max(b) + r - origin) / spacing + 0.5).ceil().min(n as f32 - 1.0);
        (low <= high).then_some([low as usize, high as usize])
    };
    let [sz, sy, sx] = lattice.spacing_mm;
    let [nz, ny, nx] = lattice.shape;
    Some([
        axis(s.from.z, s.to.z, lattice.origin.z, sz, nz)?,
        axis(s.from.y, s.to.y, lattice.origin.y, sy, ny)?,
        axis(s.from.x, s.to.x, lattice.origin.x, sx, nx)?,
    ])
}

/// Thin tubes need several samples a voxel, wide ones only where slices are thick.
fn sampling(lattice: &Lattice, radius_mm: f32) -> Sampling {
    let finest = (radius_mm * 0.5).clamp(0.4, 1.2);
    let counts = lattice.spacing_mm.map(|s| ((s / finest).round() as usize).clamp(1, 8));
    let width_mm = (0..3).map(|i| lattice.spacing_mm[i] / counts[i] as f32).sum::<f32>() / 3.0;
    Sampling { counts, width_mm }
}

fn draw_capsule(lattice: &Lattice, s: &Segment, first: usize, voxels: &mut [u8]) {
    let Some([[z0, z1], [y0, y1], [x0, x1]]) = span(lattice, s) else { return };
    let [ny, nx] = [lattice.shape[1], lattice.shape[2]];
    let last = first + voxels.len() / (ny * nx) - 1;
    let axis = s.to - s.from;
    let inverse = 1.0 / axis.dot(axis).max(1e-6);
    let outside = |p: Point| {
        let v = p - s.from;
        let t = (v.dot(axis) * inverse).clamp(0.0, 1.0);
        (v - axis * t).norm() - (s.from_radius_mm + (s.to_radius_mm - s.from_radius_mm) * t)
    };
    let radius = s.from_radius_mm.min(s.to_radius_mm);
    let sampling = sampling(lattice, radius);
    let half = lattice.spacing_mm.iter().map(|s| s * s).sum::<f32>().sqrt() * 0.5;
    // A soft edge swells a thin tube's section by width² / 12.
    let r2 = radius * radius;
    let thin = r2 / (r2 + sampling.width_mm * sampling.width_mm / 12.0);
    for z in z0.max(first)..=z1.min(last) {
        for y in y0..=y1 {
            let row = ((z - first) * ny + y) * nx;
            for x in x0..=x1 {
                let centre = lattice.centre(z, y, x);
                let d = outside(centre);
                if d > half {
                    continue;
                }
                let voxel = &mut voxels[row + x];
                if *voxel == 255 {
                    continue;
                }
                let covered = if d < -half { 1.0 } else { thin * mean_coverage(lattice, centre, sampling, &outside) };
                *voxel = (*voxel).max((covered * s.seen * 255.0) as u8);
            }
        }
    }
}

fn mean_coverage(lattice: &Lattice, centre: Point, s: Sampling, outside: &impl Fn(Point) -> f32) -> f32 {
    let [nz, ny, nx] = s.counts;
    let [sz, sy, sx] = lattice.spacing_mm;
    let shift = |i: usize, n: usize, spacing: f32| ((i as f32 + 0.5) / n as f32 - 0.5) * spacing;
    let mut sum = 0.0;
    for k in 0..nz {
        for j in 0..ny {
            for i in 0..nx {
                let p = centre + at(shift(i, nx, sx), shift(j, ny, sy), shift(k, nz, sz));
                sum += soft(outside(p), s.width_mm);
            }
        }
    }
    sum / (nz * ny * nx) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Volume drawn for tubes of several radii and directions against π r² l, over isotropic and thick voxels.
    #[test]
    fn drawn_tubes_have_their_volume() {
        for spacing_mm in [[0.8, 0.8, 0.8], [3.0, 0.8, 0.8]] {
            let shape = [(60.0 / spacing_mm[0]) as usize, 75, 75];
            let lattice = Lattice { shape, spacing_mm, origin: at(0.3, 0.2, 0.1) };
            for (radius, share) in [(0.45, 0.25), (0.8, 0.1), (2.0, 0.06), (5.0, 0.05)] {
                let (from, to) = (at(15.0, 12.0, 10.0), at(40.0, 45.0, 50.0));
                let segment = Segment { from, to, from_radius_mm: radius, to_radius_mm: radius, seen: 1.0 };
                let mut map = vec![0_u8; lattice.len()];
                draw_tubes(&lattice, &[segment], &mut map);
                let voxel = spacing_mm.iter().product::<f32>();
                let drawn = map.iter().map(|&v| f32::from(v)).sum::<f32>() / 255.0 * voxel;
                let caps = 4.0 / 3.0 * std::f32::consts::PI * radius.powi(3);
                let wanted = std::f32::consts::PI * radius * radius * (to - from).norm() + caps;
                assert!((drawn / wanted - 1.0).abs() < share, "{spacing_mm:?} r {radius}: {drawn} ml, {wanted} wanted");
            }
        }
    }
}
