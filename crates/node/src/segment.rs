//! Segmenting: a loaded model, and the scans that go through it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use napi::bindgen_prelude::{Either, Float32Array, Null, PromiseRaw, ToNapiValue};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_anatomy::Structure;
use pulmoav_model::{Parameters, weights};
use pulmoav_ops::device::{Choice, Chosen, Compute, Device, DeviceError, choose};
use pulmoav_segment::budget::check_scan;
use pulmoav_segment::keep::values;
use pulmoav_segment::prompt::resolve;
use pulmoav_segment::words::targets_of;
use pulmoav_segment::{Request, Segmenter};
use pulmoav_text::{Tokenizer, Tower};
use pulmoav_volume::hounsfield::Hounsfield;
use pulmoav_volume::image::Header;
use pulmoav_volume::{Grid, Volume, with_hounsfield};

use crate::engine::{Engine, Place};
use crate::memory::{Afterwards, Job, peak_bytes};
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure, Outcome};
use crate::registry::Registry;
use crate::scan::{Part, Scan};
use crate::structure::MeasuredStructure;
use crate::tidy::TidyCounts;
use crate::volume::{Axes, Given, LabelMap, VoxelVolume, axes};
use crate::warning::Warning;

static SEGMENTERS: Registry<Loaded> = Registry::new("segmenter");

struct Loaded {
    segmenter: Segmenter,
    tower: Tower,
    place: Place,
}

/// Loads a model directory, or those of several folds, which then answer together, and gives its number; if no text
/// tower travels with the first, that of the model `words` reads the prompts. Of several devices each gets a copy, and a
/// share of the tiles.
#[napi(catch_unwind)]
pub fn load_segmenter<'env>(
    env: &'env Env,
    models: Vec<String>,
    words: String,
    devices: Vec<String>,
    precision: String,
    threads: u32,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<u32, ErrorInfo>>> {
    let [device, others @ ..] = devices.as_slice() else {
        return Engine::refused(env, Failure::new("ERR_INTERNAL", "no device was named"));
    };
    let (others, place) = match others_and_place(device, others, threads) {
        Ok(found) => found,
        Err(failure) => return Engine::refused(env, failure),
    };
    Engine::at(place)?.with_device(env, monitor, move |Chosen { device, .. }| {
        let [first, more @ ..] = models.as_slice() else {
            return Err(Failure::new("ERR_INTERNAL", "no model was named"));
        };
        let (plan, parameters) = weights::load(Path::new(first))?;
        let has_text = parameters.frozen_iter().any(|(name, _)| name.starts_with("text."));
        let tower = if has_text {
            let tower = Tower::from_tensors(parameters.frozen_iter())?;
            tower.check_made(&plan)?;
            tower
        } else {
            Tower::of_model(&PathBuf::from(words))?
        };
        let on = |device: &Device, plan, parameters: Parameters| -> std::result::Result<Segmenter, Failure> {
            let compute = Compute::named(device, &precision)?;
            let mut segmenter = Segmenter::new(plan, &mut parameters.on(&compute)?)?;
            for model in more {
                let (plan, parameters) = weights::load(Path::new(model))?;
                segmenter.add_fold(&plan, &mut parameters.on(&compute)?)?;
            }
            Ok(segmenter)
        };
        let mut segmenter = on(device, plan, parameters)?;
        for other in others {
            let (plan, parameters) = weights::load(Path::new(first))?;
            segmenter.add_device(on(&choose(other)?.device, plan, parameters)?)?;
        }
        Ok(SEGMENTERS.keep(Loaded { segmenter, tower, place }))
    })
}

/// Where the first device's engine is, and the other devices.
pub fn others_and_place(
    first: &str,
    others: &[String],
    threads: u32,
) -> std::result::Result<(Vec<Choice>, Place), Failure> {
    let others = others.iter().map(|name| name.parse()).collect::<std::result::Result<_, DeviceError>>()?;
    Ok((others, Place::named(first, threads)?))
}

/// Frees a loaded model.
#[napi(catch_unwind)]
pub fn dispose_segmenter(handle: u32) {
    let _memory = Job::begin(Afterwards::Release);
    SEGMENTERS.drop(handle);
}

/// What is asked of one scan.
#[napi(object, object_to_js = false, use_nullable = true)]
#[allow(clippy::struct_excessive_bools)] // One for each of JavaScript's options.
pub struct SegmentRequest {
    /// What to look for; `null`: the plan's own prompts.
    pub prompts: Option<Vec<String>>,
    /// Whether probabilities are returned.
    pub probabilities: bool,
    /// Whether the lungs are written into the label map.
    pub keep_lungs: bool,
    /// Whether the airways are.
    pub keep_airways: bool,
    /// Whether labels are post-processed; `null`: as the plan says.
    pub postprocess: Option<bool>,
    /// Share of a tile by which tiles move on; `null`: as the plan says.
    pub step: Option<f64>,
    /// `true`: each window is seen as it is and mirrored; `false`: none is; `null`: as the plan says.
    pub mirror: Option<bool>,
    /// Whether each branch gets one class; `null`: as the plan says.
    pub tidy: Option<bool>,
    /// Whether a prompt with a side is refused where the sides are unclear.
    pub strict: bool,
    /// Which volume of a file with four or more axes.
    pub index: Option<u32>,
    /// Which series of DICOM, by UID or by number in the list; `null`: the rule chooses.
    pub series: Option<String>,
    /// Tiles that a card is shown at a time; `null`: as many as fit.
    pub tiles_at_once: Option<u32>,
    /// Most memory the process may use, bytes.
    pub max_memory_bytes: Option<f64>,
}

/// A request whose prompts mean something.
struct Resolved {
    prompts: Vec<String>,
    request: Request,
    part: Part,
    warnings: Vec<pulmoav_task::Warning>,
}

impl Resolved {
    /// Refuses a file that the memory limit leaves no room to read, by its header.
    fn check_room(&self, path: &Path, shared: &Shared) -> std::result::Result<(), Failure> {
        if self.request.max_memory_bytes.is_none() {
            return Ok(());
        }
        let (grid, request) = self.of_header(path, shared)?;
        Ok(check_scan(&grid, &request)?)
    }

    /// A file's grid, and the request with what reading it takes.
    fn of_header(&self, path: &Path, shared: &Shared) -> std::result::Result<(Grid, Request), Failure> {
        let Header { grid, data_type, scaling, oriented, .. } = self.part.header(path, shared)?;
        let voxel_bytes = Hounsfield::likely_voxel_bytes(data_type, scaling);
        let read_bytes = (grid.len() * Hounsfield::bytes_beside(data_type, scaling, voxel_bytes)) as u64;
        Ok((grid, Request { voxel_bytes: voxel_bytes as u64, read_bytes, oriented, ..self.request.clone() }))
    }
}

impl Loaded {
    /// Refuses what can be refused before a scan is read.
    fn resolve(&self, asked: SegmentRequest) -> std::result::Result<Resolved, Failure> {
        let prompts = asked.prompts.unwrap_or_default();
        let targets = targets_of(&prompts, self.segmenter.plan(), Some(&self.tower))?;
        resolve(&targets, self.segmenter.plan(), true)?;
        let SegmentRequest { probabilities, postprocess, step, mirror, tidy, strict, .. } = asked;
        let max_memory_bytes = asked.max_memory_bytes.map(|bytes| bytes as u64);
        let keep = kept(asked.keep_lungs, asked.keep_airways);
        values(&keep, self.segmenter.plan())?;
        let request = Request {
            targets,
            probabilities,
            keep,
            postprocess,
            step,
            mirror,
            tidy,
            strict,
            batch: asked.tiles_at_once.map(|tiles| tiles as usize),
            max_memory_bytes,
            ..Request::default()
        };
        let warnings = prompts.iter().filter_map(|prompt| truncation(prompt)).collect();
        let part = Part { index: asked.index, series: asked.series };
        Ok(Resolved { prompts, request, part, warnings })
    }
}

/// What to say where a prompt is longer than the text encoder reads.
pub fn truncation(prompt: &str) -> Option<pulmoav_task::Warning> {
    let start: String = prompt.chars().take(40).collect();
    Tokenizer::shared().prompt(prompt).truncated.then(|| {
        pulmoav_task::Warning::new(
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
#[napi(catch_unwind)]
pub fn segment_file<'env>(
    env: &'env Env,
    handle: u32,
    path: String,
    asked: SegmentRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Segmentation, ErrorInfo>>> {
    let shared = monitor.share();
    on_engine(env, handle, monitor, move |loaded| {
        let asked = loaded.resolve(asked)?;
        let path = PathBuf::from(path);
        asked.check_room(&path, &shared)?;
        let scan = Scan::read(&path, &asked.part, &shared)?;
        run(loaded, scan, asked, &shared)
    })
}

/// What segmenting a scan will take.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Forecast {
    /// The scan's voxels along `[z, y, x]`.
    pub shape: Axes,
    /// What the network will see at once, voxels `[z, y, x]`.
    pub tile: Axes,
    /// How many times it will look, folds and mirrored copies counted.
    pub tiles: f64,
    /// The process's peak, bytes.
    pub memory_bytes: f64,
    /// The card's memory; `null` on the CPU.
    pub card: Option<CardMemory>,
    /// Wall time, s.
    pub seconds: f64,
}

/// A forecast as JavaScript gets it.
pub fn forecast(grid: &Grid, found: pulmoav_segment::Forecast) -> Forecast {
    Forecast {
        shape: axes(grid.shape),
        tile: axes(found.tile),
        tiles: found.tiles as f64,
        memory_bytes: found.memory_bytes as f64,
        card: found.card.map(CardMemory::from),
        seconds: found.seconds,
    }
}

/// Foretells what segmenting a file will take, by its header and one tile.
#[napi(catch_unwind)]
pub fn foretell_file<'env>(
    env: &'env Env,
    handle: u32,
    path: String,
    asked: SegmentRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Forecast, ErrorInfo>>> {
    let shared = monitor.share();
    on_engine(env, handle, monitor, move |loaded| {
        let (grid, request) = loaded.resolve(asked)?.of_header(&PathBuf::from(path), &shared)?;
        Ok(forecast(&grid, loaded.segmenter.foretell(&grid, &request)?))
    })
}

/// Segments a volume of Hounsfield units.
#[napi(catch_unwind)]
pub fn segment_volume<'env>(
    env: &'env Env,
    handle: u32,
    volume: VoxelVolume,
    asked: SegmentRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Segmentation, ErrorInfo>>> {
    let (shared, given) = (monitor.share(), Given::copy(&volume));
    on_engine(env, handle, monitor, move |loaded| {
        let asked = loaded.resolve(asked)?;
        run(loaded, Scan::given(given)?, asked, &shared)
    })
}

fn run(
    loaded: &Loaded,
    scan: Scan,
    asked: Resolved,
    shared: &Arc<Shared>,
) -> std::result::Result<Segmentation, Failure> {
    let clock = Instant::now();
    let Scan { hu, grid, oriented, mut warnings, load_seconds, read_bytes, held_bytes } = scan;
    let request = Request { oriented, held_bytes, read_bytes, ..asked.request };
    let mut found = with_hounsfield!(hu, data => {
        loaded.segmenter.segment(&Volume { data, grid }, &request, &**shared)
    })?;
    warnings.extend(asked.warnings);
    warnings.append(&mut found.warnings);
    found.warnings = warnings;
    let total_seconds = load_seconds + clock.elapsed().as_secs_f64();
    Ok(answer(&asked.prompts, found, oriented, load_seconds, total_seconds))
}

/// The result of segmenting one scan.
#[napi(object, object_from_js = false)]
pub struct Segmentation {
    /// Label map on the scan's own grid; 0 is background.
    pub labels: LabelMap,
    /// `[prompt, z, y, x]`, prompt slowest, on the scan's own grid; there when asked for.
    pub probabilities: Option<Float32Array>,
    /// What was asked for and found.
    pub targets: Vec<SegmentedTarget>,
    /// What was kept beside the vessels, with its values in `labels`; empty where nothing was to be.
    pub structures: Vec<MeasuredStructure>,
    /// Wall time by stage.
    pub seconds: SegmentSeconds,
    /// Memory: allowed, predicted before the run, and the process's peak.
    pub memory: SegmentMemory,
    /// What the network saw at once, voxels `[z, y, x]` of the plan's grid.
    pub tile: Axes,
    /// Labelled voxels below −900 HU, which is air, that were cleared.
    pub cleared_in_air: f64,
    /// How far the network doubts which class the vessels in the lungs are: the mean share of the less probable one of
    /// artery and vein, 0 (certain) to 0.5; `null` where not both were asked for, or the network does not say.
    pub class_doubt: Either<f64, Null>,
    /// What giving each branch one class changed; `null` where that was not done.
    pub tidied: Either<TidyCounts, Null>,
    /// What a user should know.
    pub warnings: Vec<Warning>,
}

/// One target's share of the label map.
#[napi(object, object_from_js = false)]
pub struct SegmentedTarget {
    /// Value in the label map.
    pub value: u8,
    /// Target's name.
    pub name: String,
    /// The prompt that resolved to it.
    pub prompt: String,
    /// Voxels with this value.
    pub voxels: f64,
    /// Their volume in ml.
    pub volume_ml: f64,
}

/// Wall time of segmenting one scan, s.
#[napi(object, object_from_js = false)]
pub struct SegmentSeconds {
    pub load: f64,
    pub prepare: f64,
    pub network: f64,
    pub restore: f64,
    pub tidy: f64,
    pub total: f64,
}

/// Memory of segmenting one scan.
#[napi(object, object_from_js = false, use_nullable = true)]
#[allow(clippy::struct_field_names)] // The contract's names, with their unit.
pub struct SegmentMemory {
    /// What was allowed; `null`: no limit.
    pub budget_bytes: Option<f64>,
    /// What was predicted before the run.
    pub predicted_bytes: f64,
    /// The process's peak.
    pub peak_bytes: f64,
    /// That of the card; `null` on the CPU.
    pub card: Option<CardMemory>,
}

/// Memory of a card while it looks at one scan.
#[napi(object, object_from_js = false)]
pub struct CardMemory {
    /// What it had free when the run began, bytes; the weights are there already.
    pub free_bytes: f64,
    /// What the scan was foreseen to take of it at most, bytes.
    pub predicted_bytes: f64,
    /// Tiles that were shown at a time; labels do not depend on it.
    pub tiles_at_once: f64,
    /// Those that there was to be room for; more than `tilesAtOnce` where there was none after all.
    pub wanted_tiles_at_once: f64,
    /// Whether the card resamples the scan and, where it works alone, decides its labels; `false`: the host does, since
    /// there is no room for it, or since the model answers with classes.
    pub whole_scan: bool,
}

impl From<pulmoav_segment::CardMemory> for CardMemory {
    fn from(told: pulmoav_segment::CardMemory) -> Self {
        Self {
            free_bytes: told.free_bytes as f64,
            predicted_bytes: told.predicted_bytes as f64,
            tiles_at_once: told.batch as f64,
            wanted_tiles_at_once: told.wanted_batch as f64,
            whole_scan: told.whole_scan,
        }
    }
}

fn answer(
    prompts: &[String],
    found: pulmoav_segment::Segmentation,
    oriented: bool,
    load: f64,
    total: f64,
) -> Segmentation {
    let targets = found.targets.into_iter().enumerate().map(|(place, target)| SegmentedTarget {
        value: target.value,
        name: target.name,
        prompt: prompts.get(place).cloned().unwrap_or(target.prompt),
        voxels: target.voxels as f64,
        volume_ml: target.volume_ml,
    });
    Segmentation {
        targets: targets.collect(),
        labels: LabelMap::of(found.labels, oriented),
        probabilities: found.probabilities.map(Float32Array::from),
        structures: found.structures.into_iter().map(MeasuredStructure::from).collect(),
        seconds: SegmentSeconds {
            load,
            prepare: found.seconds.prepare,
            network: found.seconds.network,
            restore: found.seconds.restore,
            tidy: found.seconds.tidy,
            total,
        },
        memory: SegmentMemory {
            budget_bytes: found.memory.budget_bytes.map(|bytes| bytes as f64),
            predicted_bytes: found.memory.predicted_bytes as f64,
            peak_bytes: peak_bytes() as f64,
            card: found.memory.card.map(CardMemory::from),
        },
        tile: axes(found.tile),
        cleared_in_air: found.cleared_in_air as f64,
        class_doubt: found.class_doubt.map_or(Either::B(Null), Either::A),
        tidied: found.tidied.as_ref().map_or(Either::B(Null), |report| Either::A(TidyCounts::of(report))),
        warnings: found.warnings.into_iter().map(Warning::from).collect(),
    }
}

fn on_engine<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    handle: u32,
    monitor: &CallMonitor,
    work: impl FnOnce(&Loaded) -> std::result::Result<T, Failure> + Send + 'static,
) -> Result<PromiseRaw<'env, Outcome<T>>> {
    match SEGMENTERS.get(handle) {
        Ok(loaded) => Engine::at(loaded.place)?.cancellable(env, monitor, move || work(&loaded)),
        Err(failure) => Engine::refused(env, failure),
    }
}
