//! Scoring a run on the cases it does not learn from, with the same walk and the same scores as in use.

use pulmoav_anatomy::lungs::{Lungs, RIGHT};
use pulmoav_evaluate::{Options, Restriction, Scores, evaluate};
use pulmoav_plan::VesselClass;
use pulmoav_segment::{Request, Segmenter};
use pulmoav_task::Monitor;
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::{Grid, Mask, Orientation, Volume, VolumeError};
use rayon::prelude::*;

use crate::case::{Annotated, Case, Part};
use crate::error::TrainError;
use crate::labels::NO_LOSS;
use crate::prepare::{Scan, read_ct};
use crate::reference::read_reference;
use crate::slices::{Scored, Slice, slices};
use crate::trainer::Trainer;

/// Scores of one case, and what it looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseScores {
    /// The case's name.
    pub name: String,
    /// By target; what was not annotated does not count.
    pub scores: Scores,
    /// An axial, a coronal and a sagittal one.
    pub slices: [Slice; 3],
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
    let files = case.label.as_ref().ok_or_else(|| TrainError::Internal(format!("{} has no label map", case.name)))?;
    let mut reference = read_reference(case, files, &ct.grid, oriented, monitor)?.labels;
    let known = annotated_part(&ct, &case.annotated, monitor).map_err(TrainError::volume(&case.image))?;
    let known = without_ignored(known, &mut reference);
    let shown = Scored { ct: &ct, reference: &reference.data, predicted: &found.labels.data, known: known.as_ref() };
    let slices = slices(&shown).map_err(TrainError::volume(&case.image))?;
    let restrictions = known.iter().map(Restriction::Within).collect();
    let options = Options { restrictions, ..Options::default() };
    let mut scores = evaluate(&found.labels, &reference, &options, monitor)
        .map_err(|source| TrainError::Evaluate { case: case.name.clone(), source: Box::new(source) })?
        .scores;
    scores.0.retain(|(target, _)| is_annotated(target, &case.annotated.classes));
    Ok(CaseScores { name: case.name.clone(), scores, slices })
}

/// Takes the voxels without loss out of the reference and out of what is scored.
fn without_ignored(known: Option<Mask>, reference: &mut Mask) -> Option<Mask> {
    if !reference.data.par_iter().any(|&label| label == NO_LOSS) {
        return known;
    }
    let grid = reference.grid;
    let mut known = known.unwrap_or_else(|| Mask { data: vec![1; grid.len()], grid });
    known.data.par_iter_mut().zip(&mut reference.data).filter(|(_, label)| **label == NO_LOSS).for_each(
        |(known, label)| {
            (*known, *label) = (0, 0);
        },
    );
    Some(known)
}

/// Whether a row of the scores speaks of annotated classes only.
fn is_annotated(target: &str, annotated: &[VesselClass]) -> bool {
    match (target.contains("artery"), target.contains("vein")) {
        (true, _) => annotated.contains(&VesselClass::Artery),
        (_, true) => annotated.contains(&VesselClass::Vein),
        _ => annotated.len() == 2,
    }
}

/// 1 where the reference knows the vessels, on the scan's own grid; `None` where it knows them everywhere. A scan
/// without lungs has no parts, so nothing of it is known.
fn annotated_part(ct: &Volume<f32>, annotated: &Annotated, monitor: &dyn Monitor) -> Result<Option<Mask>, VolumeError> {
    if Part::ALL.iter().all(|&part| annotated.knows(part)) {
        return Ok(None);
    }
    let orientation = Orientation::of(&ct.grid.affine)?;
    let grid = orientation.orient_grid(&ct.grid);
    let view = View::new(&ct.data, ct.grid.shape).reordered(orientation.source, orientation.flipped);
    let data = match pulmoav_anatomy::find(&view, &grid, monitor)?.lungs {
        Some(lungs) => known_voxels(&lungs, &grid, annotated),
        None => vec![0; grid.len()],
    };
    orientation.unorient(&Volume { data, grid }, &ct.grid).map(Some)
}

fn known_voxels(lungs: &Lungs, grid: &Grid, annotated: &Annotated) -> Vec<u8> {
    let whole = VoxelBox::whole(grid.shape);
    let (nearest, sides) = (lungs.nearest_in(&whole, grid.shape), lungs.sides_in(&whole, grid.shape));
    let region = lungs.vessel_region_in(&whole, grid.shape);
    let part = |voxel: usize| match (sides[voxel] == 0 && region[voxel] != 0, nearest[voxel]) {
        (true, _) => Part::Central,
        (false, RIGHT) => Part::Right,
        (false, _) => Part::Left,
    };
    (0..grid.len()).into_par_iter().map(|voxel| u8::from(annotated.knows(part(voxel)))).collect()
}
