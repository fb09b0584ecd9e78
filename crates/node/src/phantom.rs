//! Phantoms, written as cases of a data set.

use std::path::PathBuf;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_phantom::{Phantom, PhantomConfig, Scan, Statistics, generate};
use pulmoav_volume::formats::{self, Place};
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
    files: CaseFiles,
}

/// Where a case's volumes go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFiles {
    image: PathBuf,
    label: PathBuf,
    lungs: PathBuf,
    airways: PathBuf,
    anatomy: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CaseAnswer<'a> {
    phase: pulmoav_phantom::Phase,
    statistics: &'a Statistics,
    scan: &'a Scan,
}

/// Makes one phantom and writes its CT, its label map, its lungs (1 left, 2 right), its airways and its anatomy.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn phantom_case<'env>(env: &'env Env, request: String, monitor: &CallMonitor) -> Result<Object<'env>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let CaseRequest { config, annotated_lungs, files }: CaseRequest = parse("the phantom's request", &request)?;
        let mut phantom = generate(&config, &*shared)?;
        if annotated_lungs != [1, 2] {
            phantom.keep_annotated(&annotated_lungs);
        }
        formats::write(&files.image, &phantom.ct.data, 1, &Place::of(&phantom.ct.grid), &*shared)?;
        let maps = [
            (&files.label, &phantom.labels),
            (&files.lungs, &phantom.lungs),
            (&files.airways, &phantom.airways),
            (&files.anatomy, &phantom.anatomy),
        ];
        for (file, map) in maps {
            formats::write(file, &map.data, 1, &Place::of(&map.grid), &*shared)?;
        }
        let Phantom { phase, statistics, scan, .. } = &phantom;
        Success::json(&CaseAnswer { phase: *phase, statistics, scan })
    })
}
