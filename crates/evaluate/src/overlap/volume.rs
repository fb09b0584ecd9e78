//! Volume = voxels × the volume of one, which is that of the affine's cell, sheared or not.

use crate::score::{Better, Group, Score, Unit};

pub(crate) const PRED_ML: Score = Score {
    name: "predMl",
    title: "Volume predicted",
    group: Group::Overlap,
    unit: Unit::Ml,
    better: Better::Neither,
    value: |row| Ok(Some(row.counts.pred as f64 * row.grid().voxel_ml())),
};

pub(crate) const REF_ML: Score = Score {
    name: "refMl",
    title: "Volume of the reference",
    value: |row| Ok(Some(row.counts.reference as f64 * row.grid().voxel_ml())),
    ..PRED_ML
};
