//! Models and the machine, told.

use std::path::PathBuf;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_model::weights;
use pulmoav_plan::Target;

use crate::engine::{Engine, available_threads};
use crate::outcome::ErrorInfo;
use crate::volume::Axes;

/// What a network with its plan is.
#[napi(object, object_from_js = false)]
pub struct NetworkInfo {
    /// The plan's name.
    pub name: String,
    /// `pulmoav` or `la-caf`.
    pub preset: String,
    /// Voxel size the network works at, mm, `[z, y, x]`.
    pub spacing_mm: Axes,
    /// Parameters of the network.
    pub parameters: f64,
    /// What can be asked for.
    pub targets: Vec<TargetInfo>,
    /// Id of the text encoder whose embeddings the plan holds.
    pub text_encoder: String,
}

/// What can be asked for.
#[napi(object, object_from_js = false)]
pub struct TargetInfo {
    pub name: String,
    pub value: u8,
    pub prompt: String,
}

impl From<Target> for TargetInfo {
    fn from(Target { name, value, prompt, .. }: Target) -> Self {
        Self { name, value, prompt }
    }
}

/// Loads a model, which checks all of it, and says what it is.
#[napi(catch_unwind)]
pub fn verify_model(env: &Env, model: String) -> Result<PromiseRaw<'_, Either<NetworkInfo, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || {
        let (plan, parameters) = weights::load(&PathBuf::from(model))?;
        Ok(NetworkInfo {
            name: plan.name,
            preset: plan.network.preset().to_owned(),
            spacing_mm: plan.spacing_mm.into(),
            parameters: parameters.element_count() as f64,
            targets: plan.targets.into_iter().map(TargetInfo::from).collect(),
            text_encoder: plan.text_encoder.id,
        })
    })
}

/// What this build and machine are.
#[napi(object, object_from_js = false)]
pub struct MachineHealth {
    pub version: String,
    pub threads: u32,
    /// Whether it has CUDA code.
    pub cuda: bool,
    /// The widest vector instructions the kernels use here.
    pub simd: String,
}

/// Looks at the build and the processor.
#[napi(catch_unwind)]
pub fn health() -> MachineHealth {
    MachineHealth {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        threads: u32::try_from(available_threads()).unwrap_or(u32::MAX),
        cuda: cfg!(feature = "cuda"),
        simd: format!("{:?}", pulmoav_ops::simd::Level::current()).to_lowercase(),
    }
}
