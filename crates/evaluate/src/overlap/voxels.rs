//! How many voxels there are.

use crate::score::{Better, Group, Score, Unit};

pub(crate) const PRED_VOXELS: Score = Score {
    name: "predVoxels",
    title: "Voxels predicted",
    group: Group::Overlap,
    unit: Unit::Voxels,
    better: Better::Neither,
    value: |row| Ok(Some(row.counts.pred as f64)),
};

pub(crate) const REF_VOXELS: Score = Score {
    name: "refVoxels",
    title: "Voxels of the reference",
    value: |row| Ok(Some(row.counts.reference as f64)),
    ..PRED_VOXELS
};
