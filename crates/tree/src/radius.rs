//! Radii along a centreline.
//!
//! Where a vessel is many voxels wide, its radius is the distance to the background, less half a voxel, since that
//! distance ends in the middle of a voxel outside. Where it is few voxels wide that is too coarse: there the volume of
//! the voxels nearest to a piece of centreline, over its length, gives the area of the cross-section.

use std::f64::consts::PI;

use crate::lattice::Lattice;

/// Distances are believed from so many voxels on, volumes up to as many.
const WIDE_VOXELS: [f64; 2] = [2.5, 4.0];
/// Volumes are taken over so much of a vessel to each side, mm, at least.
const HALF_WINDOW_MM: f64 = 3.0;

/// What is known along one path.
pub(crate) struct Along<'a> {
    /// Voxels of the path.
    pub(crate) path: &'a [u32],
    /// Volume of the mask nearest to each, mm³.
    pub(crate) volumes_mm3: &'a [f64],
    /// Whether each end is a fork, whose surroundings belong to other vessels too.
    pub(crate) is_fork: [bool; 2],
}

/// Radius at each voxel of a path, mm.
pub(crate) fn radii_mm(along: &Along<'_>, depth_mm2: impl Fn(u32) -> f32, lattice: &Lattice) -> Vec<f64> {
    let Along { path, volumes_mm3, is_fork } = along;
    let step_mm = lattice.voxel_mm3().cbrt();
    let depths_mm: Vec<f64> = path.iter().map(|&voxel| f64::from(depth_mm2(voxel)).sqrt()).collect();
    let mut at_mm = vec![0.0];
    for pair in path.windows(2) {
        at_mm.push(at_mm[at_mm.len() - 1] + lattice.distance_mm(pair[0], pair[1]));
    }
    let last = path.len() - 1;
    let total_mm = at_mm[last];
    let share_mm = |k: usize| 0.5 * (at_mm[(k + 1).min(last)] - at_mm[k.saturating_sub(1)]);
    let own = |k: usize| {
        let margin = |end: usize| depths_mm[end] + if is_fork[usize::from(end > 0)] { 0.5 * step_mm } else { 0.0 };
        at_mm[k] >= margin(0) && total_mm - at_mm[k] >= margin(last)
    };
    let usable: Vec<bool> = (0..path.len()).map(own).collect();
    let radius = |k: usize| {
        let by_distance_mm = (depths_mm[k] - 0.5 * step_mm).max(0.25 * step_mm);
        let reach_mm = HALF_WINDOW_MM.max(depths_mm[k]);
        let near = (0..path.len()).filter(|&j| usable[j] && (at_mm[j] - at_mm[k]).abs() <= reach_mm);
        let (volume, length) = near.fold((0.0, 0.0), |(v, l), j| (v + volumes_mm3[j], l + share_mm(j)));
        if length < step_mm {
            return by_distance_mm;
        }
        let by_volume_mm = (volume / length / PI).sqrt().min(by_distance_mm + step_mm);
        let [few, many] = WIDE_VOXELS;
        let share = ((by_distance_mm / step_mm - few) / (many - few)).clamp(0.0, 1.0);
        by_volume_mm + share * (by_distance_mm - by_volume_mm)
    };
    (0..path.len()).map(radius).collect()
}
