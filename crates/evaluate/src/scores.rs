//! All scores of one case, in the shape of the contract.

use pulmoav_task::Monitor;
use pulmoav_volume::Mask;
use pulmoav_volume::crop::VoxelBox;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::EvaluateError;
use crate::list::SCORES;
use crate::options::{Options, Restriction, Target};
use crate::overlap::confusion::{Confusion, unknown};
use crate::pair::Maps;
use crate::place::same_grid;
use crate::row::{Case, Row};
use crate::rules::{Rule, rules};

/// What a case comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Its scores.
    pub scores: Scores,
    /// What they go by.
    pub rules: Vec<Rule>,
    /// Voxels of the grid that count: those that the restrictions let and whose reference is not ignored.
    pub counted_voxels: u64,
}

/// Scores by target, in the order of the options. In JSON an object with a key a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores(pub Vec<(String, TargetScores)>);

/// Scores of one target by name; `None` (`null`) where one is not defined. In JSON an object with a key a score.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetScores(pub Vec<(&'static str, Option<f64>)>);

/// Parts of the body that get rows of their own where lungs are known, with their values in the map of lungs.
const PARTS: [(&str, &[u8]); 3] =
    [("in the left lung", &[1]), ("in the right lung", &[2]), ("outside the lungs", &[0])];

/// Scores a label map against a reference on the same grid.
///
/// # Shapes
/// `pred`, `reference` and every mask of the options: `[z, y, x]`, one grid.
///
/// # Errors
/// `ERR_GEOMETRY` when grids differ, a label of the reference is no target's, or none of the prediction's is;
/// `CANCELLED`.
pub fn evaluate(
    pred: &Mask,
    reference: &Mask,
    options: &Options<'_>,
    monitor: &dyn Monitor,
) -> Result<Evaluation, EvaluateError> {
    let confusion = Confusion::count(pred, reference, options, monitor)?;
    let is_target = |label: &u8| options.targets.iter().any(|target| target.labels.contains(label));
    if let Some(&label) = confusion.others().first().filter(|_| !pred.data.iter().any(is_target)) {
        return Err(unknown("the prediction", label, options));
    }
    let nothing = VoxelBox { low: [0; 3], high: [0; 3] };
    let maps = Maps { pred, reference, part: confusion.part().unwrap_or(nothing), monitor };
    let case = Case::new(options, maps);
    let mut found = Found { rows: Vec::new(), counts: Vec::new() };
    found.add(&case, options, &confusion, |target, counted| {
        (target.always || counted > 0).then(|| target.name.clone())
    })?;
    if let Some(lungs) = options.lungs {
        same_grid("the map of lungs", &lungs.grid, &reference.grid)?;
        for (words, values) in PARTS {
            let mut restricted = options.clone();
            restricted.restrictions.push(Restriction::Sides(lungs, values));
            let confusion = Confusion::count(pred, reference, &restricted, monitor)?;
            let named = |target: &Target, _| target.always.then(|| format!("{} {words}", target.name));
            found.add(&case, &restricted, &confusion, named)?;
        }
    }
    let rules = rules(&case, &found.counts, confusion.others())?;
    Ok(Evaluation { scores: Scores(found.rows), rules, counted_voxels: options.counted_voxels(reference) })
}

/// The rows so far.
struct Found {
    rows: Vec<(String, TargetScores)>,
    /// Of each row, its name, the voxels predicted and those of the reference.
    counts: Vec<(String, u64, u64)>,
}

impl Found {
    /// Adds a row for every target that gets a name.
    fn add(
        &mut self,
        case: &Case<'_>,
        options: &Options<'_>,
        confusion: &Confusion,
        named: impl Fn(&Target, u64) -> Option<String>,
    ) -> Result<(), EvaluateError> {
        let monitor = case.maps.monitor;
        for (done, pair) in case.pairs.iter().enumerate() {
            let row = Row::new(case, pair, options, confusion);
            let Some(name) = named(pair.target, row.counts.reference) else { continue };
            monitor.report("scores", done as u64, case.pairs.len() as u64);
            let mut scores = Vec::new();
            for score in SCORES.iter().filter(|score| options.asks_for(score)) {
                monitor.proceed()?;
                scores.push((score.name, (score.value)(&row)?));
            }
            self.counts.push((name.clone(), row.counts.pred, row.counts.reference));
            self.rows.push((name, TargetScores(scores)));
        }
        Ok(())
    }
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
        self.0.iter().find(|(score, _)| *score == name)?.1
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
