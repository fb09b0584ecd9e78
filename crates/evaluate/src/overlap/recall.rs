//! Recall = |P ∩ R| / |R|.

use crate::overlap::confusion::Counts;
use crate::score::{Better, Group, Score, Unit};

pub(crate) const RECALL: Score = Score {
    name: "recall",
    title: "Recall",
    group: Group::Overlap,
    unit: Unit::Share,
    better: Better::Higher,
    value: |row| Ok(recall(&row.counts)),
};

/// Share of the reference that was found, 0 to 1; `None` when the reference is empty.
pub fn recall(counts: &Counts) -> Option<f64> {
    (counts.reference > 0).then(|| counts.both as f64 / counts.reference as f64)
}
