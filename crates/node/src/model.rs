//! Models and the machine, told.

use std::path::PathBuf;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_model::weights;
use serde::Serialize;

use crate::engine::{Engine, available_threads};
use crate::outcome::Success;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelInfo<'a> {
    name: &'a str,
    preset: &'static str,
    spacing_mm: [f64; 3],
    parameters: usize,
    targets: Vec<TargetInfo<'a>>,
    text_encoder: &'a str,
}

#[derive(Serialize)]
struct TargetInfo<'a> {
    name: &'a str,
    value: u8,
    prompt: &'a str,
}

/// Loads a model, which checks all of it, and says what it is.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn verify_model(env: &Env, model: String) -> Result<Object<'_>> {
    Engine::workers()?.promise(env, move || {
        let (plan, parameters) = weights::load(&PathBuf::from(model))?;
        let targets = plan.targets.iter().map(|target| TargetInfo {
            name: &target.name,
            value: target.value,
            prompt: &target.prompt,
        });
        Success::json(&ModelInfo {
            name: &plan.name,
            preset: plan.network.preset(),
            spacing_mm: plan.spacing_mm,
            parameters: parameters.element_count(),
            targets: targets.collect(),
            text_encoder: &plan.text_encoder.id,
        })
    })
}

/// What this build and machine are.
#[napi(object, object_from_js = false)]
pub struct MachineHealth {
    pub version: String,
    pub threads: u32,
    /// The widest vector instructions the kernels use here.
    pub simd: String,
}

/// Looks at the build and the processor.
#[napi(catch_unwind)]
pub fn health() -> MachineHealth {
    MachineHealth {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        threads: u32::try_from(available_threads()).unwrap_or(u32::MAX),
        simd: format!("{:?}", pulmoav_ops::simd::Level::current()).to_lowercase(),
    }
}
