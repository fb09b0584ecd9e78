//! Intersection over union = |P ∩ R| / |P ∪ R|.

use crate::overlap::confusion::Counts;
use crate::score::{Better, Group, Score, Unit};

pub(crate) const IOU: Score = Score {
    name: "iou",
    title: "IoU",
    group: Group::Overlap,
    unit: Unit::Share,
    better: Better::Higher,
    value: |row| Ok(iou(&row.counts)),
};

/// Share of what either calls the target that both do, 0 to 1; `None` when both are empty.
pub fn iou(counts: &Counts) -> Option<f64> {
    let union = counts.pred + counts.reference - counts.both;
    (union > 0).then(|| counts.both as f64 / union as f64)
}
