//! Checkpoints of the published family, in and out.

use std::path::PathBuf;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_model::export::export;
use pulmoav_model::import::{ImportRequest, import};
use pulmoav_plan::LaCafVariant;
use serde::Deserialize;
use serde_json::Value;

use crate::engine::Engine;
use crate::outcome::{Success, parse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    plan: Value,
    variant: Option<LaCafVariant>,
}

/// Writes the model directory of a checkpoint.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn import_checkpoint(env: &Env, file: String, directory: String, asked: String) -> Result<Object<'_>> {
    Engine::workers()?.promise(env, move || {
        let asked: Asked = parse("the import's request", &asked)?;
        let request = ImportRequest { plan: &asked.plan.to_string(), variant: asked.variant };
        Success::json(&import(&PathBuf::from(file), &PathBuf::from(directory), request)?)
    })
}

/// Writes a model's weights under PyTorch's names.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn export_checkpoint(env: &Env, model: String, file: String) -> Result<Object<'_>> {
    Engine::workers()?.promise(env, move || Success::json(&export(&PathBuf::from(model), &PathBuf::from(file))?))
}
