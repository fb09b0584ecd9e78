//! All metrics of one case, in the shape of the contract.

use pulmoav_task::Monitor;
use pulmoav_volume::Mask;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::centreline::Lines;
use crate::cl_dice::cl_dice;
use crate::confusion::Confusion;
use crate::dice::dice;
use crate::error::EvaluateError;
use crate::iou::iou;
use crate::options::Options;
use crate::precision::precision;
use crate::recall::recall;
use crate::row::Row;
use crate::swap::row_swap_rate;

type Formula = fn(&Row<'_>) -> Score;

/// Every score of a target by its name, in the order of the report: the one list.
const ALL: [(&str, Formula); 8] = [
    ("dice", |row| Score::Share(dice(&row.counts))),
    ("predVoxels", |row| Score::Count(row.counts.pred)),
    ("refVoxels", |row| Score::Count(row.counts.reference)),
    ("iou", |row| Score::Share(iou(&row.counts))),
    ("precision", |row| Score::Share(precision(&row.counts))),
    ("recall", |row| Score::Share(recall(&row.counts))),
    ("swapRate", |row| Score::Share(row_swap_rate(row))),
    ("clDice", |row| Score::Share(row.lines.as_ref().and_then(cl_dice))),
];

/// Scores by target, in the order of the options. In JSON an object with a key a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores(pub Vec<(String, TargetScores)>);

/// Scores of one target by name. In JSON an object with a key a score.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetScores(Vec<(&'static str, Score)>);

/// The value of one score.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Score {
    /// Voxels.
    Count(u64),
    /// 0 to 1; `None` (`null`) where the metric is not defined.
    Share(Option<f64>),
}

/// Scores a label map against a reference on the same grid.
///
/// # Shapes
/// `pred`, `reference` and every mask of the options: `[z, y, x]`, one grid.
///
/// # Errors
/// `ERR_GEOMETRY` when grids differ or a label is no target's; `CANCELLED`.
pub fn evaluate(
    pred: &Mask,
    reference: &Mask,
    options: &Options<'_>,
    monitor: &dyn Monitor,
) -> Result<Scores, EvaluateError> {
    let confusion = Confusion::count(pred, reference, options, monitor)?;
    let mut scores = Vec::new();
    for target in &options.targets {
        let counts = confusion.counts(&target.labels);
        if target.always || counts.reference > 0 {
            let lines =
                options.centrelines.then(|| Lines::count(pred, reference, target, options, monitor)).transpose()?;
            let row = Row { target, counts, lines, confusion: &confusion, targets: &options.targets };
            scores.push((target.name.clone(), TargetScores(ALL.map(|(name, score)| (name, score(&row))).into())));
        }
    }
    Ok(Scores(scores))
}

impl Scores {
    /// The scores of the target of that name.
    pub fn get(&self, name: &str) -> Option<&TargetScores> {
        self.0.iter().find(|(target, _)| target == name).map(|(_, scores)| scores)
    }
}

impl TargetScores {
    /// The score of that name; a count too is a number.
    pub fn get(&self, name: &str) -> Option<f64> {
        match self.0.iter().find(|(score, _)| *score == name)?.1 {
            Score::Count(count) => Some(count as f64),
            Score::Share(share) => share,
        }
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_map(&self.0, serializer)
    }
}

impl Serialize for TargetScores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_map(&self.0, serializer)
    }
}

fn serialize_map<S: Serializer>(pairs: &[(impl Serialize, impl Serialize)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}
