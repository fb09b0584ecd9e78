//! Looking at data sets before anything is learnt from them.

use std::path::PathBuf;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_train::check::{Asked, check};
use pulmoav_train::survey::survey;

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::{Success, parse};

/// Lists a data set's cases, and what is wrong with its lists.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn survey_dataset<'env>(env: &'env Env, dataset: String, monitor: &CallMonitor) -> Result<Object<'env>> {
    Engine::workers()?.cancellable(env, monitor, move || Success::json(&survey(&PathBuf::from(dataset))?))
}

/// Looks at every voxel of a case.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn check_case<'env>(
    env: &'env Env,
    dataset: String,
    case: String,
    asked: String,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let asked: Asked = parse("the check's request", &asked)?;
        Success::json(&check(&PathBuf::from(dataset), &case, &asked, &*shared)?)
    })
}
