//! Branches detected = branches of the reference of which at least 80 % of the centreline lie in the prediction / all
//! of its branches (Zhang et al., ATM'22, Med Image Anal 2023, 90:102957).

use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};

pub(crate) const BRANCHES_DETECTED: Score = Score {
    name: "branchesDetected",
    title: "Branches detected",
    group: Group::Tree,
    unit: Unit::Share,
    better: Better::Higher,
    value: branches_detected,
};

/// The share of a branch's voxels that makes it detected.
const SHARE: f64 = 0.8;

/// The share of branches with points that count; `None` where there is none.
fn branches_detected(row: &Row<'_>) -> Value {
    let points = row.points(Which::Reference)?;
    let mut inside = vec![None; row.pair.line(Which::Reference)?.points.len()];
    for point in points {
        inside[point.number] = Some(point.inside);
    }
    let (mut detected, mut all) = (0_u32, 0_u32);
    for branch in row.pair.branches()? {
        let counted: Vec<bool> = branch.0.iter().filter_map(|&number| inside[number]).collect();
        let found = counted.iter().filter(|inside| **inside).count();
        all += u32::from(!counted.is_empty());
        detected += u32::from(!counted.is_empty() && found as f64 >= SHARE * counted.len() as f64);
    }
    Ok((all > 0).then(|| f64::from(detected) / f64::from(all)))
}
