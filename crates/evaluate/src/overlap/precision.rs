//! Precision = |P ∩ R| / |P|.

use crate::overlap::confusion::Counts;
use crate::score::{Better, Group, Score, Unit};

pub(crate) const PRECISION: Score = Score {
    name: "precision",
    title: "Precision",
    group: Group::Overlap,
    unit: Unit::Share,
    better: Better::Higher,
    value: |row| Ok(precision(&row.counts)),
};

/// Share of the prediction that is right, 0 to 1; `None` when nothing was predicted.
pub fn precision(counts: &Counts) -> Option<f64> {
    (counts.pred > 0).then(|| counts.both as f64 / counts.pred as f64)
}
