//! What files say of themselves.

use std::path::PathBuf;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_volume::formats;
use pulmoav_volume::image::{Format, Info};

use crate::engine::Engine;
use crate::outcome::ErrorInfo;
use crate::volume::{Axes, axes};
use crate::warning::Warning;

/// What a file's header says.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct FileInfo {
    /// Voxels along `[z, y, x]`.
    pub shape: Axes,
    /// Voxel size in mm along `[z, y, x]`.
    pub spacing_mm: Axes,
    /// 16 numbers, row-major: voxel `(x, y, z)` to RAS mm.
    pub affine: Vec<f64>,
    /// Where the file's axes i, j, k point to: `'RAS'` for right, front, head.
    pub axcodes: String,
    /// Stored data type, `int16` for instance.
    pub data_type: String,
    /// Byte order of the file.
    pub little_endian: bool,
    /// NIfTI's sform code; `null` for other formats.
    pub sform_code: Option<i32>,
    /// NIfTI's qform code; `null` for other formats.
    pub qform_code: Option<i32>,
    /// `nifti1`, `nifti2`, `nrrd` or `metaimage`.
    pub format: String,
    /// Lengths of the axes beyond the third; one of their volumes is named by `index`.
    pub extra: Vec<f64>,
    /// Slope and intercept of stored values, where there are any.
    pub scaling: Option<(f64, f64)>,
    /// `NO_ORIENTATION`, `FORMS_DIFFER`, `UNITS`.
    pub warnings: Vec<Warning>,
}

/// What a file's header says.
#[napi(catch_unwind)]
pub fn inspect(env: &Env, path: String) -> Result<PromiseRaw<'_, Either<FileInfo, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || Ok(formats::info(&PathBuf::from(path))?.into()))
}

impl From<Info> for FileInfo {
    fn from(info: Info) -> Self {
        Self {
            shape: axes(info.shape),
            spacing_mm: info.spacing_mm.into(),
            affine: info.affine.to_vec(),
            axcodes: info.axcodes,
            data_type: info.data_type.to_owned(),
            little_endian: info.little_endian,
            sform_code: info.sform_code,
            qform_code: info.qform_code,
            format: format_name(info.format).to_owned(),
            extra: info.extra.into_iter().map(|size| size as f64).collect(),
            scaling: info.scaling.map(Into::into),
            warnings: info.warnings.into_iter().map(Warning::from).collect(),
        }
    }
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Nifti1 => "nifti1",
        Format::Nifti2 => "nifti2",
        Format::Nrrd => "nrrd",
        Format::MetaImage => "metaimage",
    }
}
