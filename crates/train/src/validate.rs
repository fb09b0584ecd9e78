//! Scoring a run on the cases it does not learn from, with the same walk and the same scores as in use.

use pulmoav_anatomy::lungs;
use pulmoav_evaluate::{Options, Restriction, Scores, evaluate};
use pulmoav_plan::{BodySide, VesselClass};
use pulmoav_segment::{Request, Segmenter};
use pulmoav_task::Monitor;
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::{Mask, Orientation, Volume, VolumeError};
use serde::Serialize;

use crate::case::{Annotated, Case};
use crate::error::TrainError;
use crate::prepare::{Scan, read_ct, read_reference, volume_error};
use crate::trainer::Trainer;

/// Scores of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseScores {
    /// The case's name.
    pub name: String,
    /// By target; what was not annotated does not count.
    pub scores: Scores,
}

impl Trainer {
    /// Segments and scores the first `count` validation cases with the moving average (EMA) of the weights.
    ///
    /// # Errors
    /// What reading, segmenting and scoring a case give; `CANCELLED`.
    pub fn validate(&self, count: usize, monitor: &dyn Monitor) -> Result<Vec<CaseScores>, TrainError> {
        let segmenter = Segmenter::new(self.plan.clone(), &mut self.mean_parameters()?)
            .map_err(|source| TrainError::Segment { case: "(any)".to_owned(), source })?;
        let cases = &self.validation[..count.min(self.validation.len())];
        cases.iter().map(|case| score(&segmenter, case, monitor)).collect()
    }
}

fn score(segmenter: &Segmenter, case: &Case, monitor: &dyn Monitor) -> Result<CaseScores, TrainError> {
    let Scan { ct, oriented, .. } = read_ct(&case.image, monitor)?;
    let found = segmenter
        .segment(&ct, &Request::default(), monitor)
        .map_err(|source| TrainError::Segment { case: case.name.clone(), source })?;
    let reference = read_reference(case, &ct.grid, oriented, monitor)?;
    let annotated = annotated_sides(&case.annotated);
    let sides = if annotated.len() == 1 { Some(nearest_lungs(&ct).map_err(volume_error(&case.image))?) } else { None };
    let restrictions = sides.iter().map(|sides| Restriction::Sides(sides, &annotated)).collect();
    let options = Options { restrictions, ..Options::default() };
    let mut scores = evaluate(&found.labels, &reference, &options, monitor)
        .map_err(|source| TrainError::Evaluate { case: case.name.clone(), source })?;
    scores.0.retain(|(target, _)| is_annotated(target, &case.annotated.classes));
    Ok(CaseScores { name: case.name.clone(), scores })
}

/// Whether a row of the scores speaks of annotated classes only.
fn is_annotated(target: &str, annotated: &[VesselClass]) -> bool {
    match (target.contains("artery"), target.contains("vein")) {
        (true, _) => annotated.contains(&VesselClass::Artery),
        (_, true) => annotated.contains(&VesselClass::Vein),
        _ => annotated.len() == 2,
    }
}

/// The annotated sides as lungs are numbered.
fn annotated_sides(annotated: &Annotated) -> Vec<u8> {
    let number = |side: &BodySide| match side {
        BodySide::Left => lungs::LEFT,
        BodySide::Right => lungs::RIGHT,
    };
    annotated.sides.iter().map(number).collect()
}

/// The nearer lung of each voxel, on the scan's own grid; 0 everywhere in a scan without lungs.
fn nearest_lungs(ct: &Volume<f32>) -> Result<Mask, VolumeError> {
    let orientation = Orientation::of(&ct.grid.affine)?;
    let grid = orientation.orient_grid(&ct.grid);
    let view = View::new(&ct.data, ct.grid.shape).reordered(orientation.source, orientation.flipped);
    let data = match pulmoav_anatomy::find(&view, &grid).lungs {
        Some(lungs) => lungs.nearest_in(&VoxelBox::whole(grid.shape), grid.shape),
        None => vec![0; grid.len()],
    };
    orientation.unorient(&Volume { data, grid }, &ct.grid)
}
