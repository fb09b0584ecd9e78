//! Recall = |P ∩ R| / |R|.

use crate::confusion::Counts;

/// Share of the reference that was found, 0 to 1; `None` when the reference is empty.
pub fn recall(counts: &Counts) -> Option<f64> {
    (counts.reference > 0).then(|| counts.both as f64 / counts.reference as f64)
}
