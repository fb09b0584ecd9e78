//! Words: tokens, embeddings, and what a prompt means.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::{Either, Either10, Object};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_model::ModelError;
use pulmoav_text::{Encoded, TextCache, TextModel, Tower};
use pulmoav_train::tower::{TowerConfig, train_tower as train_tower_tensors};
use serde::Serialize;

use crate::engine::{Engine, available_threads};
use crate::monitor::CallMonitor;
use crate::outcome::{Failure, Outcome, Success, parse};

#[derive(Serialize)]
struct Understood {
    text: String,
    ids: Vec<u32>,
    truncated: bool,
    target: Option<&'static str>,
    confidence: f32,
}

#[derive(Serialize)]
struct Prompts {
    prompts: Vec<Understood>,
}

#[derive(Serialize)]
struct Tokens {
    ids: Vec<Vec<u32>>,
    width: usize,
}

/// What a model takes each prompt to mean.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn understand(env: &Env, model: String, prompts: Vec<String>) -> Result<Object<'_>> {
    Engine::tensors(available_threads())?.promise(env, move || {
        let resolutions = TextModel::open(&PathBuf::from(model))?.resolve(&prompts)?;
        let prompts = prompts.into_iter().zip(resolutions).map(|(text, resolution)| Understood {
            text,
            ids: resolution.ids,
            truncated: resolution.truncated,
            target: resolution.target,
            confidence: resolution.confidence,
        });
        Success::json(&Prompts { prompts: prompts.collect() })
    })
}

/// Token ids and embeddings of prompts; at once, without a promise, where all are known.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome> | Outcome")]
pub fn encode_text(env: &Env, model: String, prompts: Vec<String>) -> Result<Either<Outcome, Object<'_>>> {
    static CACHE: Mutex<Option<TextCache>> = Mutex::new(None);
    let model = PathBuf::from(model);
    // Held by an engine that computes, the cache is not waited for.
    let known = CACHE.try_lock().ok().and_then(|cache| cache.as_ref()?.known(&model, &prompts));
    if let Some(known) = known {
        return Ok(Either::A(encoded(known).into()));
    }
    let promise = Engine::tensors(available_threads())?.promise(env, move || {
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        encoded(cache.get_or_insert_default().encode(&model, &prompts)?)
    })?;
    Ok(Either::B(promise))
}

fn encoded(Encoded { ids, embeddings, width }: Encoded) -> std::result::Result<Success, Failure> {
    Success::with_arrays(&Tokens { ids, width }, vec![Either10::G(embeddings.into())])
}

/// Trains the small text tower and writes its tensors.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn train_tower<'env>(env: &'env Env, config: String, path: String, monitor: &CallMonitor) -> Result<Object<'env>> {
    let shared = monitor.share();
    Engine::tensors(available_threads())?.cancellable(env, monitor, move || {
        let config: TowerConfig = parse("the tower's config", &config)?;
        train_tower_tensors(&config, &*shared)?.save(&PathBuf::from(path))?;
        Success::json(&())
    })
}

/// Takes the text tensors of a model over into a file of their own.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn copy_text_tower(env: &Env, model: String, path: String) -> Result<Object<'_>> {
    Engine::workers()?.promise(env, move || {
        Tower::of_model(&PathBuf::from(model))?.save(&PathBuf::from(path))?;
        Success::json(&())
    })
}

/// A config's plan with the embeddings of its prompts; `text` is a file of text tensors, or a text model's directory.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn complete_plan(env: &Env, plan: String, text: String) -> Result<Object<'_>> {
    Engine::tensors(available_threads())?.promise(env, move || {
        let text = PathBuf::from(text);
        let model = if text.is_dir() { TextModel::open(&text)? } else { TextModel::Tower(Tower::load(&text)?) };
        let plan = model.complete(&plan).map_err(|error| match error {
            ModelError::Plan(source) => Failure::from(source),
            other => Failure::from(other),
        })?;
        Success::json(&plan)
    })
}
