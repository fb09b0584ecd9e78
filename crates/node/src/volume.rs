//! Volumes in and out of files, and across the door.

use std::path::PathBuf;

use napi::bindgen_prelude::{Either10, Object};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_task::Warning;
use pulmoav_volume::formats::{self, Place};
use pulmoav_volume::image::Header;
use pulmoav_volume::voxels::Voxels;
use pulmoav_volume::{Affine, Grid, Volume, VolumeError};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::{Failure, Success, TypedArray, parse};

/// Runs one generic expression on whichever array JavaScript gave.
macro_rules! with_array {
    ($array:expr, $values:ident => $result:expr) => {
        match $array {
            Either10::A($values) => $result,
            Either10::B($values) => $result,
            Either10::C($values) => $result,
            Either10::D($values) => $result,
            Either10::E($values) => $result,
            Either10::F($values) => $result,
            Either10::G($values) => $result,
            Either10::H($values) => $result,
            Either10::I($values) => $result,
            Either10::J($values) => $result,
        }
    };
}

/// A grid as JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Geometry {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    affine: [f64; 16],
    /// Whether the file says which way the patient lies.
    oriented: bool,
}

impl Geometry {
    /// A grid as JavaScript gets it.
    pub fn of(grid: &Grid, oriented: bool) -> Self {
        Self { shape: grid.shape, spacing_mm: grid.spacing_mm, affine: grid.affine.to_array(), oriented }
    }
}

impl TryFrom<Geometry> for Grid {
    type Error = VolumeError;

    fn try_from(geometry: Geometry) -> std::result::Result<Self, VolumeError> {
        let Geometry { shape, spacing_mm, affine, .. } = geometry;
        let grid = Self { shape, spacing_mm, affine: Affine::from_array(&affine) };
        grid.check("the volume")?;
        Ok(grid)
    }
}

#[derive(Serialize)]
struct ReadVolume<'a> {
    #[serde(flatten)]
    geometry: Geometry,
    warnings: &'a [Warning],
}

/// A volume that came from JavaScript. Its array is copied before the call returns, by [`voxels`]: later JavaScript may
/// change or transfer it.
pub struct Given {
    /// Where it is.
    pub grid: Grid,
    /// Whether the patient's sides are known.
    pub oriented: bool,
    /// What it holds.
    pub voxels: Voxels,
}

impl Given {
    /// Takes over a geometry and voxels of any type.
    pub fn new(geometry: &str, voxels: Voxels) -> std::result::Result<Self, Failure> {
        let geometry: Geometry = parse("the volume's geometry", geometry)?;
        Ok(Self { grid: geometry.try_into()?, oriented: geometry.oriented, voxels })
    }

    /// The voxels as a label map.
    pub fn labels(self) -> std::result::Result<Volume<u8>, Failure> {
        Ok(Volume { data: labels(&self.voxels)?, grid: self.grid })
    }
}

/// Voxels as labels 0 to 255, whatever type they are stored in.
pub fn labels(voxels: &Voxels) -> std::result::Result<Vec<u8>, Failure> {
    pulmoav_volume::label::labels(voxels).map_err(Failure::from)
}

/// Reads one volume of a file.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn read_volume<'env>(
    env: &'env Env,
    path: String,
    index: Option<u32>,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let image = formats::read(&PathBuf::from(path), index.map(|index| index as usize), &*shared)?;
        let geometry = Geometry::of(&image.header.grid, image.header.oriented);
        let answer = ReadVolume { geometry, warnings: &image.header.warnings };
        Success::with_arrays(&answer, vec![typed_array(image.voxels)])
    })
}

/// Writes a volume, with another file's header where that is a NIfTI.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn write_volume<'env>(
    env: &'env Env,
    path: String,
    geometry: String,
    data: TypedArray,
    like: Option<String>,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let (shared, voxels) = (monitor.share(), voxels(&data));
    Engine::workers()?.cancellable(env, monitor, move || {
        let geometry: Geometry = parse("the volume's geometry", &geometry)?;
        let (grid, oriented) = (Grid::try_from(geometry)?, geometry.oriented);
        let path = PathBuf::from(path);
        let like = like_header(like, &path)?;
        let place = Place { grid: &grid, oriented, like: like.as_ref() };
        formats::write_voxels(&path, &voxels, &place, &*shared)?;
        Success::json(&())
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProbabilityGeometry {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    affine: [f64; 16],
    prompts: usize,
}

/// Writes probabilities as a 4-D NIfTI `[x, y, z, prompt]`.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn write_probabilities<'env>(
    env: &'env Env,
    path: String,
    geometry: String,
    data: TypedArray,
    like: String,
    monitor: &CallMonitor,
) -> Result<Object<'env>> {
    let (shared, voxels) = (monitor.share(), voxels(&data));
    Engine::workers()?.cancellable(env, monitor, move || {
        let given: ProbabilityGeometry = parse("the probabilities' geometry", &geometry)?;
        let Voxels::F32(values) = &voxels else {
            return Err(Failure::new("ERR_USAGE", "probabilities must be a Float32Array"));
        };
        let geometry =
            Geometry { shape: given.shape, spacing_mm: given.spacing_mm, affine: given.affine, oriented: true };
        let grid = Grid::try_from(geometry)?;
        let path = PathBuf::from(path);
        let like = like_header(Some(like), &path)?;
        let place = Place { like: like.as_ref(), ..Place::of(&grid) };
        formats::write(&path, values, given.prompts, &place, &*shared)?;
        Success::json(&())
    })
}

/// Finds what is wrong with an output's place before any work is done.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn check_output(env: &Env, path: String, input: String) -> Result<Object<'_>> {
    Engine::workers()?.promise(env, move || {
        formats::check_output(&PathBuf::from(path), &PathBuf::from(input))?;
        Success::json(&())
    })
}

/// What a file's header says.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn inspect(env: &Env, path: String) -> Result<Object<'_>> {
    Engine::workers()?.promise(env, move || Success::json(&formats::info(&PathBuf::from(path))?))
}

fn like_header(like: Option<String>, output: &std::path::Path) -> std::result::Result<Option<Header>, Failure> {
    let Some(like) = like.map(PathBuf::from) else { return Ok(None) };
    formats::refuse_same_file(&like, output)?;
    Ok(Some(formats::read_header(&like)?))
}

fn typed_array(voxels: Voxels) -> TypedArray {
    match voxels {
        Voxels::I8(values) => Either10::A(values.into()),
        Voxels::U8(values) => Either10::B(values.into()),
        Voxels::I16(values) => Either10::C(values.into()),
        Voxels::U16(values) => Either10::D(values.into()),
        Voxels::I32(values) => Either10::E(values.into()),
        Voxels::U32(values) => Either10::F(values.into()),
        Voxels::F32(values) => Either10::G(values.into()),
        Voxels::F64(values) => Either10::H(values.into()),
        Voxels::I64(values) => Either10::I(values.into()),
        Voxels::U64(values) => Either10::J(values.into()),
    }
}

/// A copy of an array that JavaScript gave.
pub fn voxels(array: &TypedArray) -> Voxels {
    with_array!(array, values => values.to_vec().into())
}
