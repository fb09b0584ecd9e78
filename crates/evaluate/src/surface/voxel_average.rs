//! ASSD between border voxels: the mean distance of both masks' border voxels to the other's (MONAI,
//! `compute_average_surface_distance` with `symmetric`; MetricsReloaded, `measured_average_distance`).

use crate::score::{Better, Group, Score, Unit};

pub(crate) const ASSD_VOXELS: Score = Score {
    name: "assdVoxels",
    title: "ASSD of border voxels",
    group: Group::Surface,
    unit: Unit::Mm,
    better: Better::Lower,
    value: |row| Ok(row.borders()?.mean()),
};
