//! Words: tokens, embeddings, and what a prompt means.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::{Either, Float32Array, Null, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_model::ModelError;
use pulmoav_ops::device::{Chosen, Device};
use pulmoav_text::{Encoded, TextCache, TextModel, Tower};
use pulmoav_train::tower::{TowerConfig, train_tower as train_tower_tensors};

use crate::engine::{Engine, Place, available_threads};
use crate::monitor::CallMonitor;
use crate::outcome::{ErrorInfo, Failure, parse};

/// What a prompt was understood as.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Understood {
    /// The prompt as it was given.
    pub text: String,
    /// Its token ids, with start and end.
    pub ids: Vec<u32>,
    /// Whether it was longer than 77 tokens and was cut.
    pub truncated: bool,
    /// The target's name, or `null` where the words mean nothing the model knows.
    pub target: Option<String>,
    /// How sure that is, 0 to 1.
    pub confidence: f64,
}

/// Prompts as the network would be given them.
#[napi(object, object_from_js = false)]
pub struct EncodedText {
    /// Token ids of each prompt, with start and end, no padding.
    pub ids: Vec<Vec<u32>>,
    /// Numbers of one embedding.
    pub width: u32,
    /// Prompts × width, row after row.
    pub embeddings: Float32Array,
}

impl From<Encoded> for EncodedText {
    fn from(Encoded { ids, embeddings, width }: Encoded) -> Self {
        Self { ids, width: width as u32, embeddings: embeddings.into() }
    }
}

/// All threads, and the device of that name.
fn everywhere(device: &str) -> std::result::Result<Place, Failure> {
    Place::named(device, u32::try_from(available_threads()).unwrap_or(u32::MAX))
}

/// What a model takes each prompt to mean.
#[napi(catch_unwind)]
pub fn understand(
    env: &Env,
    model: String,
    prompts: Vec<String>,
    device: String,
) -> Result<PromiseRaw<'_, Either<Vec<Understood>, ErrorInfo>>> {
    let place = match everywhere(&device) {
        Ok(place) => place,
        Err(failure) => return Engine::refused(env, failure),
    };
    Engine::at(place)?.promise_with_device(env, move |Chosen { device, .. }| {
        let resolutions = TextModel::open(&PathBuf::from(model), device)?.resolve(&prompts)?;
        let prompts = prompts.into_iter().zip(resolutions).map(|(text, resolution)| Understood {
            text,
            ids: resolution.ids,
            truncated: resolution.truncated,
            target: resolution.target.map(ToOwned::to_owned),
            confidence: f64::from(resolution.confidence),
        });
        Ok(prompts.collect())
    })
}

/// Token ids and embeddings of prompts; at once, without a promise, where all are known.
#[napi(catch_unwind)]
pub fn encode_text(
    env: &Env,
    model: String,
    prompts: Vec<String>,
    device: String,
) -> Result<Either<EncodedText, PromiseRaw<'_, Either<EncodedText, ErrorInfo>>>> {
    static CACHE: Mutex<Option<TextCache>> = Mutex::new(None);
    let model = PathBuf::from(model);
    // Held by an engine that computes, the cache is not waited for.
    let known = CACHE.try_lock().ok().and_then(|cache| cache.as_ref()?.known(&model, &prompts));
    if let Some(known) = known {
        return Ok(Either::A(known.into()));
    }
    let place = match everywhere(&device) {
        Ok(place) => place,
        Err(failure) => return Ok(Either::B(Engine::refused(env, failure)?)),
    };
    let promise = Engine::at(place)?.promise_with_device(env, move |Chosen { device, .. }| {
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(cache.get_or_insert_default().encode(&model, &prompts, device)?.into())
    })?;
    Ok(Either::B(promise))
}

/// Trains the small text tower and writes its tensors; `config` is JSON of the schema in `src/config/train.ts`.
#[napi(catch_unwind)]
pub fn train_tower<'env>(
    env: &'env Env,
    config: String,
    path: String,
    device: String,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Null, ErrorInfo>>> {
    let shared = monitor.share();
    let place = match everywhere(&device) {
        Ok(place) => place,
        Err(failure) => return Engine::refused(env, failure),
    };
    Engine::at(place)?.with_device(env, monitor, move |Chosen { device, .. }| {
        let config: TowerConfig = parse("the tower's config", &config)?;
        train_tower_tensors(&config, device, &*shared)?.save(&PathBuf::from(path))?;
        Ok(Null)
    })
}

/// Takes the text tensors of a model over into a file of their own.
#[napi(catch_unwind)]
pub fn copy_text_tower(env: &Env, model: String, path: String) -> Result<PromiseRaw<'_, Either<Null, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || {
        Tower::of_model(&PathBuf::from(model))?.save(&PathBuf::from(path))?;
        Ok(Null)
    })
}

/// A config's plan with the embeddings of its prompts, as JSON both; `text` is a file of text tensors, or a text model's
/// directory.
#[napi(catch_unwind)]
pub fn complete_plan(env: &Env, plan: String, text: String) -> Result<PromiseRaw<'_, Either<String, ErrorInfo>>> {
    Engine::threads(available_threads())?.promise(env, move || {
        let text = PathBuf::from(text);
        let model =
            if text.is_dir() { TextModel::open(&text, &Device::Cpu)? } else { TextModel::Tower(Tower::load(&text)?) };
        let plan = model.complete(&plan).map_err(|error| match error {
            ModelError::Plan(source) => Failure::from(source),
            other => Failure::from(other),
        })?;
        serde_json::to_string(&plan).map_err(|error| Failure::from_error("ERR_INTERNAL", &error))
    })
}
