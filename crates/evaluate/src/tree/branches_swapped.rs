//! Swap rate by branch: of the reference's branches that the prediction calls vessel somewhere, the share in which it
//! gives more voxels the wrong class than the right one.

use crate::options::swappable;
use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};
use crate::skeleton::line_points::line_points;

pub(crate) const SWAP_RATE_BRANCHES: Score = Score {
    name: "swapRateBranches",
    title: "Swapped branches",
    group: Group::Tree,
    unit: Unit::Share,
    better: Better::Lower,
    value: branches_swapped,
};

/// Over artery and vein together where the target is both; `None` where no branch was called vessel.
fn branches_swapped(row: &Row<'_>) -> Value {
    let (mut wrong, mut all) = (0_u32, 0_u32);
    for at in swappable(row.pair.target, &row.case.options.targets) {
        let pair = &row.case.pairs[at];
        let mut votes = vec![0_i32; pair.line(Which::Reference)?.points.len()];
        for point in line_points(row, pair, Which::Reference)? {
            votes[point.number] = i32::from(point.inside) - i32::from(point.swapped);
        }
        for branch in pair.branches()? {
            let cast = branch.0.iter().filter(|&&number| votes[number] != 0).count();
            let sum: i32 = branch.0.iter().map(|&number| votes[number]).sum();
            all += u32::from(cast > 0);
            wrong += u32::from(cast > 0 && sum < 0);
        }
    }
    Ok((all > 0).then(|| f64::from(wrong) / f64::from(all)))
}
