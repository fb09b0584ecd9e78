//! Scoring label maps.

use std::path::{Path, PathBuf};

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_evaluate::{Options, Restriction, evaluate};
use pulmoav_volume::{Mask, formats};
use serde::Deserialize;

use crate::engine::Engine;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{Failure, Success, TypedArray, parse};
use crate::volume::{Given, labels};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    within: Option<PathBuf>,
}

/// Scores a file against a file.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn evaluate_files<'env>(
    env: &'env Env,
    pred: String,
    reference: String,
    asked: String,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let pred = read_mask(&PathBuf::from(pred), &shared)?;
        let reference = read_mask(&PathBuf::from(reference), &shared)?;
        score(&pred, &reference, &asked, &shared)
    })
}

/// Scores a volume against a volume.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn evaluate_volumes<'env>(
    env: &'env Env,
    pred_geometry: String,
    pred: TypedArray,
    reference_geometry: String,
    reference: TypedArray,
    asked: String,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let pred = Given::new(&pred_geometry, &pred)?.labels()?;
        let reference = Given::new(&reference_geometry, &reference)?.labels()?;
        score(&pred, &reference, &asked, &shared)
    })
}

fn score(pred: &Mask, reference: &Mask, asked: &str, shared: &Shared) -> std::result::Result<Success, Failure> {
    let asked: Asked = parse("the evaluation's options", asked)?;
    let within = asked.within.map(|path| read_mask(&path, shared)).transpose()?;
    let restrictions = within.iter().map(Restriction::Within).collect();
    let options = Options { restrictions, ..Options::default() };
    Success::json(&evaluate(pred, reference, &options, shared)?)
}

fn read_mask(path: &Path, shared: &Shared) -> std::result::Result<Mask, Failure> {
    let image = formats::read(path, None, shared)?;
    Ok(Mask { data: labels(&image.voxels)?, grid: image.header.grid })
}
