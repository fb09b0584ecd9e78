//! One class a branch.

use std::path::Path;
use std::time::Instant;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_anatomy::{Structure, label};
use pulmoav_tree::tidy::{self, Bridge, Change, Loose, Request, Weights};
use pulmoav_volume::{Mask, formats};

use crate::engine::Engine;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::scan::{Part, Scan};
use crate::volume::{Axes, LabelMap, labels};
use crate::warning::Warning;

/// How a label map is tidied.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct TidyRequest {
    /// Value of the arteries.
    pub artery: u8,
    /// Value of the veins.
    pub vein: u8,
    /// The scan, as a path: tells where airways are, and bridges gaps.
    pub image: Option<String>,
    /// Which volume of the scan's file with four or more axes.
    pub index: Option<u32>,
    /// Threads to compute with.
    pub threads: u32,
}

/// A tidied label map and what was changed.
#[napi(object, object_from_js = false)]
pub struct Tidied {
    /// The label map.
    pub labels: LabelMap,
    /// Branches that got the other class.
    pub changes: Vec<TidyChange>,
    /// Gaps that were bridged.
    pub bridges: Vec<TidyBridge>,
    /// Pieces too small to tell that were cleared.
    pub dropped: TidyPieces,
    /// Pieces not connected to a tree of their class, before.
    pub loose_before: TidyPieces,
    /// The same, after.
    pub loose_after: TidyPieces,
    /// Wall time by stage.
    pub seconds: TidySeconds,
    /// What a user should know.
    pub warnings: Vec<Warning>,
}

/// A branch, or a part of one, that got the other class.
#[napi(object, object_from_js = false)]
pub struct TidyChange {
    /// Its middle, RAS mm `[x, y, z]`.
    pub at_mm: Axes,
    /// The value that it had.
    pub from: u8,
    /// The value that it has now.
    pub to: u8,
    /// Its length, mm.
    pub length_mm: f64,
    /// Its voxels.
    pub voxels: f64,
}

/// A gap that was bridged.
#[napi(object, object_from_js = false)]
pub struct TidyBridge {
    /// Where it starts, RAS mm `[x, y, z]`.
    pub at_mm: Axes,
    /// The value of the pieces that it joins.
    pub value: u8,
    /// Its length, mm.
    pub length_mm: f64,
    /// Its voxels.
    pub voxels: f64,
}

/// Some pieces of a label map.
#[napi(object, object_from_js = false)]
pub struct TidyPieces {
    pub pieces: f64,
    pub voxels: f64,
}

/// Wall time of tidying, s.
#[napi(object, object_from_js = false)]
pub struct TidySeconds {
    pub load: f64,
    pub anatomy: f64,
    pub tidy: f64,
    pub total: f64,
}

/// Tidies the label map of a file.
#[napi(catch_unwind)]
pub fn tidy_file<'env>(
    env: &'env Env,
    path: String,
    asked: TidyRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Tidied, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::threads(asked.threads as usize)?.cancellable(env, monitor, move || run(Path::new(&path), &asked, &shared))
}

/// What a scan tells.
struct Seen {
    hu: Vec<f32>,
    airways: Vec<u8>,
    warnings: Vec<pulmoav_task::Warning>,
}

fn run(path: &Path, asked: &TidyRequest, shared: &Shared) -> std::result::Result<Tidied, Failure> {
    let clock = Instant::now();
    let image = formats::read(path, None, shared)?;
    let oriented = image.header.oriented;
    let mut map = Mask { data: labels(&image.voxels)?, grid: image.header.grid };
    let mut warnings = image.header.warnings;
    let load = clock.elapsed().as_secs_f64();
    let seen = asked.image.as_ref().map(|scan| see(Path::new(scan), asked.index, &map, shared)).transpose()?;
    let anatomy = clock.elapsed().as_secs_f64() - load;
    let request = Request {
        artery: asked.artery,
        vein: asked.vein,
        airways: seen.as_ref().map(|seen| seen.airways.as_slice()),
        hu: seen.as_ref().map(|seen| seen.hu.as_slice()),
        weights: Weights::default(),
    };
    let report = tidy::tidy(&mut map, &request, shared)?;
    warnings.extend(seen.into_iter().flat_map(|seen| seen.warnings));
    let total = clock.elapsed().as_secs_f64();
    Ok(Tidied {
        labels: LabelMap::of(map, oriented),
        changes: report.changes.into_iter().map(TidyChange::from).collect(),
        bridges: report.bridges.into_iter().map(TidyBridge::from).collect(),
        dropped: TidyPieces { pieces: report.dropped as f64, voxels: report.dropped_voxels as f64 },
        loose_before: report.loose_before.into(),
        loose_after: report.loose_after.into(),
        seconds: TidySeconds { load, anatomy, tidy: total - load - anatomy, total },
        warnings: warnings.into_iter().map(Warning::from).collect(),
    })
}

/// Reads the scan of a label map and finds its airways.
fn see(scan: &Path, index: Option<u32>, map: &Mask, shared: &Shared) -> std::result::Result<Seen, Failure> {
    let Scan { ct, warnings, .. } = Scan::read(scan, &Part { index, ..Part::default() }, shared)?;
    if !ct.grid.is_at(&map.grid) {
        let what = format!(
            "the scan has shape {:?} and the label map {:?}, or they lie in other places; expected the same grid, so resample \
             one onto the other",
            ct.grid.shape, map.grid.shape
        );
        return Err(Failure::new("ERR_GEOMETRY", what));
    }
    let anatomy = label(&ct, shared)?;
    let value = Structure::Airways.value();
    let airways = anatomy.labels.data.iter().map(|&label| u8::from(label == value)).collect();
    Ok(Seen { hu: ct.data, airways, warnings })
}

impl From<Change> for TidyChange {
    fn from(change: Change) -> Self {
        let Change { at_mm, from, to, length_mm, voxels } = change;
        Self { at_mm: at_mm.into(), from, to, length_mm, voxels: voxels as f64 }
    }
}

impl From<Bridge> for TidyBridge {
    fn from(bridge: Bridge) -> Self {
        let Bridge { at_mm, value, length_mm, voxels } = bridge;
        Self { at_mm: at_mm.into(), value, length_mm, voxels: voxels as f64 }
    }
}

impl From<Loose> for TidyPieces {
    fn from(loose: Loose) -> Self {
        Self { pieces: loose.pieces as f64, voxels: loose.voxels as f64 }
    }
}
