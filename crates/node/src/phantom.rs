//! Phantoms, written as cases of a data set.

use std::path::PathBuf;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_phantom::{PhantomConfig, Statistics, generate};
use pulmoav_volume::formats;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::{Success, parse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CaseRequest {
    config: PhantomConfig,
    /// 1 keeps the left lung's vessels, 2 the right's; both are kept where both are named.
    annotated_lungs: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CaseAnswer<'a> {
    phase: pulmoav_phantom::Phase,
    statistics: &'a Statistics,
}

/// Makes one phantom and writes its CT, its label map, its lungs (1 left, 2 right) and its airways.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn phantom_case<'env>(
    env: &'env Env,
    request: String,
    image: String,
    label: String,
    lungs: String,
    airways: String,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let request: CaseRequest = parse("the phantom's request", &request)?;
        let mut phantom = generate(&request.config, &*shared)?;
        if request.annotated_lungs != [1, 2] {
            phantom.keep_annotated(&request.annotated_lungs);
        }
        formats::write(&PathBuf::from(image), &phantom.ct.data, 1, &phantom.ct.grid, None, &*shared)?;
        formats::write(&PathBuf::from(label), &phantom.labels.data, 1, &phantom.labels.grid, None, &*shared)?;
        formats::write(&PathBuf::from(lungs), &phantom.lungs.data, 1, &phantom.lungs.grid, None, &*shared)?;
        formats::write(&PathBuf::from(airways), &phantom.airways.data, 1, &phantom.airways.grid, None, &*shared)?;
        Success::json(&CaseAnswer { phase: phantom.phase, statistics: &phantom.statistics })
    })
}
