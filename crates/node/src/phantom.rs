//! Phantoms, written as cases of a data set.

use std::path::Path;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_phantom::{Phantom, PhantomConfig, Phase, Size, Style, generate};
use pulmoav_volume::formats::{self, Place};

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::{ErrorInfo, Failure};

/// One phantom to make; its phase is drawn.
#[napi(object, object_to_js = false)]
pub struct PhantomRequest {
    /// Everything random follows from this.
    pub seed: f64,
    pub size: PhantomSize,
    pub style: PhantomStyle,
    /// Diameter in mm from which a vessel is labelled; thinner ones are only drawn.
    pub labelled_diameter_mm: f64,
    /// 1 keeps the left lung's vessels, 2 the right's; both are kept where both are named.
    pub annotated_lungs: Vec<u8>,
    pub files: PhantomFiles,
}

/// How many voxels: `small` at most 20 million, `full` 512 × 512 × about 400.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy)]
pub enum PhantomSize {
    Small,
    Full,
}

/// What kind of phantom: what real scans have, or trees by the branching law with little round the body.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy)]
pub enum PhantomStyle {
    Hospital,
    Plain,
}

/// Where a phantom's contrast medium is.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy)]
pub enum PhantomPhase {
    Arterial,
    Venous,
    Equal,
    None,
}

/// What a phantom came to.
#[napi(object, object_from_js = false)]
pub struct PhantomFacts {
    pub phase: PhantomPhase,
    /// What is in the scan, as JSON: `scan` of its case in `dataset.json`.
    pub scan: String,
}

/// Where a phantom's volumes go.
#[napi(object)]
pub struct PhantomFiles {
    /// Its CT.
    pub image: String,
    /// Its vessels.
    pub label: String,
    /// Its true lungs: 1 left, 2 right.
    pub lungs: String,
    /// Its bronchi and windpipe, wall and all.
    pub airways: String,
    /// What is where: 1 body, 3 left lung, 4 right lung, 5 airway lumen, 6 centreline of a lumen of 3 mm and more.
    pub anatomy: String,
}

/// Makes one phantom, writes its volumes and says what is in it.
#[napi(catch_unwind)]
pub fn phantom_case<'env>(
    env: &'env Env,
    request: PhantomRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<PhantomFacts, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let PhantomRequest { annotated_lungs, files, .. } = &request;
        let mut phantom = generate(&recipe(&request), &*shared)?;
        if *annotated_lungs != [1, 2] {
            phantom.keep_annotated(annotated_lungs);
        }
        let place = Place::of(&phantom.ct.grid);
        formats::write(Path::new(&files.image), &phantom.ct.data, 1, &place, &*shared)?;
        let maps = [
            (&files.label, &phantom.labels),
            (&files.lungs, &phantom.lungs),
            (&files.airways, &phantom.airways),
            (&files.anatomy, &phantom.anatomy),
        ];
        for (file, map) in maps {
            formats::write(Path::new(file), &map.data, 1, &Place::of(&map.grid), &*shared)?;
        }
        let Phantom { phase, scan, .. } = &phantom;
        let scan = serde_json::to_string(scan).map_err(|error| Failure::new("ERR_INTERNAL", error.to_string()))?;
        Ok(PhantomFacts { phase: (*phase).into(), scan })
    })
}

fn recipe(request: &PhantomRequest) -> PhantomConfig {
    PhantomConfig {
        seed: request.seed as u64,
        size: match request.size {
            PhantomSize::Small => Size::Small,
            PhantomSize::Full => Size::Full,
        },
        style: match request.style {
            PhantomStyle::Hospital => Style::Hospital,
            PhantomStyle::Plain => Style::Plain,
        },
        phase: None,
        labelled_diameter_mm: request.labelled_diameter_mm as f32,
    }
}

impl From<Phase> for PhantomPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Arterial => Self::Arterial,
            Phase::Venous => Self::Venous,
            Phase::Equal => Self::Equal,
            Phase::None => Self::None,
        }
    }
}
