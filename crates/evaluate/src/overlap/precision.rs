//! Precision = |P ∩ R| / |P|.

use crate::confusion::Counts;

/// Share of the prediction that is right, 0 to 1; `None` when nothing was predicted.
pub fn precision(counts: &Counts) -> Option<f64> {
    (counts.pred > 0).then(|| counts.both as f64 / counts.pred as f64)
}
