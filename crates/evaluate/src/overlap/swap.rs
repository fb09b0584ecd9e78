//! Swap rate = |R ∩ P'| / |R ∩ (P ∪ P')|, where P is predicted as the target and P' as the class it may be taken for.
//!
//! Of the target's voxels that the prediction calls vessel at all, the share it gives the wrong class.

use crate::options::{Target, swappable};
use crate::overlap::confusion::Confusion;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit};

pub(crate) const SWAP_RATE: Score = Score {
    name: "swapRate",
    title: "Swapped voxels",
    group: Group::Overlap,
    unit: Unit::Share,
    better: Better::Lower,
    value: |row| Ok(row_swap_rate(row)),
};

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
fn row_swap_rate(row: &Row<'_>) -> Option<f64> {
    let targets = &row.case.options.targets;
    total_swap_rate(row.confusion, swappable(row.pair.target, targets).into_iter().map(|at| &targets[at]))
}
