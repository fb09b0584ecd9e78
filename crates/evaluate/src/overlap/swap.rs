//! Swap rate = |R ∩ P'| / |R ∩ (P ∪ P')|, where P is predicted as the target and P' as the class it may be taken for.
//!
//! Of the target's voxels that the prediction calls vessel at all, the share it gives the wrong class.

use crate::confusion::Confusion;
use crate::options::Target;
use crate::row::Row;

/// Swap rate of one target, 0 to 1; `None` when none of its voxels was called vessel, or nothing can be swapped.
pub fn swap_rate(confusion: &Confusion, target: &Target) -> Option<f64> {
    total_swap_rate(confusion, [target])
}

/// Swap rate over the voxels of several targets together.
pub fn total_swap_rate<'a>(confusion: &Confusion, targets: impl IntoIterator<Item = &'a Target>) -> Option<f64> {
    let (mut kept, mut swapped) = (0, 0);
    for target in targets.into_iter().filter(|target| !target.swapped.is_empty()) {
        let (right, wrong) = confusion.kept_and_swapped(target);
        kept += right;
        swapped += wrong;
    }
    (kept + swapped > 0).then(|| swapped as f64 / (kept + swapped) as f64)
}

/// Swap rate of a row: of its target, or, where that one cannot be swapped, over the targets inside it together.
pub(crate) fn row_swap_rate(row: &Row<'_>) -> Option<f64> {
    if row.target.swapped.is_empty() {
        total_swap_rate(row.confusion, parts(row.target, row.targets))
    } else {
        swap_rate(row.confusion, row.target)
    }
}

/// The widest targets inside `target` that can be swapped, so that no voxel is counted twice.
fn parts<'a>(target: &'a Target, all: &'a [Target]) -> impl Iterator<Item = &'a Target> {
    let inside =
        |part: &Target, whole: &Target| part != whole && part.labels.iter().all(|label| whole.labels.contains(label));
    all.iter().filter(move |part| {
        let contained = |other: &Target| !other.swapped.is_empty() && inside(part, other) && inside(other, target);
        !part.swapped.is_empty() && inside(part, target) && !all.iter().any(contained)
    })
}
