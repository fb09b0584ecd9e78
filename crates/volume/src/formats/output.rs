//! Volumes out, as NIfTI, NRRD, `MetaImage` or DICOM segmentations: whole or not at all.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use pulmoav_task::Monitor;

use super::dicom::SourceSeries;
use super::dicom::segmentation::Plan;
use super::gzip::{BATCH, BLOCK_BYTES, Gzip};
use super::segments::Segment;
use super::{mha_output, nifti, nrrd_output};
use crate::error::VolumeError;
use crate::image::Header;
use crate::volume::Grid;
use crate::voxels::{DataType, Voxel, Voxels, swap_bytes};
use crate::with_voxels;

/// How far a label map that was written may lie from its place, as rounding in a header moves it.
const MAX_SHIFT_MM: f64 = 0.01;

/// Where a volume that is written lies.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its grid.
    pub grid: &'a Grid,
    /// Whether it is known which way the patient lies; a header must not say so otherwise.
    pub oriented: bool,
    /// The header of a file on the same grid.
    pub like: Option<&'a Header>,
    /// What the values of a label map mean; written where the format has a place for it.
    pub segments: &'a [Segment],
    /// The series that a DICOM segmentation refers to.
    pub source: Option<&'a SourceSeries>,
}

impl<'a> Place<'a> {
    /// On a grid whose orientation is known.
    pub fn of(grid: &'a Grid) -> Self {
        Self { grid, oriented: true, like: None, segments: &[], source: None }
    }

    /// Whether it is known which way the patient lies, by everything there is.
    pub(super) fn is_oriented(&self) -> bool {
        self.oriented && self.like.is_none_or(|header| header.oriented)
    }
}

/// How a file is written, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// `.nii`, `.nii.gz`
    Nifti { is_packed: bool },
    /// `.nrrd`, `.seg.nrrd`
    Nrrd,
    /// `.mha`
    MetaImage,
    /// `.dcm`, `.seg.dcm`
    Dicom,
}

/// A header, and how the voxels follow it.
struct Head {
    bytes: Vec<u8>,
    little_endian: bool,
    /// What of the file is packed.
    packing: Packing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Nothing,
    Voxels,
    Everything,
}

impl Encoding {
    fn of(path: &Path) -> Result<Self, VolumeError> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let unpacked = name.strip_suffix(".gz");
        if unpacked.unwrap_or(&name).strip_suffix(".nii").is_some() {
            return Ok(Self::Nifti { is_packed: unpacked.is_some() });
        }
        if name.strip_suffix(".nrrd").is_some() {
            return Ok(Self::Nrrd);
        }
        if name.strip_suffix(".mha").is_some() {
            return Ok(Self::MetaImage);
        }
        if name.strip_suffix(".dcm").is_some() {
            return Ok(Self::Dicom);
        }
        let problem = "cannot be written; expected a name that ends in .nii, .nii.gz, .nrrd, .mha or .dcm";
        Err(VolumeError::name(path, problem))
    }

    fn head<T: Voxel>(self, path: &Path, data: &[T], volumes: usize, place: &Place<'_>) -> Result<Head, VolumeError> {
        if let Self::Nifti { is_packed } = self {
            let source = place.like.and_then(|header| Some((header.nifti.as_ref()?, header.little_endian)));
            let (bytes, little_endian) = if let Some((bytes, little_endian)) = source {
                (nifti::like(bytes, little_endian, T::DATA_TYPE, volumes, place.segments), little_endian)
            } else {
                (nifti::fresh(place, T::DATA_TYPE, volumes), true)
            };
            let packing = if is_packed { Packing::Everything } else { Packing::Nothing };
            return Ok(Head { bytes, little_endian, packing });
        }
        if volumes != 1 {
            return Err(VolumeError::name(
                path,
                format!("cannot hold {volumes} volumes; expected a name that ends in .nii or .nii.gz"),
            ));
        }
        Ok(match self {
            Self::Nrrd => {
                Head { bytes: nrrd_output::header(data, place), little_endian: true, packing: Packing::Voxels }
            }
            _ => {
                Head { bytes: mha_output::header(T::DATA_TYPE, place), little_endian: true, packing: Packing::Nothing }
            }
        })
    }
}

/// Writes `volumes` volumes on one grid (the volume slowest, then z) as NIfTI (`.nii`, `.nii.gz`), or one volume as
/// NRRD (`.nrrd`), `MetaImage` (`.mha`) or, of labels, a DICOM segmentation (`.dcm`), by the name.
///
/// With `place.like`, a header read from NIfTI, a NIfTI keeps its bytes but for what has to change: storage type,
/// scaling, display range, number of volumes, and the magic of a single file. Without, a new header is made, whose real
/// numbers are f32. The file appears complete or not at all; an older one of that name stays until then.
///
/// # Errors
/// `ERR_USAGE` for another ending, `ERR_GEOMETRY` when `data` or `like` is not on `grid`, `ERR_IO`, `CANCELLED`.
pub fn write<T: Voxel>(
    path: &Path,
    data: &[T],
    volumes: usize,
    place: &Place<'_>,
    monitor: &dyn Monitor,
) -> Result<(), VolumeError> {
    written(path, data, volumes, place, monitor)?.commit()
}

/// The whole file, not yet under its name.
fn written<T: Voxel>(
    path: &Path,
    data: &[T],
    volumes: usize,
    place: &Place<'_>,
    monitor: &dyn Monitor,
) -> Result<Pending, VolumeError> {
    let encoding = Encoding::of(path)?;
    check_fit(path, data.len(), volumes, place.grid, place.like)?;
    if encoding == Encoding::Dicom {
        return segmentation(path, data, volumes, place, monitor);
    }
    let Head { bytes, little_endian, packing } = encoding.head(path, data, volumes, place)?;
    let pending = Pending::create(path)?;
    let swap = little_endian != cfg!(target_endian = "little");
    let result = match packing {
        Packing::Nothing => write_plain(&pending.file, &bytes, data, swap, monitor),
        Packing::Everything => write_packed(&pending.file, &[], &bytes, data, swap, monitor),
        Packing::Voxels => write_packed(&pending.file, &bytes, &[], data, swap, monitor),
    };
    match result {
        Ok(true) => Ok(pending),
        Ok(false) => Err(VolumeError::Cancelled),
        Err(error) => Err(VolumeError::io("write", path, error)),
    }
}

/// A DICOM segmentation, not yet under its name.
fn segmentation<T: Voxel>(
    path: &Path,
    data: &[T],
    volumes: usize,
    place: &Place<'_>,
    monitor: &dyn Monitor,
) -> Result<Pending, VolumeError> {
    if T::DATA_TYPE != DataType::Uint8 || volumes != 1 {
        return Err(VolumeError::format(path, "is for labels, not for scans or probabilities; write .nii.gz"));
    }
    let Some(source) = place.source else {
        let problem = "refers to the series that it was made of, which is not known here; name it, or write .seg.nrrd";
        return Err(VolumeError::format(path, problem));
    };
    if source.grid.shape != place.grid.shape || source.grid.corner_distance_mm(place.grid) > MAX_SHIFT_MM {
        return Err(VolumeError::geometry(path.display(), "lies elsewhere than the series that it should refer to"));
    }
    let plan = Plan::new(path, bytemuck::cast_slice(data), place.segments, source)?;
    let pending = Pending::create(path)?;
    let mut out = BufWriter::with_capacity(1 << 18, &pending.file);
    let is_whole = plan.write(&mut out, monitor).and_then(|whole| out.flush().map(|()| whole));
    drop(out);
    match is_whole {
        Ok(true) => Ok(pending),
        Ok(false) => Err(VolumeError::Cancelled),
        Err(error) => Err(VolumeError::io("write", path, error)),
    }
}

/// Whether a name is that of a DICOM segmentation, which needs [`Place::source`].
///
/// # Errors
/// `ERR_USAGE` for an ending that is not written.
pub fn needs_source(path: &Path) -> Result<bool, VolumeError> {
    Ok(Encoding::of(path)? == Encoding::Dicom)
}

/// [`write()`] for a label map, which is read back before it gets its name: labels that a disk or a header has changed
/// would go unseen.
///
/// # Errors
/// As [`write()`]; `ERR_IO` where other voxels, or voxels elsewhere, are read back.
pub fn write_labels(path: &Path, labels: &[u8], place: &Place<'_>, monitor: &dyn Monitor) -> Result<(), VolumeError> {
    let pending = written(path, labels, 1, place, monitor)?;
    let found = super::read(&pending.temporary, None, monitor)?;
    let is_same = match &found.voxels {
        Voxels::U8(voxels) => voxels == labels,
        _ => false,
    };
    // Without an orientation the file does not say where it lies.
    let distance_mm = if place.is_oriented() { found.header.grid.corner_distance_mm(place.grid) } else { 0.0 };
    if is_same && distance_mm <= MAX_SHIFT_MM {
        return pending.commit();
    }
    let what = if is_same {
        format!("the label map that was read back lies {distance_mm:.3} mm from its place")
    } else {
        "other labels were read back than were written".to_owned()
    };
    Err(VolumeError::io("write", path, io::Error::other(format!("{what}; check the disk, or choose another format"))))
}

/// [`write()`] for one volume of any type.
///
/// # Errors
/// As [`write()`].
pub fn write_voxels(path: &Path, voxels: &Voxels, place: &Place<'_>, monitor: &dyn Monitor) -> Result<(), VolumeError> {
    with_voxels!(voxels, values => write(path, values, 1, place, monitor))
}

/// Writes any file whole or not at all: it gets its name when `fill` is done.
///
/// # Errors
/// `ERR_IO`.
pub fn write_whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), VolumeError> {
    let pending = Pending::create(path)?;
    let mut out = BufWriter::with_capacity(1 << 18, &pending.file);
    let filled = fill(&mut out).and_then(|()| out.flush());
    drop(out);
    filled.map_err(|error| VolumeError::io("write", path, error))?;
    pending.commit()
}

/// Refuses an output that is one of the input's files, by name, link or otherwise.
///
/// # Errors
/// [`VolumeError::SameFile`].
pub fn refuse_same_file(input: &Path, output: &Path) -> Result<(), VolumeError> {
    if is_same_file(input, output) {
        return Err(VolumeError::SameFile { path: output.to_owned() });
    }
    Ok(())
}

/// Finds what is wrong with an output's place before any work is done: its ending, its folder, or that it is the input.
///
/// # Errors
/// `ERR_USAGE` for an ending that is not written, [`VolumeError::SameFile`], `ERR_IO` where no file can be
/// made.
pub fn check_output(output: &Path, input: &Path) -> Result<(), VolumeError> {
    Encoding::of(output)?;
    refuse_same_file(input, output)?;
    Pending::create(output).map(drop)
}

#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same_file(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

fn check_fit(path: &Path, count: usize, volumes: usize, grid: &Grid, like: Option<&Header>) -> Result<(), VolumeError> {
    let expected = grid.len().checked_mul(volumes);
    if volumes == 0 || grid.is_empty() || expected != Some(count) {
        return Err(VolumeError::geometry(
            path.display(),
            format!(
                "would get {count} voxels for {volumes} volume(s) of {:?}; expected exactly as many as the grid has",
                grid.shape
            ),
        ));
    }
    match like {
        Some(header) if header.grid.shape != grid.shape => Err(VolumeError::geometry(
            path.display(),
            format!(
                "has shape {:?}, but should be written like a file of shape {:?}; write it without that file",
                grid.shape, header.grid.shape
            ),
        )),
        Some(header) if !header.grid.is_at(grid) => Err(VolumeError::geometry(
            path.display(),
            format!(
                "lies up to {:.3} mm from the place of the file it should be written like; write it without that file",
                header.grid.corner_distance_mm(grid)
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether the voxels went out, or the caller asked to stop.
fn write_plain<T: Voxel>(
    file: &File,
    header: &[u8],
    data: &[T],
    swap: bool,
    monitor: &dyn Monitor,
) -> io::Result<bool> {
    let mut out = BufWriter::with_capacity(1 << 18, file);
    out.write_all(header)?;
    let block = BLOCK_BYTES * BATCH / size_of::<T>();
    let mut done = 0;
    for values in data.chunks(block) {
        if monitor.cancelled() {
            return Ok(false);
        }
        if swap {
            let mut swapped = values.to_vec();
            swap_bytes(&mut swapped);
            out.write_all(bytemuck::cast_slice(&swapped))?;
        } else {
            out.write_all(bytemuck::cast_slice(values))?;
        }
        done += size_of_val(values) as u64;
        monitor.report("write", done, size_of_val(data) as u64);
    }
    out.flush()?;
    Ok(true)
}

/// As [`write_plain`], through gzip; `before` stays in plain sight.
fn write_packed<T: Voxel>(
    file: &File,
    before: &[u8],
    header: &[u8],
    data: &[T],
    swap: bool,
    monitor: &dyn Monitor,
) -> io::Result<bool> {
    let blocks = usize::from(!header.is_empty()) + size_of_val(data).div_ceil(BLOCK_BYTES);
    let mut out = BufWriter::with_capacity(1 << 18, file);
    out.write_all(before)?;
    let mut out = Gzip::start(out, blocks)?;
    if !header.is_empty() {
        out.blocks(&[header])?;
    }
    let mut done = 0;
    for values in data.chunks(BLOCK_BYTES * BATCH / size_of::<T>()) {
        if monitor.cancelled() {
            return Ok(false);
        }
        let mut swapped = Vec::new();
        let bytes: &[u8] = if swap {
            swapped.extend_from_slice(values);
            swap_bytes(&mut swapped);
            bytemuck::cast_slice(&swapped)
        } else {
            bytemuck::cast_slice(values)
        };
        let blocks: Vec<&[u8]> = bytes.chunks(BLOCK_BYTES).collect();
        out.blocks(&blocks)?;
        done += bytes.len() as u64;
        monitor.report("write", done, size_of_val(data) as u64);
    }
    out.finish()?.flush()?;
    Ok(true)
}

/// A file on its way to its name; it vanishes when it does not get there.
struct Pending {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
}

impl Pending {
    fn create(path: &Path) -> Result<Self, VolumeError> {
        let failure = |error| VolumeError::io("write", path, error);
        // A link stays a link: what it points to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let replaced = fs::metadata(&target).ok();
        if replaced.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return Err(failure(io::Error::other(
                "something that is not a regular file has this name; choose another",
            )));
        }
        loop {
            // Nobody can foresee the name, and it is no longer than any name may be.
            let number = RandomState::new().build_hasher().finish();
            let temporary = target.with_file_name(format!(".pulmoav-{number:016x}.tmp"));
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let pending = Self { file, temporary, target };
                    if let Some(metadata) = replaced {
                        pending.file.set_permissions(metadata.permissions()).map_err(failure)?;
                    }
                    return Ok(pending);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failure(error)),
            }
        }
    }

    fn commit(self) -> Result<(), VolumeError> {
        let result = self.file.sync_all().and_then(|()| fs::rename(&self.temporary, &self.target));
        result.map_err(|error| VolumeError::io("write", &self.target, error))?;
        sync_folder(&self.target);
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // After a commit the name is gone and there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Makes the new name last; some file systems refuse, and then it lasts when they see fit.
fn sync_folder(path: &Path) {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
