//! Segmenting: a loaded model, and the scans that go through it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use napi::bindgen_prelude::{Either10, Object};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_anatomy::Structure;
use pulmoav_model::weights;
use pulmoav_segment::budget::check_scan;
use pulmoav_segment::keep::values;
use pulmoav_segment::prompt::resolve;
use pulmoav_segment::words::targets_of;
use pulmoav_segment::{Request, Segmentation, Segmenter};
use pulmoav_task::Warning;
use pulmoav_text::{Tokenizer, Tower};
use pulmoav_volume::formats;
use pulmoav_volume::image::Header;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::memory::{Released, peak_bytes};
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{Failure, Success, TypedArray, parse};
use crate::registry::Registry;
use crate::scan::Scan;
use crate::structure::MeasuredStructure;
use crate::volume::{Geometry, voxels};

static SEGMENTERS: Registry<Loaded> = Registry::new("segmenter");

struct Loaded {
    segmenter: Segmenter,
    tower: Tower,
    threads: usize,
}

#[derive(Serialize)]
struct Handle {
    handle: u32,
}

/// Loads a model directory; if no text tower travels with it, that of the model `words` reads the prompts.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn load_segmenter<'env>(
    env: &'env Env,
    model: String,
    words: String,
    threads: u32,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let threads = threads as usize;
    Engine::tensors(threads)?.cancellable(env, monitor, move || {
        let (plan, mut parameters) = weights::load(&PathBuf::from(model))?;
        let has_text = parameters.frozen_iter().any(|(name, _)| name.starts_with("text."));
        let tower = if has_text {
            let tower = Tower::from_tensors(parameters.frozen_iter())?;
            tower.check_made(&plan)?;
            tower
        } else {
            Tower::of_model(&PathBuf::from(words))?
        };
        let segmenter = Segmenter::new(plan, &mut parameters)?;
        Success::json(&Handle { handle: SEGMENTERS.keep(Loaded { segmenter, tower, threads }) })
    })
}

/// Frees a loaded model.
#[napi(catch_unwind)]
pub fn dispose_segmenter(handle: u32) {
    SEGMENTERS.drop(handle);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // One for each of JavaScript's options.
struct Asked {
    prompts: Option<Vec<String>>,
    probabilities: bool,
    keep_lungs: bool,
    keep_airways: bool,
    strict: bool,
    index: Option<usize>,
    max_memory_bytes: Option<u64>,
}

/// A request whose prompts mean something.
struct Resolved {
    prompts: Vec<String>,
    request: Request,
    index: Option<usize>,
    warnings: Vec<Warning>,
}

impl Resolved {
    /// Refuses a file that the memory limit leaves no room to read, by its header.
    fn check_room(&self, path: &Path) -> std::result::Result<(), Failure> {
        if self.request.max_memory_bytes.is_none() {
            return Ok(());
        }
        let Header { grid, data_type, scaling, .. } = formats::read_header(path)?;
        // Scaled voxels stand beside those of the file for a moment.
        let copies = if scaling.is_some() { 2 } else { 1 };
        let read_bytes = (grid.len() * data_type.bytes()) as u64 * copies;
        Ok(check_scan(&grid, &Request { read_bytes, ..self.request.clone() })?)
    }
}

impl Loaded {
    /// Refuses what can be refused before a scan is read.
    fn resolve(&self, asked: &str) -> std::result::Result<Resolved, Failure> {
        let asked: Asked = parse("the request", asked)?;
        let prompts = asked.prompts.unwrap_or_default();
        let targets = targets_of(&prompts, self.segmenter.plan(), Some(&self.tower))?;
        resolve(&targets, self.segmenter.plan(), true)?;
        let Asked { probabilities, strict, max_memory_bytes, .. } = asked;
        let keep = kept(asked.keep_lungs, asked.keep_airways);
        values(&keep, self.segmenter.plan())?;
        let request = Request { targets, probabilities, keep, strict, max_memory_bytes, ..Request::default() };
        let warnings = prompts.iter().filter_map(|prompt| truncation(prompt)).collect();
        Ok(Resolved { prompts, request, index: asked.index, warnings })
    }
}

/// What to say where a prompt is longer than the text encoder reads.
fn truncation(prompt: &str) -> Option<Warning> {
    let start: String = prompt.chars().take(40).collect();
    Tokenizer::shared().prompt(prompt).truncated.then(|| {
        Warning::new(
            "PROMPT_TRUNCATED",
            format!("the prompt \"{start}…\" is too long, so its end was not read; shorten it"),
        )
    })
}

fn kept(lungs: bool, airways: bool) -> Vec<Structure> {
    let lungs: &[Structure] = if lungs { &[Structure::LeftLung, Structure::RightLung] } else { &[] };
    let airways: &[Structure] = if airways { &[Structure::Airways] } else { &[] };
    [lungs, airways].concat()
}

/// Segments a file.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn segment_file<'env>(
    env: &'env Env,
    handle: u32,
    path: String,
    asked: String,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let shared = monitor.share();
    on_engine(env, handle, monitor, move |loaded| {
        let asked = loaded.resolve(&asked)?;
        let path = PathBuf::from(path);
        asked.check_room(&path)?;
        let scan = Scan::read(&path, asked.index, &shared)?;
        run(loaded, scan, asked, &shared)
    })
}

/// Segments a volume of Hounsfield units.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn segment_volume<'env>(
    env: &'env Env,
    handle: u32,
    geometry: String,
    data: TypedArray,
    asked: String,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let (shared, voxels) = (monitor.share(), voxels(&data));
    on_engine(env, handle, monitor, move |loaded| {
        let asked = loaded.resolve(&asked)?;
        run(loaded, Scan::given(&geometry, voxels)?, asked, &shared)
    })
}

fn run(loaded: &Loaded, scan: Scan, asked: Resolved, shared: &Arc<Shared>) -> std::result::Result<Success, Failure> {
    let clock = Instant::now();
    let _released = Released;
    let Scan { ct, oriented, mut warnings, load_seconds, read_bytes, held_bytes } = scan;
    let request = Request { oriented, held_bytes, read_bytes, ..asked.request };
    let mut found = loaded.segmenter.segment(&ct, &request, &**shared)?;
    drop(ct);
    warnings.extend(asked.warnings);
    warnings.append(&mut found.warnings);
    let total_seconds = load_seconds + clock.elapsed().as_secs_f64();
    answer(&asked.prompts, found, oriented, warnings, load_seconds, total_seconds)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    geometry: Geometry,
    targets: Vec<FoundTarget<'a>>,
    structures: Vec<MeasuredStructure>,
    seconds: Seconds,
    memory: Memory,
    tile: [usize; 3],
    cleared_in_air: u64,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundTarget<'a> {
    value: u8,
    name: &'a str,
    prompt: &'a str,
    voxels: u64,
    volume_ml: f64,
}

#[derive(Serialize)]
struct Seconds {
    load: f64,
    prepare: f64,
    network: f64,
    restore: f64,
    total: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names)] // The contract's names, with their unit.
struct Memory {
    budget_bytes: Option<u64>,
    predicted_bytes: u64,
    peak_bytes: u64,
}

fn answer(
    prompts: &[String],
    found: Segmentation,
    oriented: bool,
    warnings: Vec<Warning>,
    load: f64,
    total: f64,
) -> std::result::Result<Success, Failure> {
    let targets = found.targets.iter().enumerate().map(|(place, target)| FoundTarget {
        value: target.value,
        name: &target.name,
        prompt: prompts.get(place).unwrap_or(&target.prompt),
        voxels: target.voxels,
        volume_ml: target.volume_ml,
    });
    let answer = Answer {
        geometry: Geometry::of(&found.labels.grid, oriented),
        targets: targets.collect(),
        structures: found.structures.into_iter().map(MeasuredStructure::from).collect(),
        seconds: Seconds {
            load,
            prepare: found.seconds.prepare,
            network: found.seconds.network,
            restore: found.seconds.restore,
            total,
        },
        memory: Memory {
            budget_bytes: found.memory.budget_bytes,
            predicted_bytes: found.memory.predicted_bytes,
            peak_bytes: peak_bytes(),
        },
        tile: found.tile,
        cleared_in_air: found.cleared_in_air,
        warnings,
    };
    let mut arrays = vec![Either10::B(found.labels.data.into())];
    arrays.extend(found.probabilities.map(|values| Either10::G(values.into())));
    Success::with_arrays(&answer, arrays)
}

fn on_engine<'env>(
    env: &'env Env,
    handle: u32,
    monitor: &CallMonitor,
    work: impl FnOnce(&Loaded) -> std::result::Result<Success, Failure> + Send + 'static,
) -> Result<Object<'env>> {
    match SEGMENTERS.get(handle) {
        Ok(loaded) => Engine::tensors(loaded.threads)?.cancellable(env, monitor, move || work(&loaded)),
        Err(failure) => Engine::workers()?.promise(env, move || Err(failure)),
    }
}
