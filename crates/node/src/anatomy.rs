//! The anatomy of a scan: body, mediastinum, lungs and airways as a label map.

use std::path::PathBuf;
use std::time::Instant;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_anatomy::{Labelled, label};
use pulmoav_volume::{Volume, with_hounsfield};

use crate::engine::Engine;
use crate::memory::peak_bytes;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::scan::{Part, Scan};
use crate::structure::MeasuredStructure;
use crate::volume::{Axes, Given, LabelMap, VoxelVolume};
use crate::warning::Warning;

/// How a scan's anatomy is asked for.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct AnatomyRequest {
    /// Which volume of a file with four or more axes.
    pub index: Option<u32>,
    /// Which series of DICOM, by UID or by number in the list; `null`: the rule chooses.
    pub series: Option<String>,
    /// Threads to compute with.
    pub threads: u32,
}

/// The anatomy of one scan.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Anatomy {
    /// Label map on the scan's own grid: 0 outside the body, 1 body, 2 mediastinum, 3 left lung, 4 right lung, 5
    /// airways. Left and right are the patient's.
    pub labels: LabelMap,
    /// Every structure in the order of the values, found or not.
    pub structures: Vec<MeasuredStructure>,
    /// Where the windpipe divides, RAS mm `[x, y, z]`; `null` where it was not found.
    pub carina_mm: Option<Axes>,
    /// Wall time by stage.
    pub seconds: AnatomySeconds,
    /// The process's peak memory.
    pub memory: PeakMemory,
    /// What a user should know.
    pub warnings: Vec<Warning>,
}

/// Wall time of finding an anatomy, s.
#[napi(object, object_from_js = false)]
pub struct AnatomySeconds {
    pub load: f64,
    pub find: f64,
    pub draw: f64,
    pub total: f64,
}

/// The process's peak memory.
#[napi(object, object_from_js = false)]
pub struct PeakMemory {
    pub peak_bytes: f64,
}

/// Labels the anatomy of a file.
#[napi(catch_unwind)]
pub fn anatomy_file<'env>(
    env: &'env Env,
    path: String,
    asked: AnatomyRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Anatomy, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::threads(asked.threads as usize)?.cancellable(env, monitor, move || {
        let part = Part { index: asked.index, series: asked.series };
        run(Scan::read(&PathBuf::from(path), &part, &shared)?, &shared)
    })
}

/// Labels the anatomy of a volume of Hounsfield units.
#[napi(catch_unwind)]
pub fn anatomy_volume<'env>(
    env: &'env Env,
    volume: VoxelVolume,
    asked: AnatomyRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Anatomy, ErrorInfo>>> {
    let (shared, given) = (monitor.share(), Given::copy(&volume));
    Engine::threads(asked.threads as usize)?.cancellable(env, monitor, move || run(Scan::given(given)?, &shared))
}

fn run(scan: Scan, shared: &Shared) -> std::result::Result<Anatomy, Failure> {
    let clock = Instant::now();
    let Scan { hu, grid, oriented, mut warnings, load_seconds, .. } = scan;
    let Labelled { labels, structures, carina_mm, warnings: found, find_seconds, draw_seconds } =
        with_hounsfield!(hu, data => label(&Volume { data, grid }, shared))?;
    warnings.extend(found);
    Ok(Anatomy {
        labels: LabelMap::of(labels, oriented),
        structures: structures.into_iter().map(MeasuredStructure::from).collect(),
        carina_mm: carina_mm.map(Axes::from),
        seconds: AnatomySeconds {
            load: load_seconds,
            find: find_seconds,
            draw: draw_seconds,
            total: load_seconds + clock.elapsed().as_secs_f64(),
        },
        memory: PeakMemory { peak_bytes: peak_bytes() as f64 },
        warnings: warnings.into_iter().map(Warning::from).collect(),
    })
}
