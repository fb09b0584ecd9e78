//! Scoring label maps.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_evaluate::{Options, Restriction, evaluate};
use pulmoav_volume::{Mask, formats};
use serde::Deserialize;

use crate::engine::Engine;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::volume::{Given, VoxelVolume, labels};

/// How scores are asked for.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct EvaluationRequest {
    /// A mask, as a path: what lies outside does not count.
    pub within: Option<String>,
    /// Whether centrelines are compared too.
    pub centrelines: bool,
}

/// Scores of one target.
#[napi(object, object_from_js = false, use_nullable = true)]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetScores {
    /// 2·|P ∩ R| ÷ (|P| + |R|); `null` when both are empty.
    pub dice: Option<f64>,
    /// Voxels predicted.
    pub pred_voxels: f64,
    /// Voxels of the reference.
    pub ref_voxels: f64,
    /// |P ∩ R| ÷ |P ∪ R|; `null` when both are empty.
    pub iou: Option<f64>,
    /// |P ∩ R| ÷ |P|; `null` when nothing was predicted.
    pub precision: Option<f64>,
    /// |P ∩ R| ÷ |R|; `null` when the reference is empty.
    pub recall: Option<f64>,
    /// Of the reference's voxels called vessel, the share given the other class; for a target of both classes, over
    /// artery and vein together. `null` when none of them was called vessel.
    pub swap_rate: Option<f64>,
    /// Overlap of centrelines and vessels; `null` when both are empty, or when centrelines were not asked for.
    pub cl_dice: Option<f64>,
}

/// Scores of one case by target: `artery`, `vein`, …
#[napi]
pub type Scores = IndexMap<String, TargetScores>;

/// Scores as JavaScript gets them; one that [`TargetScores`] lacks is refused, so that none is forgotten there.
pub fn scores(found: pulmoav_evaluate::Scores) -> std::result::Result<Scores, Failure> {
    let named = |(target, scores): (String, pulmoav_evaluate::TargetScores)| {
        Ok((target, serde_json::from_value(serde_json::to_value(scores)?)?))
    };
    let found: serde_json::Result<Scores> = found.0.into_iter().map(named).collect();
    found.map_err(|error| Failure::from_error("ERR_INTERNAL", &error))
}

/// Scores a file against a file.
#[napi(catch_unwind)]
pub fn evaluate_files<'env>(
    env: &'env Env,
    pred: String,
    reference: String,
    asked: EvaluationRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Scores, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let pred = read_labels(&PathBuf::from(pred), &shared)?;
        let reference = read_labels(&PathBuf::from(reference), &shared)?;
        score(pred, &reference, asked, &shared)
    })
}

/// Scores a volume against a volume.
#[napi(catch_unwind)]
pub fn evaluate_volumes<'env>(
    env: &'env Env,
    pred: VoxelVolume,
    reference: VoxelVolume,
    asked: EvaluationRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Scores, ErrorInfo>>> {
    let (shared, pred, reference) = (monitor.share(), Given::copy(&pred), Given::copy(&reference));
    Engine::workers()?
        .cancellable(env, monitor, move || score(Labels::given(pred)?, &Labels::given(reference)?, asked, &shared))
}

/// A label map, and whether its file says which way the patient lies.
struct Labels {
    map: Mask,
    oriented: bool,
}

impl Labels {
    fn given(given: Given) -> std::result::Result<Self, Failure> {
        Ok(Self { map: given.labels()?, oriented: given.oriented })
    }

    /// At the place of another one where either place is a guess.
    fn beside(mut self, other: &Self) -> Mask {
        self.map.grid = self.map.grid.beside(self.oriented, &other.map.grid, other.oriented);
        self.map
    }
}

fn score(
    pred: Labels,
    reference: &Labels,
    asked: EvaluationRequest,
    shared: &Shared,
) -> std::result::Result<Scores, Failure> {
    let within = asked.within.map(|path| read_labels(Path::new(&path), shared)).transpose()?;
    let within = within.map(|mask| mask.beside(reference));
    let pred = pred.beside(reference);
    let restrictions = within.iter().map(Restriction::Within).collect();
    let options = Options { restrictions, centrelines: asked.centrelines, ..Options::default() };
    scores(evaluate(&pred, &reference.map, &options, shared)?)
}

fn read_labels(path: &Path, shared: &Shared) -> std::result::Result<Labels, Failure> {
    let image = formats::read(path, None, shared)?;
    let map = Mask { data: labels(&image.voxels)?, grid: image.header.grid };
    Ok(Labels { map, oriented: image.header.oriented })
}
