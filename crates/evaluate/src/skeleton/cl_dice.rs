//! clDice = 2 T S / (T + S), with T = |line(P) ∩ R| / |line(P)| and S = |line(R) ∩ P| / |line(R)| (Shit et al., CVPR
//! 2021, arXiv 2003.07311).

use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};
use crate::skeleton::line_recall::share_inside;

pub(crate) const CL_DICE: Score = Score {
    name: "clDice",
    title: "clDice",
    group: Group::Skeleton,
    unit: Unit::Share,
    better: Better::Higher,
    value: cl_dice,
};

/// Overlap of centrelines and vessels, 0 to 1; `None` when both are empty.
fn cl_dice(row: &Row<'_>) -> Value {
    let (precision, recall) = (share_inside(row, Which::Pred)?, share_inside(row, Which::Reference)?);
    if precision.is_none() && recall.is_none() {
        return Ok(None);
    }
    let (precision, recall) = (precision.unwrap_or(0.0), recall.unwrap_or(0.0));
    let sum = precision + recall;
    Ok(Some(if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum }))
}
