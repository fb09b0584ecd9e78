//! HD95 and HD100 between border voxels: of each mask's, the 95th percentile of the distances to the other's, between
//! ranks linearly, or the greatest; the greater of the two (MONAI, `compute_hausdorff_distance`; MetricsReloaded,
//! `measured_hausdorff_distance_perc`).

use crate::score::{Better, Group, Score, Unit};
use crate::surface::profile::Element;

pub(crate) const HD95_VOXELS: Score = Score {
    name: "hd95Voxels",
    title: "HD95 of border voxels",
    group: Group::Surface,
    unit: Unit::Mm,
    better: Better::Lower,
    value: |row| Ok(row.borders()?.greatest(|side| percentile(side, 0.95))),
};

pub(crate) const HD100_VOXELS: Score = Score {
    name: "hd100Voxels",
    title: "HD100 of border voxels",
    value: |row| Ok(row.borders()?.greatest(|side| percentile(side, 1.0))),
    ..HD95_VOXELS
};

/// The percentile of sorted distances, which are not none.
fn percentile(side: &[Element], share: f64) -> f64 {
    let rank = share * (side.len() - 1) as f64;
    let (low, high) = (side[rank.floor() as usize].distance_mm, side[rank.ceil() as usize].distance_mm);
    low + (high - low) * rank.fract()
}
