//! From a case's files to the cache: the same preparation as in use, plus labels and sides.

use std::path::{Path, PathBuf};

use pulmoav_anatomy::lungs::RIGHT;
use pulmoav_plan::Plan;
use pulmoav_segment::prepare::{InverseTransform, Prepared, prepare, prepare_labels, windowed};
use pulmoav_task::{Monitor, Warning};
use pulmoav_tree::thinning::skeleton_of;
use pulmoav_volume::{Grid, Volume, crop::View, dilation::dilated, formats, hounsfield::hounsfield, label::labels};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{
    cache::{CachedCase, CaseWarning, PreparedCase, SidePlane, write},
    case::{Case, LabelFiles},
    ceiling,
    code::{AIRWAY, ARTERY, CENTRAL_BIT, CENTRELINE_BIT, IGNORE_BIT, LABEL_BITS, RIGHT_BIT, VEIN},
    error::TrainError,
    labels::NO_LOSS,
    places::Places,
    reference::{Reference, read_reference},
};

/// Rises when what a cache file holds changes its meaning.
const VERSION: u32 = 6;
/// Half the width of what counts as near a centreline, voxels: a skeleton dilated twice (Kirchhoff et al., "Skeleton
/// recall loss", ECCV 2024).
const CENTRELINE_VOXELS: f64 = 2.0;
/// HU kept in the cache; every window that a plan may use lies inside.
pub(crate) const KEPT_HU: [f64; 2] = [-1024.0, 3071.0];

/// Opens a case's cache file, made first where it is missing, damaged, or older than the case's files.
///
/// # Errors
/// What reading and preparing the case gives; `ERR_FORMAT` for labels that are not named or a case without lungs.
pub fn cached(cache: &Path, plan: &Plan, case: &Case, monitor: &dyn Monitor) -> Result<CachedCase, TrainError> {
    let path = cache_path(cache, plan, case)?;
    if path.is_file()
        && let Ok(found) = CachedCase::open(&path)
    {
        return Ok(found);
    }
    let prepared = prepare_case(plan, case, monitor)?;
    std::fs::create_dir_all(cache).map_err(TrainError::io(cache))?;
    write(&path, &prepared)?;
    CachedCase::open(&path)
}

/// `NAME-KEY.case`: the key covers what the preparation depends on.
fn cache_path(cache: &Path, plan: &Plan, case: &Case) -> Result<PathBuf, TrainError> {
    let identity = |path: &Path| -> Result<String, TrainError> {
        let data = std::fs::metadata(path).map_err(TrainError::io(path))?;
        Ok(format!("{} bytes, {:?}", data.len(), data.modified().ok()))
    };
    let files = case.label.iter().flat_map(LabelFiles::each);
    let labels: Vec<String> = files.map(|(_, path)| identity(path)).collect::<Result<_, _>>()?;
    let facts = format!(
        "{VERSION}\n{:?}\n{:?}\n{:?}\n{:?}\n{}\n{}\n{}",
        case.values,
        plan.spacing_mm,
        plan.crop,
        plan.tiles.tile,
        identity(&case.image)?,
        labels.join(" "),
        case.airways.as_deref().map(identity).transpose()?.unwrap_or_default()
    );
    let digest = Sha256::digest(facts.as_bytes());
    let key = digest.iter().take(8).fold(0u64, |key, &byte| key << 8 | u64::from(byte));
    Ok(cache.join(format!("{}-{key:016x}.case", case.name)))
}

fn prepare_case(plan: &Plan, case: &Case, monitor: &dyn Monitor) -> Result<PreparedCase, TrainError> {
    let Scan { ct, oriented, warnings } = read_ct(&case.image, monitor)?;
    if !oriented && case.annotated.sides.len() == 1 {
        return Err(TrainError::format(
            &case.image,
            "does not say which way the patient lies, though one side of it is annotated; expected a header with an \
             orientation, so mend it, or take the case out of the data set",
        ));
    }
    let Reference { labels: reference, warnings: overlaps } = match &case.label {
        Some(files) => read_reference(case, files, &ct.grid, oriented, monitor)?,
        None => Reference { labels: Volume { data: vec![0; ct.grid.len()], grid: ct.grid }, warnings: Vec::new() },
    };
    let failed = |source| match source {
        pulmoav_segment::SegmentError::Cancelled => TrainError::Cancelled,
        source => TrainError::Segment { case: case.name.clone(), source },
    };
    let prepared = prepare(&ct, plan, monitor).map_err(failed)?;
    drop(ct);
    let mut codes = prepare_labels(&reference, &prepared.inverse).map_err(failed)?;
    codes.par_iter_mut().filter(|code| **code == NO_LOSS).for_each(|code| *code = IGNORE_BIT);
    if let Some(airways) = &case.airways {
        let airways = read_mask(airways, &reference.grid, oriented, monitor)?;
        let airways = prepare_labels(&airways, &prepared.inverse).map_err(failed)?;
        codes.par_iter_mut().zip(&airways).filter(|(code, airway)| **code == 0 && **airway != 0).for_each(
            |(code, _)| {
                *code = AIRWAY;
            },
        );
    }
    let Some(region) = mark_parts(&mut codes, &prepared) else {
        return Err(TrainError::format(&case.image, "no lungs were found; take the case out of the data set"));
    };
    mark_centrelines(&mut codes, prepared.shape, plan.spacing_mm);
    let places = Places::of(&codes, prepared.shape, plan.spacing_mm, |voxel| region[voxel] != 0);
    let (hu, plane) = hu_and_plane(&prepared);
    let ceiling = [1, 2].map(|label| ceiling(&reference, &prepared.inverse, label));
    let unclear = prepared.warnings.iter().filter(|warning| warning.doubts_sides()).cloned();
    let said = |warning: Warning| CaseWarning {
        case: case.name.clone(),
        code: warning.code.to_owned(),
        message: warning.message,
    };
    let warnings = warnings.into_iter().chain(overlaps).chain(unclear).map(said).collect();
    Ok(PreparedCase {
        shape: prepared.shape,
        hu,
        codes,
        places,
        plane,
        ceiling,
        airways: case.airways.is_some(),
        warnings,
    })
}

/// Says of each voxel on which side it lies, or that it lies between the lungs, and returns where pulmonary vessels can
/// be; `None` without lungs.
fn mark_parts(codes: &mut [u8], prepared: &Prepared) -> Option<Vec<u8>> {
    let (lungs, nearest) = (prepared.sides()?, prepared.nearest_sides()?);
    let region = prepared.lungs()?.vessel_region_in(prepared.inverse.extent, prepared.shape);
    codes.par_iter_mut().enumerate().for_each(|(voxel, code)| {
        let side = if nearest[voxel] == RIGHT { RIGHT_BIT } else { 0 };
        let part = if region[voxel] != 0 && lungs[voxel] == 0 { CENTRAL_BIT } else { 0 };
        *code = *code & (LABEL_BITS | IGNORE_BIT) | side | part;
    });
    Some(region)
}

/// Marks the voxels of arteries and veins that are near their centrelines.
fn mark_centrelines(codes: &mut [u8], shape: [usize; 3], spacing_mm: [f64; 3]) {
    let reach_mm = CENTRELINE_VOXELS * spacing_mm.iter().sum::<f64>() / 3.0;
    for label in [ARTERY, VEIN] {
        let inside: Vec<u8> = codes.par_iter().map(|code| u8::from(code & LABEL_BITS == label)).collect();
        if inside.contains(&1) {
            let line = skeleton_of(&inside, shape);
            let near = dilated(|voxel| line[voxel] != 0, shape, spacing_mm, reach_mm);
            let marked =
                codes.par_iter_mut().zip(&inside).zip(&near).filter(|((_, inside), near)| **inside == 1 && **near);
            marked.for_each(|((code, _), _)| *code |= CENTRELINE_BIT);
        }
    }
}

/// What the network sees, in whole HU, and where the plane between the lungs lies.
fn hu_and_plane(prepared: &Prepared) -> (Vec<i16>, SidePlane) {
    let [low, high] = KEPT_HU;
    let to_hu = |share: f32| (low + f64::from(share) * (high - low)).round() as i16;
    let hu = prepared.hu.par_iter().map(|&hu| to_hu(windowed(hu, KEPT_HU))).collect();
    let width = prepared.shape[2];
    let first = f64::from(prepared.side[0]);
    let last = f64::from(prepared.side[width - 1]);
    let slope = if width > 1 { (last - first) / (width - 1) as f64 } else { 1.0 };
    (hu, SidePlane { plane_x: -first / slope, half_width: 1.0 / slope })
}

/// A CT as it was read.
pub(crate) struct Scan {
    /// Hounsfield units.
    pub(crate) ct: Volume<f32>,
    /// Whether its file says which way the patient lies.
    pub(crate) oriented: bool,
    /// What its file and its values gave cause to say.
    pub(crate) warnings: Vec<Warning>,
}

/// Reads a CT.
pub(crate) fn read_ct(path: &Path, monitor: &dyn Monitor) -> Result<Scan, TrainError> {
    let image = formats::read(path, None, monitor).map_err(TrainError::volume(path))?;
    let (data, not_hu) = hounsfield(&image.voxels);
    let warnings = image.header.warnings.into_iter().chain(not_hu).collect();
    Ok(Scan { ct: Volume { data, grid: image.header.grid }, oriented: image.header.oriented, warnings })
}

/// A mask of a scan on `grid`.
fn read_mask(path: &Path, grid: &Grid, oriented: bool, monitor: &dyn Monitor) -> Result<Volume<u8>, TrainError> {
    let image = formats::read(path, None, monitor).map_err(TrainError::volume(path))?;
    let data = labels(&image.voxels, "the label map").map_err(TrainError::volume(path))?;
    let place = image.header.grid.beside(image.header.oriented, grid, oriented);
    Ok(Volume { data, grid: place })
}

/// Dice that a class keeps through the plan's grid and back when shares, not labels, are carried: what no model of this
/// plan can beat. `None` where the class is empty.
fn ceiling(reference: &Volume<u8>, inverse: &InverseTransform, label: u8) -> Option<f64> {
    let moves = inverse.orientation;
    let view = View::new(&reference.data, reference.grid.shape).reordered(moves.source, moves.flipped);
    let view = view.part(&inverse.part);
    let extent = inverse.extent.seen_from(&inverse.part);
    let total = reference.data.par_iter().filter(|&&l| l == label).count();
    ceiling::kept(&view, label, &extent, inverse.shape, total)
}
