//! Skeleton recall = |line(R) ∩ P| / |line(R)|, skeleton precision = |line(P) ∩ R| / |line(P)|, in voxels: the two
//! halves of clDice (Shit et al., CVPR 2021; the recall alone: Kirchhoff et al., ECCV 2024, arXiv 2404.03010).

use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};

pub(crate) const SKELETON_RECALL: Score = Score {
    name: "skeletonRecall",
    title: "Skeleton recall",
    group: Group::Skeleton,
    unit: Unit::Share,
    better: Better::Higher,
    value: |row| share_inside(row, Which::Reference),
};

pub(crate) const SKELETON_PRECISION: Score = Score {
    name: "skeletonPrecision",
    title: "Skeleton precision",
    value: |row| share_inside(row, Which::Pred),
    ..SKELETON_RECALL
};

/// The share of a centreline's voxels that lie in the other's vessels; `None` where it has none.
pub(crate) fn share_inside(row: &Row<'_>, which: Which) -> Value {
    let points = row.points(which)?;
    let inside = points.iter().filter(|point| point.inside).count();
    Ok((!points.is_empty()).then(|| inside as f64 / points.len() as f64))
}
