//! The anatomy of a scan: body, mediastinum, lungs and airways as a label map.

use std::path::PathBuf;
use std::time::Instant;

use napi::bindgen_prelude::{Either10, Object};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_anatomy::{Labelled, label};
use pulmoav_task::{Monitor, Warning};
use pulmoav_volume::VolumeError;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::memory::{Released, peak_bytes};
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{Failure, Success, TypedArray, parse};
use crate::scan::Scan;
use crate::structure::MeasuredStructure;
use crate::volume::{Geometry, voxels};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    index: Option<usize>,
    threads: usize,
}

/// Labels the anatomy of a file.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn anatomy_file<'env>(env: &'env Env, path: String, asked: String, monitor: &CallMonitor) -> Result<Object<'env>> {
    on_engine(env, &asked, monitor, move |asked, shared| {
        run(Scan::read(&PathBuf::from(path), asked.index, shared)?, shared)
    })
}

/// Labels the anatomy of a volume of Hounsfield units.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn anatomy_volume<'env>(
    env: &'env Env,
    geometry: String,
    data: TypedArray,
    asked: String,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let voxels = voxels(&data);
    on_engine(env, &asked, monitor, move |_, shared| run(Scan::given(&geometry, voxels)?, shared))
}

fn run(scan: Scan, shared: &Shared) -> std::result::Result<Success, Failure> {
    let clock = Instant::now();
    let _released = Released;
    let Scan { ct, oriented, mut warnings, load_seconds, .. } = scan;
    let Labelled { labels, structures, carina_mm, warnings: found, find_seconds, draw_seconds } = label(&ct, shared)?;
    drop(ct);
    if shared.cancelled() {
        return Err(VolumeError::Cancelled.into());
    }
    warnings.extend(found);
    let answer = Answer {
        geometry: Geometry::of(&labels.grid, oriented),
        structures: structures.into_iter().map(MeasuredStructure::from).collect(),
        carina_mm,
        seconds: Seconds {
            load: load_seconds,
            find: find_seconds,
            draw: draw_seconds,
            total: load_seconds + clock.elapsed().as_secs_f64(),
        },
        memory: Memory { peak_bytes: peak_bytes() },
        warnings,
    };
    Success::with_arrays(&answer, vec![Either10::B(labels.data.into())])
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    geometry: Geometry,
    structures: Vec<MeasuredStructure>,
    carina_mm: Option<[f64; 3]>,
    seconds: Seconds,
    memory: Memory,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Seconds {
    load: f64,
    find: f64,
    draw: f64,
    total: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    peak_bytes: u64,
}

fn on_engine<'env>(
    env: &'env Env,
    asked: &str,
    monitor: &CallMonitor,
    work: impl FnOnce(&Asked, &Shared) -> std::result::Result<Success, Failure> + Send + 'static,
) -> Result<Object<'env>> {
    let shared = monitor.share();
    match parse::<Asked>("the request", asked) {
        Ok(asked) => Engine::tensors(asked.threads)?.cancellable(env, monitor, move || work(&asked, &shared)),
        Err(failure) => Engine::workers()?.promise(env, move || Err(failure)),
    }
}
