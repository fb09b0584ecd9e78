//! Volumes in and out of files, and across the door.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use napi::bindgen_prelude::{
    BigInt64Array, BigUint64Array, Either, Either10, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Null, PromiseRaw, Uint8Array, Uint16Array, Uint32Array,
};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_task::Monitor;
use pulmoav_volume::formats::{self, Code, Place, Segment, SourceSeries};
use pulmoav_volume::image::Header;
use pulmoav_volume::voxels::Voxels;
use pulmoav_volume::{Affine, Grid, Mask, Volume};

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::{ErrorInfo, Failure};
use crate::scan::Part;

/// Three numbers along `[z, y, x]`.
#[napi]
pub type Axes = (f64, f64, f64);

/// Voxel arrays by file data type; 64-bit integers are big integers.
#[napi]
pub type VoxelArray = Either10<
    Int8Array,
    Uint8Array,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
>;

/// Voxels and where they are in the body.
#[napi(object)]
pub struct VoxelVolume {
    /// Voxels, z slowest, x fastest.
    pub data: VoxelArray,
    /// Voxels along `[z, y, x]` (a file's axes k, j, i).
    pub shape: Axes,
    /// Voxel size in mm, `[z, y, x]`.
    pub spacing_mm: Axes,
    /// 16 numbers, row-major: voxel `(x, y, z)` to RAS mm, as nibabel gives them.
    pub affine: Vec<f64>,
    /// `false` where the file says nothing of the patient's orientation: prompts with a side are refused. @default true
    pub oriented: Option<bool>,
}

/// Labels of voxels, and where they are in the body.
#[napi(object, object_from_js = false)]
pub struct LabelMap {
    /// Labels, z slowest, x fastest.
    pub data: Uint8Array,
    /// Voxels along `[z, y, x]` (a file's axes k, j, i).
    pub shape: Axes,
    /// Voxel size in mm, `[z, y, x]`.
    pub spacing_mm: Axes,
    /// 16 numbers, row-major: voxel `(x, y, z)` to RAS mm, as nibabel gives them.
    pub affine: Vec<f64>,
    /// `false` where the file says nothing of the patient's orientation. @default true
    pub oriented: Option<bool>,
}

impl LabelMap {
    /// A label map as JavaScript gets it.
    pub fn of(labels: Volume<u8>, oriented: bool) -> Self {
        let (shape, spacing_mm, affine) = parts(&labels.grid);
        Self { data: labels.data.into(), shape, spacing_mm, affine, oriented: only_false(oriented) }
    }
}

/// Probabilities of prompts, and where they are in the body.
#[napi(object, object_to_js = false)]
pub struct ProbabilityVolume {
    /// `[prompt, z, y, x]`, prompt slowest.
    pub data: Float32Array,
    /// Voxels along `[z, y, x]`.
    pub shape: Axes,
    /// Voxel size in mm, `[z, y, x]`.
    pub spacing_mm: Axes,
    /// 16 numbers, row-major: voxel `(x, y, z)` to RAS mm.
    pub affine: Vec<f64>,
    /// How many prompts there are.
    pub prompts: u32,
}

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

/// A copy of a volume that JavaScript gave, made before the call returns: later JavaScript may change or transfer it.
pub struct Given {
    /// What it holds.
    pub voxels: Voxels,
    /// Whether the patient's sides are known.
    pub oriented: bool,
    shape: Axes,
    spacing_mm: Axes,
    affine: Vec<f64>,
}

impl Given {
    /// Copies it.
    pub fn copy(volume: &VoxelVolume) -> Self {
        let VoxelVolume { data, shape, spacing_mm, affine, oriented } = volume;
        Self {
            voxels: voxels(data),
            oriented: oriented.unwrap_or(true),
            shape: *shape,
            spacing_mm: *spacing_mm,
            affine: affine.clone(),
        }
    }

    /// Where it is, checked.
    pub fn grid(&self) -> std::result::Result<Grid, Failure> {
        grid(self.shape, self.spacing_mm, &self.affine)
    }

    /// The voxels as a label map.
    pub fn labels(&self) -> std::result::Result<Mask, Failure> {
        Ok(Mask { data: labels(&self.voxels, "the label map")?, grid: self.grid()? })
    }
}

/// Voxels as labels 0 to 255, whatever type they are stored in.
pub fn labels(voxels: &Voxels, name: impl Display) -> std::result::Result<Vec<u8>, Failure> {
    pulmoav_volume::label::labels(voxels, name).map_err(Failure::from)
}

/// Reads one volume of a file, or one series of DICOM.
#[napi(catch_unwind)]
pub fn read_volume<'env>(
    env: &'env Env,
    path: String,
    index: Option<u32>,
    series: Option<String>,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<VoxelVolume, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let image = Part { index, series }.read(&PathBuf::from(path), &shared)?;
        let (shape, spacing_mm, affine) = parts(&image.header.grid);
        let oriented = only_false(image.header.oriented);
        Ok(VoxelVolume { data: voxel_array(image.voxels), shape, spacing_mm, affine, oriented })
    })
}

/// What a value of a label map means.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct LabelSegment {
    /// The value, 1 to 255.
    pub value: u8,
    /// Its name.
    pub name: String,
    /// Red, green, blue, 0 to 255.
    pub colour: (u8, u8, u8),
    /// A term of SNOMED CT.
    pub code: Option<String>,
    /// The term in words.
    pub meaning: Option<String>,
    /// The term of its side.
    pub side: Option<String>,
    /// That term in words.
    pub side_meaning: Option<String>,
}

impl From<LabelSegment> for Segment {
    fn from(given: LabelSegment) -> Self {
        let LabelSegment { value, name, colour, code, meaning, side, side_meaning } = given;
        let side = side.map(|side| (side, side_meaning.unwrap_or_default()));
        let code = code.map(|value| Code { value, meaning: meaning.unwrap_or_default(), side });
        Self { value, name, colour: colour.into(), code }
    }
}

/// What a volume that is written is like.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct VolumeLikeness {
    /// A file on the same grid: a NIfTI's header is kept, a DICOM segmentation refers to this series.
    pub like: Option<String>,
    /// Which series of it, where it is DICOM.
    pub series: Option<String>,
    /// What the values of a label map mean.
    pub labels: Option<Vec<LabelSegment>>,
}

/// Writes a volume, with another file's header where both are NIfTI; a label map whose values have names is read back.
#[napi(catch_unwind)]
pub fn write_volume<'env>(
    env: &'env Env,
    path: String,
    volume: VoxelVolume,
    likeness: VolumeLikeness,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Null, ErrorInfo>>> {
    let (shared, given) = (monitor.share(), Given::copy(&volume));
    let VolumeLikeness { like, series, labels } = likeness;
    let segments: Option<Vec<Segment>> = labels.map(|labels| labels.into_iter().map(Segment::from).collect());
    Engine::workers()?.cancellable(env, monitor, move || {
        let (grid, path) = (given.grid()?, PathBuf::from(path));
        let source = source_series(like.as_deref(), series.as_deref(), &path, &*shared)?;
        let like = like_header(like, &path)?;
        let segments_of = segments.as_deref().unwrap_or_default();
        let place = Place {
            oriented: given.oriented,
            like: like.as_ref(),
            segments: segments_of,
            source: source.as_ref(),
            ..Place::of(&grid)
        };
        match (&given.voxels, &segments) {
            (Voxels::U8(labels), Some(_)) => formats::write_labels(&path, labels, &place, &*shared)?,
            _ => formats::write_voxels(&path, &given.voxels, &place, &*shared)?,
        }
        Ok(Null)
    })
}

/// Writes probabilities as a 4-D NIfTI `[x, y, z, prompt]`.
#[napi(catch_unwind)]
pub fn write_probabilities<'env>(
    env: &'env Env,
    path: String,
    volume: ProbabilityVolume,
    like: String,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Null, ErrorInfo>>> {
    let ProbabilityVolume { data, shape, spacing_mm, affine, prompts } = volume;
    let (shared, values) = (monitor.share(), data.to_vec());
    Engine::workers()?.cancellable(env, monitor, move || {
        let (grid, path) = (grid(shape, spacing_mm, &affine)?, PathBuf::from(path));
        let like = like_header(Some(like), &path)?;
        let place = Place { like: like.as_ref(), ..Place::of(&grid) };
        formats::write(&path, &values, prompts as usize, &place, &*shared)?;
        Ok(Null)
    })
}

/// Finds what is wrong with an output's place before any work is done: of a DICOM segmentation, whether the input's
/// series can be referred to.
#[napi(catch_unwind)]
pub fn check_output<'env>(
    env: &'env Env,
    path: String,
    input: String,
    series: Option<String>,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Null, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let path = PathBuf::from(path);
        formats::check_output(&path, &PathBuf::from(&input))?;
        source_series(Some(&input), series.as_deref(), &path, &*shared)?;
        Ok(Null)
    })
}

/// The series that an output refers to, where it is a DICOM segmentation.
fn source_series(
    like: Option<&str>,
    series: Option<&str>,
    output: &Path,
    monitor: &dyn Monitor,
) -> std::result::Result<Option<SourceSeries>, Failure> {
    let Some(like) = like.filter(|_| formats::needs_source(output).unwrap_or(false)) else { return Ok(None) };
    Ok(Some(formats::source_series(Path::new(like), series, monitor)?))
}

/// `[z, y, x]` as JavaScript gets it.
pub fn axes(sizes: [usize; 3]) -> Axes {
    sizes.map(|size| size as f64).into()
}

/// A grid as JavaScript gets it: shape, voxel size and affine.
pub fn parts(grid: &Grid) -> (Axes, Axes, Vec<f64>) {
    (axes(grid.shape), grid.spacing_mm.into(), grid.affine.to_array().to_vec())
}

/// What is said of the patient's orientation: nothing where it is known.
fn only_false(oriented: bool) -> Option<bool> {
    (!oriented).then_some(false)
}

fn grid(shape: Axes, spacing_mm: Axes, affine: &[f64]) -> std::result::Result<Grid, Failure> {
    let affine: &[f64; 16] = affine.try_into().map_err(|_| {
        Failure::new("ERR_GEOMETRY", format!("an affine has 16 numbers, row-major, but {} were given", affine.len()))
    })?;
    let shape = <[f64; 3]>::from(shape).map(|size| size as usize);
    let grid = Grid { shape, spacing_mm: spacing_mm.into(), affine: Affine::from_array(affine) };
    grid.check("the volume")?;
    Ok(grid)
}

fn like_header(like: Option<String>, output: &Path) -> std::result::Result<Option<Header>, Failure> {
    let Some(like) = like.map(PathBuf::from) else { return Ok(None) };
    formats::refuse_same_file(&like, output)?;
    // Nothing of DICOM's header goes into a NIfTI, whose place the volume itself says.
    if formats::is_dicom(&like)? {
        return Ok(None);
    }
    Ok(Some(formats::read_header(&like)?))
}

fn voxel_array(voxels: Voxels) -> VoxelArray {
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
fn voxels(array: &VoxelArray) -> Voxels {
    with_array!(array, values => values.to_vec().into())
}
