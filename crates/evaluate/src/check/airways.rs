//! `airways` = artery share of the centreline in the lungs within 3 mm of an airway − that farther than 20 mm from any.
//!
//! Arteries run with bronchi, veins between them (docs/method.md), so arteries are more along the airways than far from
//! them. Distances are from the vessel's surface to the lumen, and a bronchus wall is about 1 mm thick.

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;

/// Along the airways, wall included, and far from them, mm.
const NEAR_MM: f64 = 4.0;
const FAR_MM: f64 = 20.0;
/// Fewer points than these say nothing.
const LEAST: usize = 100;

pub(super) const AIRWAYS: Figure = Figure {
    name: "airways",
    title: "Artery share along the airways less that far from them",
    unit: "",
    kind: Kind::FollowsErrors,
    limits: Limits { green: [0.1, 1.0], yellow: [0.0, 1.0] },
    source: "phantoms (docs/checking.md)",
    places: "",
    value: airways,
};

fn airways(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let points = seen.vessels.branches.iter().flat_map(|branch| &branch.points);
    let in_lungs = points.map(|point| (seen.voxel(point.mm), point.radius_mm));
    let in_lungs = in_lungs.filter(|(voxel, _)| (1..=2).contains(&seen.region(seen.index(*voxel))));
    let (voxels, radii_mm): (Vec<[usize; 3]>, Vec<f64>) = in_lungs.unzip();
    let Some(distances_mm) = seen.to_airways_mm(&voxels, FAR_MM + 10.0) else { return (None, vec![]) };
    let mut counts = [[0_usize; 3]; 2];
    for ((&voxel, radius_mm), distance_mm) in voxels.iter().zip(radii_mm).zip(distances_mm) {
        let gap_mm = distance_mm - radius_mm;
        let class = usize::from(seen.classes[seen.index(voxel)]);
        if gap_mm <= NEAR_MM {
            counts[0][class] += 1;
        } else if gap_mm > FAR_MM {
            counts[1][class] += 1;
        }
    }
    let share = |[_, arteries, veins]: [usize; 3]| {
        (arteries + veins >= LEAST).then(|| arteries as f64 / (arteries + veins) as f64)
    };
    let difference = share(counts[0]).zip(share(counts[1])).map(|(near, far)| near - far);
    (difference, vec![])
}
