//! Scoring label maps.

use std::path::{Path, PathBuf};

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_evaluate::{Options, Restriction, evaluate};
use pulmoav_volume::voxels::Voxels;
use pulmoav_volume::{Mask, formats};
use serde::Deserialize;

use crate::engine::Engine;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{Failure, Success, TypedArray, parse};
use crate::volume::{Given, labels, voxels};

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
        let pred = read_labels(&PathBuf::from(pred), &shared)?;
        let reference = read_labels(&PathBuf::from(reference), &shared)?;
        score(pred, &reference, &asked, &shared)
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
    let (shared, pred, reference) = (monitor.share(), voxels(&pred), voxels(&reference));
    Engine::workers()?.cancellable(env, monitor, move || {
        let pred = Labels::given(&pred_geometry, pred)?;
        let reference = Labels::given(&reference_geometry, reference)?;
        score(pred, &reference, &asked, &shared)
    })
}

/// A label map, and whether its file says which way the patient lies.
struct Labels {
    map: Mask,
    oriented: bool,
}

impl Labels {
    fn given(geometry: &str, voxels: Voxels) -> std::result::Result<Self, Failure> {
        let given = Given::new(geometry, voxels)?;
        let oriented = given.oriented;
        Ok(Self { map: given.labels()?, oriented })
    }

    /// At the place of another one where either place is a guess.
    fn beside(mut self, other: &Self) -> Mask {
        self.map.grid = self.map.grid.beside(self.oriented, &other.map.grid, other.oriented);
        self.map
    }
}

fn score(pred: Labels, reference: &Labels, asked: &str, shared: &Shared) -> std::result::Result<Success, Failure> {
    let asked: Asked = parse("the evaluation's options", asked)?;
    let within =
        asked.within.map(|path| Ok::<_, Failure>(read_labels(&path, shared)?.beside(reference))).transpose()?;
    let pred = pred.beside(reference);
    let restrictions = within.iter().map(Restriction::Within).collect();
    let options = Options { restrictions, ..Options::default() };
    Success::json(&evaluate(&pred, &reference.map, &options, shared)?)
}

fn read_labels(path: &Path, shared: &Shared) -> std::result::Result<Labels, Failure> {
    let image = formats::read(path, None, shared)?;
    let map = Mask { data: labels(&image.voxels)?, grid: image.header.grid };
    Ok(Labels { map, oriented: image.header.oriented })
}
