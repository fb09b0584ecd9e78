//! Swap rate by length: of the reference's centreline that the prediction calls vessel at all, the share of the length
//! that it gives the wrong class.

use crate::options::swappable;
use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};
use crate::skeleton::line_points::{LinePoint, length_share, line_points};

pub(crate) const SWAP_RATE_LENGTH: Score = Score {
    name: "swapRateLength",
    title: "Swapped length",
    group: Group::Skeleton,
    unit: Unit::Share,
    better: Better::Lower,
    value: |row| swapped_length(row, |_, _| true),
};

/// The swap rate by length over the points that `takes`, which is given the radius in mm too; over artery and vein
/// together where the target is both. `None` where none of the points was called vessel.
pub(crate) fn swapped_length(row: &Row<'_>, takes: impl Fn(&LinePoint, f64) -> bool) -> Value {
    let mut taken = Vec::new();
    for at in swappable(row.pair.target, &row.case.options.targets) {
        let pair = &row.case.pairs[at];
        let radii_mm = pair.radii_mm(Which::Reference)?;
        let points = line_points(row, pair, Which::Reference)?;
        taken.extend(
            points.into_iter().filter(|point| (point.inside || point.swapped) && takes(point, radii_mm[point.number])),
        );
    }
    Ok(length_share(taken.iter(), |point| point.swapped))
}
