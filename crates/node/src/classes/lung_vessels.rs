//! TotalSegmentator's `lung_vessels`, with its two models.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_segment::classes::ClassMemory;
use pulmoav_segment::classes::totalsegmentator::{ClassModel, LungVessels, segment_lung_vessels};

use super::answer::{Budget, Scan, Told, Wanted, answer};
use super::{Loaded, MODELS, on_engine};
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::scan::Part;
use crate::segment::Segmentation;
use crate::volume::{Given, VoxelVolume, axes};

/// Value of the first structure that is kept beside vessels: those of our own targets end at 9.
const FIRST_KEPT: u8 = 10;

/// What is asked of TotalSegmentator's `lung_vessels`.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct LungVesselsRequest {
    /// What to look for; `null`: arteries and veins.
    pub prompts: Option<Vec<String>>,
    /// Whether airways and their walls are kept too.
    pub keep_airways: bool,
    /// Whether labels keep the model's own values.
    pub raw_labels: bool,
    /// Which volume of a file with four or more axes.
    pub index: Option<u32>,
    /// Which series of DICOM, by UID or by number in the list; `null`: the rule chooses.
    pub series: Option<String>,
    /// Most memory the process may use, bytes.
    pub max_memory_bytes: Option<f64>,
}

/// Segments a file as TotalSegmentator's `lung_vessels` does, with its two loaded models.
#[napi(catch_unwind)]
pub fn segment_lung_vessels_file<'env>(
    env: &'env Env,
    lobes: u32,
    vessels: u32,
    path: String,
    asked: LungVesselsRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Segmentation, ErrorInfo>>> {
    let shared = monitor.share();
    let lobes = MODELS.get(lobes);
    on_engine(env, vessels, monitor, move |vessels| {
        let wanted = vessels.wanted(&asked)?;
        let lobes = lobes?;
        let part = Part { index: asked.index, series: asked.series.clone() };
        let memory = ClassMemory { weight_bytes: vessels.weight_bytes + lobes.weight_bytes, ..ClassMemory::default() };
        // What is foreseen for the whole scan; each model's run, on its part, is held against the limit there.
        let foreseen = Budget::of_header(&vessels.plan, &part.header(Path::new(&path), &shared)?, memory, None)?;
        let budget = Budget { allowed: asked.max_memory_bytes, ..foreseen };
        let scan = Scan::read(Path::new(&path), &part, &shared)?;
        Run { lobes: &lobes, vessels, memory, budget }.on(scan, &wanted, &shared)
    })
}

/// Segments a volume as [`segment_lung_vessels_file`] does a file.
#[napi(catch_unwind)]
pub fn segment_lung_vessels_volume<'env>(
    env: &'env Env,
    lobes: u32,
    vessels: u32,
    volume: VoxelVolume,
    asked: LungVesselsRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Segmentation, ErrorInfo>>> {
    let (shared, given) = (monitor.share(), Given::copy(&volume));
    let lobes = MODELS.get(lobes);
    on_engine(env, vessels, monitor, move |vessels| {
        let wanted = vessels.wanted(&asked)?;
        let lobes = lobes?;
        let scan = Scan::given(given)?;
        let memory = ClassMemory {
            weight_bytes: vessels.weight_bytes + lobes.weight_bytes,
            held_bytes: (scan.volume.data.len() * size_of::<f32>()) as u64,
            ..ClassMemory::default()
        };
        let foreseen = Budget::of_grid(&vessels.plan, &scan.volume.grid, memory, None)?;
        let budget = Budget { allowed: asked.max_memory_bytes, ..foreseen };
        Run { lobes: &lobes, vessels, memory, budget }.on(scan, &wanted, &shared)
    })
}

impl Loaded {
    /// What `lung_vessels` is to write: arteries and veins as our own targets, airways behind them.
    fn wanted(&self, asked: &LungVesselsRequest) -> std::result::Result<Vec<Wanted>, Failure> {
        let mut wanted = self.own_values(self.resolve(asked.prompts.as_deref())?)?;
        let is = |name: &str, stem: &str| name.to_lowercase().contains(stem);
        if asked.prompts.is_none() {
            wanted.retain(|one| asked.keep_airways || asked.raw_labels || !is(&one.name, "airway"));
        }
        if !asked.raw_labels {
            let mut next = FIRST_KEPT;
            for one in &mut wanted {
                one.to = match (is(&one.name, "arter"), is(&one.name, "vein")) {
                    (true, false) => 1,
                    (false, true) => 2,
                    _ => {
                        next += 1;
                        next - 1
                    }
                };
            }
        }
        Ok(wanted)
    }
}

/// Both models, and what they may take.
struct Run<'a> {
    lobes: &'a Loaded,
    vessels: &'a Loaded,
    memory: ClassMemory,
    budget: Budget,
}

impl Run<'_> {
    fn on(&self, scan: Scan, wanted: &[Wanted], shared: &Arc<Shared>) -> std::result::Result<Segmentation, Failure> {
        let Self { lobes, vessels, memory, budget } = *self;
        let clock = Instant::now();
        let models = LungVessels {
            lobes: ClassModel { plan: &lobes.plan, networks: &lobes.networks },
            vessels: ClassModel { plan: &vessels.plan, networks: &vessels.networks },
            memory,
            max_memory_bytes: budget.allowed.map(|bytes| bytes as u64),
        };
        let Scan { volume, oriented, mut warnings, load_seconds: load } = scan;
        let found = segment_lung_vessels(&models, volume, &**shared)?;
        warnings.extend(found.warnings.clone());
        let told = Told { oriented, warnings, load, total: load + clock.elapsed().as_secs_f64(), budget };
        answer(found, wanted, axes(vessels.plan.patch), told)
    }
}
