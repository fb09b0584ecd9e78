//! Leakage = |P \ R| / |R| (Lo et al., IEEE Trans Med Imaging 2012, 31:2093, the EXACT'09 challenge of airways).

use crate::overlap::confusion::Counts;
use crate::score::{Better, Group, Score, Unit};

pub(crate) const LEAKAGE: Score = Score {
    name: "leakage",
    title: "Leakage",
    group: Group::Overlap,
    unit: Unit::Share,
    better: Better::Lower,
    value: |row| Ok(leakage(&row.counts)),
};

/// What was predicted outside the reference, as a share of the reference, 0 and more; `None` when the reference is
/// empty.
pub(crate) fn leakage(counts: &Counts) -> Option<f64> {
    (counts.reference > 0).then(|| (counts.pred - counts.both) as f64 / counts.reference as f64)
}
