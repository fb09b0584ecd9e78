//! What files say of themselves.

use std::path::PathBuf;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_volume::formats::{self, Series};
use pulmoav_volume::image::{Format, Info};

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::ErrorInfo;
use crate::scan::Part;
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
    /// `nifti1`, `nifti2`, `nrrd`, `metaimage` or `dicom`.
    pub format: String,
    /// Lengths of the axes beyond the third; one of their volumes is named by `index`.
    pub extra: Vec<f64>,
    /// Slope and intercept of stored values, where there are any.
    pub scaling: Option<(f64, f64)>,
    /// `NO_ORIENTATION`, `FORMS_DIFFER`, `UNITS`, and those of DICOM.
    pub warnings: Vec<Warning>,
}

/// What the header of a file says, or of one series of DICOM.
#[napi(catch_unwind)]
pub fn inspect<'env>(
    env: &'env Env,
    path: String,
    series: Option<String>,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<FileInfo, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let part = Part { series, index: None };
        Ok(part.header(&PathBuf::from(path), &shared)?.info().into())
    })
}

/// A series of DICOM: parallel slices that are read as one volume.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct SeriesInfo {
    /// Its number in this list, from 1; `series` takes it or the UID.
    pub number: u32,
    /// DICOM's UID; the same for slices of one series that lie in several directions.
    pub uid: String,
    /// The number that the scanner gave it.
    pub series_number: Option<f64>,
    /// What it is called.
    pub description: String,
    /// The part of the body that was examined, in DICOM's words.
    pub body_part: String,
    /// The kernel it was reconstructed with.
    pub kernel: String,
    /// Slices that files hold.
    pub slices: u32,
    /// Rows and columns of a slice.
    pub rows: u32,
    pub columns: u32,
    /// Distance of slices, rows and columns in mm.
    pub spacing_mm: Axes,
    /// Whether the slices lie across the body.
    pub axial: bool,
    /// Whether it is read where no series is named.
    pub chosen: bool,
}

/// The series of a DICOM folder, archive or file.
#[napi(catch_unwind)]
pub fn list_series<'env>(
    env: &'env Env,
    path: String,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Vec<SeriesInfo>, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let found = formats::list_series(&PathBuf::from(path), &*shared)?;
        Ok(found.into_iter().map(SeriesInfo::from).collect())
    })
}

impl From<Series> for SeriesInfo {
    fn from(series: Series) -> Self {
        Self {
            number: series.number as u32,
            uid: series.uid,
            series_number: series.series_number.map(|number| number as f64),
            description: series.description,
            body_part: series.body_part,
            kernel: series.kernel,
            slices: series.slices as u32,
            rows: series.size[0] as u32,
            columns: series.size[1] as u32,
            spacing_mm: series.spacing_mm.into(),
            axial: series.is_axial,
            chosen: series.is_chosen,
        }
    }
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
        Format::Dicom => "dicom",
    }
}
