//! One case, voxel by voxel: what is wrong with it, and the figures that a plan is made of.

use std::path::Path;

use pulmoav_anatomy::Anatomy;
use pulmoav_anatomy::lungs::{LEFT, RIGHT};
use pulmoav_plan::{BodySide, VesselClass};
use pulmoav_task::Monitor;
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::{Orientation, Volume};
use rayon::prelude::*;

use crate::case::{Annotated, Case, Folder};
use crate::code::{ARTERY, VEIN, label};
use crate::error::TrainError;
use crate::finding::{Finding, Findings};
use crate::fingerprint::{CaseFacts, name};
use crate::prepare::{Scan, read_ct};
use crate::reference::{LabelMap, merged};

/// Of the labelled voxels in the lungs, so many may lie on a side that is said not to be annotated.
const MOST_ON_OTHER_SIDE: f64 = 0.05;
/// A side with a smaller share of the labelled voxels in the lungs is hardly annotated.
const LEAST_ON_A_SIDE: f64 = 0.02;
/// Of the labelled voxels, so many may lie outside the body.
const MOST_OUTSIDE: f64 = 0.01;
/// Fewer labelled voxels in the lungs say nothing of sides.
const FEW_VOXELS: usize = 200;

/// What was found in a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What is wrong, or worth knowing.
    pub findings: Vec<Finding>,
    /// Its figures; `None` where its CT or its label maps could not be read.
    pub facts: Option<CaseFacts>,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asked {
    /// Whether body and lungs are looked for, which sides and places are judged by.
    pub anatomy: bool,
    /// Voxel edges at which the best Dice is wanted, mm.
    pub ceilings_mm: Vec<f64>,
}

/// Looks at every voxel of a case whose files are all there.
///
/// # Errors
/// `CANCELLED`, and what makes a data set unreadable; what is wrong with the case is a finding.
pub fn check(dir: &Path, case: &str, asked: &Asked, monitor: &dyn Monitor) -> Result<Checked, TrainError> {
    let case = Folder::read(dir)?.case(case)?;
    let mut findings = Findings::of_case(&case.name);
    step(monitor, 0)?;
    let scan = match read_ct(&case.image, monitor) {
        Ok(scan) => scan,
        Err(TrainError::Cancelled) => return Err(TrainError::Cancelled),
        Err(error) => {
            findings.error("UNREADABLE", error.to_string(), "mend or replace the image");
            return Ok(Checked { findings: findings.list, facts: None });
        }
    };
    judge_scan(&scan, &case.annotated, &mut findings);
    step(monitor, 1)?;
    let Some(reference) = read_labels(&case, &scan, &mut findings, monitor)? else {
        return Ok(Checked { findings: findings.list, facts: None });
    };
    let Ok(orientation) = Orientation::of(&scan.ct.grid.affine) else {
        findings.error("GEOMETRY", "the header's axes are not three directions", "set a valid sform or qform");
        return Ok(Checked { findings: findings.list, facts: None });
    };
    if case.label.is_some() {
        judge_amounts(&reference, &case.annotated, &mut findings);
    }
    step(monitor, 2)?;
    if asked.anatomy {
        let canonical = orientation.orient_grid(&scan.ct.grid);
        let hu = View::new(&scan.ct.data, scan.ct.grid.shape).reordered(orientation.source, orientation.flipped);
        let anatomy = pulmoav_anatomy::find(&hu, &canonical, monitor)?;
        judge_anatomy(&anatomy, &case.annotated, &mut findings);
        let reference = orientation.orient(&reference);
        judge_body(&anatomy, &reference, &mut findings);
        // Sides of a scan that does not say which way the patient lies are a guess.
        if scan.oriented {
            judge_sides(&anatomy, &reference, &case.annotated, &mut findings);
        }
    }
    step(monitor, 3)?;
    let facts = CaseFacts::measure(&scan.ct, &reference, &orientation, &asked.ceilings_mm);
    step(monitor, 4)?;
    Ok(Checked { findings: findings.list, facts: Some(facts) })
}

fn step(monitor: &dyn Monitor, done: u64) -> Result<(), TrainError> {
    monitor.report("check", done, 4);
    Ok(monitor.proceed()?)
}

/// What the header and the range of the values say.
fn judge_scan(scan: &Scan, annotated: &Annotated, findings: &mut Findings) {
    for warning in &scan.warnings {
        let message = warning.message.clone();
        match warning.code {
            "NOT_HU" => findings.error("NOT_HU", message, "apply the rescale slope and intercept"),
            "NO_ORIENTATION" if annotated.sides.len() == 1 => {
                findings.error("NO_ORIENTATION", message, "set the header's orientation: one side is annotated");
            }
            code => findings.warning(code, message, "check the header"),
        }
    }
}

/// A case's reference on its scan's grid, all background for an unlabelled one; `None` where it cannot be used.
fn read_labels(
    case: &Case,
    scan: &Scan,
    findings: &mut Findings,
    monitor: &dyn Monitor,
) -> Result<Option<Volume<u8>>, TrainError> {
    let grid = scan.ct.grid;
    let mut parts = Vec::new();
    let files = case.label.iter().flat_map(|files| files.each());
    for (class, path) in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let map = match LabelMap::read(path, &grid, scan.oriented, monitor) {
            Ok(map) => map,
            Err(TrainError::Cancelled) => return Err(TrainError::Cancelled),
            Err(error) => {
                findings.error("UNREADABLE", error.to_string(), "mend or replace the label map");
                return Ok(None);
            }
        };
        if !map.grid.is_at(&grid) {
            let message = if map.grid.shape == grid.shape {
                format!("{file} lies up to {:.1} mm beside its scan", map.grid.corner_distance_mm(&grid))
            } else {
                let mm = map.grid.far_corner_mm(&grid);
                format!(
                    "{file} has {:?} voxels, its scan {:?}; their corners are up to {mm:.1} mm apart",
                    map.grid.shape, grid.shape
                )
            };
            findings.error("GEOMETRY", message, "resample the label map onto its scan, or mend its header");
            return Ok(None);
        }
        let unknown = map.unknown(&case.values, class);
        if !unknown.is_empty() {
            let values: Vec<String> =
                unknown.iter().take(5).map(|(value, voxels)| format!("{value} ({voxels} voxels)")).collect();
            let message = format!("{file} holds values that labels does not name: {}", values.join(", "));
            findings.error(
                "UNKNOWN_LABEL",
                message,
                "name them in dataset.json (\"ignore\" for no loss), or mend the file",
            );
        }
        parts.push(Volume { data: map.known_classes(&case.values, class), grid });
    }
    let Some(reference) = merged(parts) else {
        return Ok(Some(Volume { data: vec![0; grid.len()], grid }));
    };
    for warning in reference.warnings {
        findings.warning(warning.code, warning.message, "nothing, if that is meant; else mend one of the files");
    }
    Ok(Some(reference.labels))
}

/// Whether there is something of every annotated class, and nothing of others.
fn judge_amounts(reference: &Volume<u8>, annotated: &Annotated, findings: &mut Findings) {
    for class in [VesselClass::Artery, VesselClass::Vein] {
        let voxels = reference.data.par_iter().filter(|&&found| found == label(class)).count();
        let class_name = name(class);
        match (annotated.classes.contains(&class), voxels) {
            (true, 0) => findings.error(
                "EMPTY_LABEL",
                format!("no voxel is {class_name}, though that is annotated"),
                "add the class to the label map, or list annotated.classes",
            ),
            (false, 1..) => findings.warning(
                "OTHER_CLASS",
                format!("{voxels} voxels are {class_name}, which is said not to be annotated"),
                "list the class under annotated.classes, or clear it",
            ),
            _ => {}
        }
    }
}

fn judge_anatomy(anatomy: &Anatomy, annotated: &Annotated, findings: &mut Findings) {
    for warning in &anatomy.warnings {
        let message = warning.message.clone();
        match warning.code {
            "NO_LUNGS" => findings.error("NO_LUNGS", message, "take the case out"),
            _ if warning.doubts_sides() && annotated.sides.len() == 1 => {
                findings.error("MIRRORED", message, "check the header's orientation: one side is annotated");
            }
            _ if warning.doubts_sides() => {
                findings.warning("MIRRORED", message, "check the header's orientation");
            }
            "TABLE_REMOVED" => {}
            code => findings.warning(code, message, "look at the scan"),
        }
    }
}

/// How many labelled voxels are in places of this value.
fn labelled_in(reference: &Volume<u8>, places: &[u8], value: u8) -> usize {
    let pairs = reference.data.par_iter().zip(places);
    pairs.filter(|&(&found, &place)| (found == ARTERY || found == VEIN) && place == value).count()
}

/// Whether labels lie in the body.
fn judge_body(anatomy: &Anatomy, reference: &Volume<u8>, findings: &mut Findings) {
    if anatomy.lungs.is_none() {
        return;
    }
    let shape = reference.grid.shape;
    let body = anatomy.body_in(&VoxelBox::whole(shape), shape);
    let (outside, inside) = (labelled_in(reference, &body, 0), labelled_in(reference, &body, 1));
    if outside as f64 > MOST_OUTSIDE * (outside + inside) as f64 {
        let share = 100.0 * outside as f64 / (outside + inside) as f64;
        let message = format!("{share:.0} % of the labelled voxels lie outside the body");
        findings.error("OUTSIDE_BODY", message, "check that image and label map belong together and are not mirrored");
    }
}

/// Whether labels lie on the sides that are annotated.
fn judge_sides(anatomy: &Anatomy, reference: &Volume<u8>, annotated: &Annotated, findings: &mut Findings) {
    let Some(lungs) = &anatomy.lungs else { return };
    let shape = reference.grid.shape;
    let sides = lungs.sides_in(&VoxelBox::whole(shape), shape);
    let on = [labelled_in(reference, &sides, LEFT), labelled_in(reference, &sides, RIGHT)];
    let total = on[0] + on[1];
    if total < FEW_VOXELS {
        return;
    }
    for (index, side) in [BodySide::Left, BodySide::Right].into_iter().enumerate() {
        let share = on[index] as f64 / total as f64;
        let (here, other) = if index == 0 { ("left", "right") } else { ("right", "left") };
        if !annotated.sides.contains(&side) && share > MOST_ON_OTHER_SIDE {
            let message = format!(
                "{:.0} % of the labelled voxels in the lungs lie in the {here} one, which is said not to be annotated",
                100.0 * share
            );
            findings.error("OTHER_SIDE", message, "correct annotated.sides, or the header's orientation");
        } else if annotated.sides.contains(&side) && share < LEAST_ON_A_SIDE && lungs.volumes_ml[index] > 0.0 {
            let message = format!(
                "{:.1} % of the labelled voxels in the lungs lie in the {here} one, which is said to be annotated",
                100.0 * share
            );
            let remedy = if other == "left" {
                "say what is annotated: \"annotated\": {\"sides\": [\"left\"]}"
            } else {
                "say what is annotated: \"annotated\": {\"sides\": [\"right\"]}"
            };
            findings.error("EMPTY_SIDE", message, remedy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use pulmoav_task::Warning;
    use pulmoav_volume::{Affine, Grid};

    #[test]
    fn unclear_sides_matter_where_one_is_annotated() {
        let grid = Grid { shape: [4; 3], spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
        let mut anatomy = Anatomy::nothing(&grid);
        anatomy.warnings = ["SIDES_UNCLEAR", "TABLE_REMOVED", "CUT_LUNGS"].map(|code| Warning::new(code, code)).into();
        let judged = |annotated: &str| {
            let mut findings = Findings::of_case("a");
            judge_anatomy(&anatomy, &serde_json::from_str(annotated).unwrap(), &mut findings);
            findings.list.into_iter().map(|finding| (finding.code, finding.severity)).collect::<Vec<_>>()
        };
        let cut = ("CUT_LUNGS", Severity::Warning);
        assert_eq!(judged(r#"{"sides":["left"]}"#), [("MIRRORED", Severity::Error), cut]);
        assert_eq!(judged("{}"), [("MIRRORED", Severity::Warning), cut]);
    }
}
