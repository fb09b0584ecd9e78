//! Training: the state lives here, the loop in `src/train/loop.ts`.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_plan::Plan;
use pulmoav_train::{Facts, Setup, StepConfig, StepSettings, Trainer};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::{Failure, Success, parse};
use crate::registry::Registry;

static TRAINERS: Registry<OpenTrainer> = Registry::new("trainer");

struct OpenTrainer {
    trainer: Mutex<Trainer>,
    threads: usize,
}

impl OpenTrainer {
    fn with<T>(&self, work: impl FnOnce(&mut Trainer) -> T) -> T {
        work(&mut self.trainer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OpenRequest {
    plan: Plan,
    step: StepConfig,
    dataset: PathBuf,
    fold: usize,
    cache: PathBuf,
    text: Option<PathBuf>,
    init: Option<PathBuf>,
    resume: Option<PathBuf>,
    threads: usize,
}

#[derive(Serialize)]
struct Opened<'a> {
    handle: u32,
    #[serde(flatten)]
    facts: &'a Facts,
}

/// Prepares the data set and builds the network, new or from a checkpoint.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn open_trainer<'env>(env: &'env Env, request: String, monitor: &CallMonitor) -> Result<Object<'env>> {
    let shared = monitor.share();
    let request: OpenRequest = match parse("the training setup", &request) {
        Ok(request) => request,
        Err(failure) => return Engine::workers()?.promise(env, move || Err(failure)),
    };
    let threads = request.threads;
    Engine::tensors(threads)?.cancellable(env, monitor, move || {
        let setup = Setup {
            plan: request.plan,
            step: request.step,
            dataset: &request.dataset,
            fold: request.fold,
            cache: &request.cache,
            text: request.text.as_deref(),
            init: request.init.as_deref(),
            resume: request.resume.as_deref(),
        };
        let trainer = Trainer::open(setup, &*shared)?;
        let facts = trainer.facts().clone();
        let handle = TRAINERS.keep(OpenTrainer { trainer: Mutex::new(trainer), threads });
        Success::json(&Opened { handle, facts: &facts })
    })
}

/// Takes one step.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn train_step(env: &Env, handle: u32, step: u32, settings: String) -> Result<Object<'_>> {
    on_engine(env, handle, move |open| {
        let settings: StepSettings = parse("the step's settings", &settings)?;
        Success::json(&open.with(|trainer| trainer.step(u64::from(step), &settings))?)
    })
}

#[derive(Serialize)]
struct Validated<T> {
    cases: T,
}

/// Segments and scores validation cases with the moving average (EMA) of the weights.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn validate_trainer<'env>(env: &'env Env, handle: u32, cases: u32, monitor: &CallMonitor) -> Result<Object<'env>> {
    match TRAINERS.get(handle) {
        Ok(open) => {
            let shared = monitor.share();
            Engine::tensors(open.threads)?.cancellable(env, monitor, move || {
                let cases = open.with(|trainer| trainer.validate(cases as usize, &*shared))?;
                Success::json(&Validated { cases })
            })
        }
        Err(failure) => refused(env, failure),
    }
}

/// Writes a model directory with the training state beside.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn save_trainer(env: &Env, handle: u32, directory: String) -> Result<Object<'_>> {
    on_engine(env, handle, move |open| {
        open.with(|trainer| trainer.save(&PathBuf::from(directory)))?;
        Success::json(&())
    })
}

/// Lets go of a trainer.
#[napi(catch_unwind)]
pub fn close_trainer(handle: u32) {
    TRAINERS.drop(handle);
}

fn on_engine(
    env: &Env,
    handle: u32,
    work: impl FnOnce(&OpenTrainer) -> std::result::Result<Success, Failure> + Send + 'static,
) -> Result<Object<'_>> {
    match TRAINERS.get(handle) {
        Ok(open) => Engine::tensors(open.threads)?.promise(env, move || work(&open)),
        Err(failure) => refused(env, failure),
    }
}

fn refused(env: &Env, failure: Failure) -> Result<Object<'_>> {
    Engine::workers()?.promise(env, move || Err(failure))
}
