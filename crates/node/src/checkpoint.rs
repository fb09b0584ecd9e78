//! Checkpoints of the published family, in and out.

use std::path::PathBuf;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_checkpoint::la_caf::{ImportReport, ImportRequest, export, import};
use pulmoav_plan::LaCafVariant;

use crate::engine::Engine;
use crate::outcome::ErrorInfo;
use crate::volume::{Axes, axes};

/// Variants of the published family.
#[napi(string_enum = "kebab-case")]
#[derive(Clone, Copy)]
pub enum CheckpointVariant {
    LaCaf,
    Gap,
}

/// What a checkpoint is imported with.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct CheckpointRequest {
    /// A config's plan, JSON of the schema in `src/config/plan.ts`.
    pub plan: String,
    /// The variant; `null`: told by the tensors.
    pub variant: Option<CheckpointVariant>,
}

/// What became of every tensor of a checkpoint.
#[napi(object, object_from_js = false)]
pub struct ImportedCheckpoint {
    /// Name of the checkpoint's file, without its folder.
    pub file: String,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// `PyTorch zip`, `PyTorch legacy` or `safetensors`.
    pub container: String,
    /// The dictionary that was taken, `net` for instance; empty at the top.
    pub key: String,
    /// What every name began with, `module.` for instance.
    pub prefix: String,
    /// The variant that was told or found.
    pub variant: CheckpointVariant,
    /// The published widths are divided by this.
    pub width_divisor: u32,
    /// The only patch that the network takes, voxels, `[z, y, x]`; of variant `gap` the published one.
    pub patch: Axes,
    /// Tensors that are part of the model, with their shape and type in the file.
    pub mapped: Vec<MappedTensor>,
    /// Tensors that nothing uses, each with the reason.
    pub unused: Vec<UnusedTensor>,
}

/// A tensor of a checkpoint that is part of the model.
#[napi(object, object_from_js = false)]
pub struct MappedTensor {
    pub name: String,
    pub shape: Vec<f64>,
    pub data_type: String,
}

/// A tensor of a checkpoint that nothing uses.
#[napi(object, object_from_js = false)]
pub struct UnusedTensor {
    pub name: String,
    pub shape: Vec<f64>,
    pub reason: String,
}

/// Writes the model directory of a checkpoint.
#[napi(catch_unwind)]
pub fn import_checkpoint(
    env: &Env,
    file: String,
    directory: String,
    asked: CheckpointRequest,
) -> Result<PromiseRaw<'_, Either<ImportedCheckpoint, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || {
        let variant = asked.variant.map(|variant| match variant {
            CheckpointVariant::LaCaf => LaCafVariant::LaCaf,
            CheckpointVariant::Gap => LaCafVariant::Gap,
        });
        let request = ImportRequest { plan: &asked.plan, variant };
        Ok(import(&PathBuf::from(file), &PathBuf::from(directory), request)?.into())
    })
}

impl From<ImportReport> for ImportedCheckpoint {
    fn from(report: ImportReport) -> Self {
        let mapped = report.mapped.into_iter().map(|tensor| MappedTensor {
            name: tensor.name,
            shape: sizes(&tensor.shape),
            data_type: tensor.data_type.to_owned(),
        });
        let unused = report.unused.into_iter().map(|tensor| UnusedTensor {
            name: tensor.name,
            shape: sizes(&tensor.shape),
            reason: tensor.reason.to_owned(),
        });
        Self {
            file: report.file,
            sha256: report.sha256,
            container: report.container.to_owned(),
            key: report.key,
            prefix: report.prefix,
            variant: match report.variant {
                LaCafVariant::LaCaf => CheckpointVariant::LaCaf,
                LaCafVariant::Gap => CheckpointVariant::Gap,
            },
            width_divisor: report.width_divisor as u32,
            patch: axes(report.patch),
            mapped: mapped.collect(),
            unused: unused.collect(),
        }
    }
}

fn sizes(shape: &[usize]) -> Vec<f64> {
    shape.iter().map(|&size| size as f64).collect()
}

/// What was written of a model.
#[napi(object, object_from_js = false)]
pub struct ExportedCheckpoint {
    /// Tensors in the file.
    pub tensors: u32,
    /// Numbers in them.
    pub parameters: f64,
}

/// Writes a model's weights under PyTorch's names.
#[napi(catch_unwind)]
pub fn export_checkpoint(
    env: &Env,
    model: String,
    file: String,
) -> Result<PromiseRaw<'_, Either<ExportedCheckpoint, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || {
        let report = export(&PathBuf::from(model), &PathBuf::from(file))?;
        Ok(ExportedCheckpoint { tensors: report.tensors as u32, parameters: report.parameters as f64 })
    })
}
