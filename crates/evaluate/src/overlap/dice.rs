//! Dice = 2 |P ∩ R| / (|P| + |R|).

use crate::confusion::Counts;

/// Overlap of prediction and reference, 0 to 1; `None` when both are empty.
pub fn dice(counts: &Counts) -> Option<f64> {
    let total = counts.pred + counts.reference;
    (total > 0).then(|| 2.0 * counts.both as f64 / total as f64)
}
