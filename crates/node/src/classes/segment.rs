//! Scans through a model that answers with classes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_segment::classes::words::AskedClasses;
use pulmoav_segment::classes::{ClassMemory, ClassRequest, foretell_classes, segment_classes};
use pulmoav_volume::image::Header;

use super::answer::{Budget, Scan, Told, answer};
use super::{Loaded, on_engine};
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::scan::Part;
use crate::segment::{Forecast, Segmentation, forecast, truncation};
use crate::volume::{Given, VoxelVolume, axes};

/// What is asked of a model that answers with classes.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct ClassesRequest {
    /// What to look for; `null`: every class.
    pub prompts: Option<Vec<String>>,
    /// Whether probabilities are returned: of every output, the background's first where classes exclude each other.
    pub probabilities: bool,
    /// Share of a window that it moves by; `null`: the model's own.
    pub step: Option<f64>,
    /// Whether windows are shown mirrored too, along the axes that the model allows.
    pub mirror: bool,
    /// Which volume of a file with four or more axes.
    pub index: Option<u32>,
    /// Which series of DICOM, by UID or by number in the list; `null`: the rule chooses.
    pub series: Option<String>,
    /// Most memory the process may use, bytes.
    pub max_memory_bytes: Option<f64>,
}

/// Segments files, one a channel.
#[napi(catch_unwind)]
pub fn segment_class_files<'env>(
    env: &'env Env,
    handle: u32,
    paths: Vec<String>,
    asked: ClassesRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Segmentation, ErrorInfo>>> {
    let shared = monitor.share();
    on_engine(env, handle, monitor, move |model| {
        let asked_classes = model.resolve(asked.prompts.as_deref())?;
        let memory = model.memory(&asked);
        let part = Part { index: asked.index, series: asked.series.clone() };
        let first = paths.first().ok_or_else(|| Failure::new("ERR_USAGE", "no scan was named"))?;
        let budget =
            Budget::of_header(&model.plan, &part.header(Path::new(first), &shared)?, memory, asked.max_memory_bytes)?;
        let scans = paths.iter().map(|path| Scan::read(Path::new(path), &part, &shared));
        model.segment(scans.collect::<std::result::Result<_, _>>()?, &asked, asked_classes, budget, &shared)
    })
}

/// Foretells what segmenting files will take, by the first one's header and one window.
#[napi(catch_unwind)]
pub fn foretell_class_files<'env>(
    env: &'env Env,
    handle: u32,
    paths: Vec<String>,
    asked: ClassesRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Forecast, ErrorInfo>>> {
    let shared = monitor.share();
    on_engine(env, handle, monitor, move |model| {
        model.resolve(asked.prompts.as_deref())?;
        let part = Part { index: asked.index, series: asked.series.clone() };
        let first = paths.first().ok_or_else(|| Failure::new("ERR_USAGE", "no scan was named"))?;
        let Header { grid, .. } = part.header(Path::new(first), &shared)?;
        Ok(forecast(&grid, foretell_classes(&grid, &model.request(&asked), &model.memory(&asked))?))
    })
}

/// Segments volumes, one a channel.
#[napi(catch_unwind)]
pub fn segment_class_volumes<'env>(
    env: &'env Env,
    handle: u32,
    volumes: Vec<VoxelVolume>,
    asked: ClassesRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Segmentation, ErrorInfo>>> {
    let shared = monitor.share();
    let given: Vec<Given> = volumes.iter().map(Given::copy).collect();
    on_engine(env, handle, monitor, move |model| {
        let asked_classes = model.resolve(asked.prompts.as_deref())?;
        let scans: Vec<Scan> = given.into_iter().map(Scan::given).collect::<std::result::Result<_, _>>()?;
        let held = scans.iter().map(|scan| (scan.volume.data.len() * size_of::<f32>()) as u64).sum();
        let memory = ClassMemory { held_bytes: held, ..model.memory(&asked) };
        let first = scans.first().ok_or_else(|| Failure::new("ERR_USAGE", "no scan was given"))?;
        let budget = Budget::of_grid(&model.plan, &first.volume.grid, memory, asked.max_memory_bytes)?;
        model.segment(scans, &asked, asked_classes, budget, &shared)
    })
}

impl Loaded {
    fn memory(&self, asked: &ClassesRequest) -> ClassMemory {
        ClassMemory {
            folds: self.networks.len(),
            weight_bytes: self.weight_bytes,
            mirror: asked.mirror && !self.plan.mirror_axes.is_empty(),
            probabilities: asked.probabilities,
            ..ClassMemory::default()
        }
    }

    fn request(&self, asked: &ClassesRequest) -> ClassRequest<'_> {
        ClassRequest {
            plan: &self.plan,
            networks: &self.networks,
            step: asked.step.unwrap_or(self.plan.step),
            mirror: asked.mirror,
            probabilities: asked.probabilities,
        }
    }

    fn segment(
        &self,
        scans: Vec<Scan>,
        asked: &ClassesRequest,
        asked_classes: Vec<AskedClasses>,
        budget: Budget,
        shared: &Arc<Shared>,
    ) -> std::result::Result<Segmentation, Failure> {
        let wanted = self.own_values(asked_classes)?;
        let clock = Instant::now();
        let load = scans.iter().map(|scan| scan.load_seconds).sum::<f64>();
        let oriented = scans.iter().all(|scan| scan.oriented);
        let mut warnings: Vec<_> = scans.iter().flat_map(|scan| scan.warnings.clone()).collect();
        warnings.extend(asked.prompts.iter().flatten().filter_map(|prompt| truncation(prompt)));
        let request = self.request(asked);
        let volumes = scans.into_iter().map(|scan| scan.volume).collect();
        let found = segment_classes(&request, volumes, &**shared)?;
        warnings.extend(found.warnings.clone());
        let told = Told { oriented, warnings, load, total: load + clock.elapsed().as_secs_f64(), budget };
        answer(found, &wanted, axes(self.plan.patch), told)
    }
}
