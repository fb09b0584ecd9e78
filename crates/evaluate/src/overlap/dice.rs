//! Dice = 2 |P ∩ R| / (|P| + |R|).

use crate::overlap::confusion::Counts;
use crate::score::{Better, Group, Score, Unit};

pub(crate) const DICE: Score = Score {
    name: "dice",
    title: "Dice",
    group: Group::Overlap,
    unit: Unit::Share,
    better: Better::Higher,
    value: |row| Ok(dice(&row.counts)),
};

/// Overlap of prediction and reference, 0 to 1; `None` when both are empty.
pub fn dice(counts: &Counts) -> Option<f64> {
    let total = counts.pred + counts.reference;
    (total > 0).then(|| 2.0 * counts.both as f64 / total as f64)
}
