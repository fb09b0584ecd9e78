//! One class a branch.

use std::path::Path;
use std::time::Instant;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_tree::tidy::{self, Bridge, Change, Loose, Report, Request, Weights};
use pulmoav_volume::crop::View;
use pulmoav_volume::hounsfield::Hounsfield;
use pulmoav_volume::label::counts;
use pulmoav_volume::{Mask, formats, with_hounsfield};

use crate::beside::Beside;
use crate::engine::Engine;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::scan::Part;
use crate::volume::{Axes, LabelMap, labels};
use crate::warning::{Warning, missing_values};

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

/// How much giving each branch one class changed.
#[napi(object, object_from_js = false)]
pub struct TidyCounts {
    /// Branches that got the other class, and their voxels.
    pub changed: TidyPieces,
    /// Gaps that were bridged, and the bridges' voxels.
    pub bridged: TidyPieces,
    /// Length of all bridges, mm.
    pub bridged_mm: f64,
    /// Pieces too small to tell that were cleared.
    pub dropped: TidyPieces,
    /// Pieces not connected to a tree of their class, before.
    pub loose_before: TidyPieces,
    /// The same, after.
    pub loose_after: TidyPieces,
}

impl TidyCounts {
    pub fn of(report: &Report) -> Self {
        let count = |voxels: &mut dyn Iterator<Item = u64>| {
            let (pieces, voxels) = voxels.fold((0, 0), |(pieces, sum), voxels| (pieces + 1, sum + voxels));
            TidyPieces::from(Loose { pieces, voxels })
        };
        Self {
            changed: count(&mut report.changes.iter().map(|change| change.voxels)),
            bridged: count(&mut report.bridges.iter().map(|bridge| bridge.voxels)),
            bridged_mm: report.bridges.iter().map(|bridge| bridge.length_mm).sum(),
            dropped: report.dropped.into(),
            loose_before: report.loose_before.into(),
            loose_after: report.loose_after.into(),
        }
    }
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

fn run(path: &Path, asked: &TidyRequest, shared: &Shared) -> std::result::Result<Tidied, Failure> {
    let clock = Instant::now();
    let image = formats::read(path, None, shared)?;
    let oriented = image.header.oriented;
    let mut map = Mask { data: labels(&image.voxels, path.display())?, grid: image.header.grid };
    let mut warnings = image.header.warnings;
    warnings.extend(missing_values(&counts(&map.data), [asked.artery, asked.vein]));
    let load = clock.elapsed().as_secs_f64();
    let part = Part { index: asked.index, ..Part::default() };
    let beside = |scan: &String| Beside::read(Path::new(scan), &part, &map, shared);
    let seen = asked.image.as_ref().map(beside).transpose()?;
    let airways = seen.as_ref().map(Beside::airways);
    let anatomy = clock.elapsed().as_secs_f64() - load;
    let pairs = [[asked.artery, asked.vein]];
    let request = Request { pairs: &pairs, airways: airways.as_deref(), hu: None, weights: Weights::default() };
    let report = tidied(&mut map, &request, seen.as_ref().map(|seen| &seen.hu), shared)?;
    warnings.extend(seen.into_iter().flat_map(|seen| seen.warnings));
    let total = clock.elapsed().as_secs_f64();
    Ok(Tidied {
        labels: LabelMap::of(map, oriented),
        changes: report.changes.into_iter().map(TidyChange::from).collect(),
        bridges: report.bridges.into_iter().map(TidyBridge::from).collect(),
        dropped: report.dropped.into(),
        loose_before: report.loose_before.into(),
        loose_after: report.loose_after.into(),
        seconds: TidySeconds { load, anatomy, tidy: total - load - anatomy, total },
        warnings: warnings.into_iter().map(Warning::from).collect(),
    })
}

/// [`tidy::tidy`] with a scan of either type.
fn tidied(
    map: &mut Mask,
    request: &Request<'_>,
    hu: Option<&Hounsfield>,
    shared: &Shared,
) -> std::result::Result<Report, Failure> {
    let Some(hu) = hu else { return Ok(tidy::tidy(map, request, shared)?) };
    let Request { pairs, airways, ref weights, .. } = *request;
    let shape = map.grid.shape;
    Ok(with_hounsfield!(hu, values => {
        let hu = Some(View::new(values, shape));
        tidy::tidy(map, &Request { pairs, airways, hu, weights: *weights }, shared)
    })?)
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
