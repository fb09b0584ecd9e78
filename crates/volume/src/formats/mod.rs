//! Files in and out. A format is told by its content, never by its name; each has a file here and a line in `open`.

mod bytes;
mod dicom;
mod gzip;
mod mha;
mod mha_output;
mod nifti;
mod nrrd;
mod nrrd_output;
mod output;
mod placement;
mod segments;
mod text;
mod text_header;

use std::path::Path;

pub use dicom::{Series, SourceSeries};
pub use output::{Place, check_output, needs_source, refuse_same_file, write, write_labels, write_voxels, write_whole};
pub use segments::{Code, Segment};

use crate::error::VolumeError;
use crate::image::{Header, Image, Info};
use bytes::{Bytes, open_file, open_raw};
use pulmoav_task::{Monitor, Silent};

/// Bytes that tell every format apart (the deepest signs are NIfTI-2's size and ANALYZE's).
const HEAD_BYTES: usize = 544;

/// Reads one volume of a NIfTI, NRRD or `MetaImage` file, or of DICOM: a folder, an archive or a file.
///
/// Files of more than three axes need `index`, which counts their volumes with the fourth axis fastest.
///
/// # Errors
/// `ERR_FORMAT`, `ERR_GEOMETRY`, `ERR_IO`, `ERR_MEMORY` and `CANCELLED`.
pub fn read(path: &Path, index: Option<usize>, monitor: &dyn Monitor) -> Result<Image, VolumeError> {
    read_series(path, None, index, monitor)
}

/// [`read`] of one series of DICOM: its UID, or its number among those of [`list_series`]. The rule chooses where none
/// is named: a chest, axial as the scanner made it, most slices, thinnest.
///
/// # Errors
/// As [`read`]; `ERR_GEOMETRY` for a series that is not there or not clear, or for any where the file has none.
pub fn read_series(
    path: &Path,
    series: Option<&str>,
    index: Option<usize>,
    monitor: &dyn Monitor,
) -> Result<Image, VolumeError> {
    let Image { voxels, header } = read_stored(path, series, index, monitor)?;
    let voxels = match header.scaling {
        Some((slope, inter)) => voxels.scaled(slope, inter),
        None => voxels,
    };
    Ok(Image { voxels, header })
}

/// [`read_series`] of voxels as the file stores them: the header's slope and intercept are left to the caller.
///
/// # Errors
/// As [`read_series`].
pub fn read_stored(
    path: &Path,
    series: Option<&str>,
    index: Option<usize>,
    monitor: &dyn Monitor,
) -> Result<Image, VolumeError> {
    open(path, series, monitor)?.read(index, monitor)
}

/// Reads what a file says about its volume, not the volume itself.
///
/// # Errors
/// `ERR_FORMAT`, `ERR_GEOMETRY` and `ERR_IO`.
pub fn read_header(path: &Path) -> Result<Header, VolumeError> {
    read_series_header(path, None, &Silent)
}

/// [`read_header`] of one series of DICOM, as [`read_series`] names it.
///
/// # Errors
/// As [`read_header`], and `CANCELLED`.
pub fn read_series_header(path: &Path, series: Option<&str>, monitor: &dyn Monitor) -> Result<Header, VolumeError> {
    Ok(open(path, series, monitor)?.header())
}

/// [`read_header`] in the words of the contract.
///
/// # Errors
/// As [`read_header`].
pub fn info(path: &Path) -> Result<Info, VolumeError> {
    Ok(read_header(path)?.info())
}

/// Whether a path is read as DICOM: a folder, an archive or a file.
///
/// # Errors
/// `ERR_IO`.
pub fn is_dicom(path: &Path) -> Result<bool, VolumeError> {
    if path.is_dir() {
        return Ok(true);
    }
    // Voxels of a pair may start with any bytes.
    Ok(!nifti::is_image_of_pair(path) && dicom::is_source(&open_raw(path)?.peek(HEAD_BYTES)?))
}

/// The series of DICOM, in the order in which [`read_series`] numbers them; none of other formats.
///
/// # Errors
/// `ERR_FORMAT` for DICOM without a CT and for folders without DICOM; `ERR_IO`, `CANCELLED`.
pub fn list_series(path: &Path, monitor: &dyn Monitor) -> Result<Vec<Series>, VolumeError> {
    let has_series = is_dicom(path)? && dicom::segmentation::open(path)?.is_none();
    if has_series { dicom::list(path, monitor) } else { Ok(Vec::new()) }
}

/// A series that a label map may be written as a segmentation of, see [`Place::source`]; `series` as [`read_series`]
/// names it.
///
/// # Errors
/// `ERR_FORMAT` for what is no DICOM, and for DICOM without the names that a reference needs; else as [`read_series`].
pub fn source_series(path: &Path, series: Option<&str>, monitor: &dyn Monitor) -> Result<SourceSeries, VolumeError> {
    if !is_dicom(path)? {
        let problem =
            "is no DICOM, and a DICOM segmentation refers to the series it was made of; write .seg.nrrd or .nii.gz";
        return Err(VolumeError::format(path, problem));
    }
    dicom::open(path, series, monitor)?.source(path, monitor)
}

/// A file, or a series of files, whose header is understood.
enum Source {
    File(Opened),
    Dicom(dicom::Opened),
    Segmentation(dicom::segmentation::Opened),
}

impl Source {
    fn header(self) -> Header {
        match self {
            Self::File(opened) => opened.header,
            Self::Dicom(opened) => opened.header,
            Self::Segmentation(opened) => opened.header,
        }
    }

    /// Voxels as they are stored.
    fn read(self, index: Option<usize>, monitor: &dyn Monitor) -> Result<Image, VolumeError> {
        match self {
            Self::File(opened) => opened.read(index, monitor),
            Self::Dicom(opened) => opened.read(index, monitor),
            Self::Segmentation(opened) => opened.read(index, monitor),
        }
    }
}

/// Opens DICOM, or any other file, which has no series.
fn open(path: &Path, series: Option<&str>, monitor: &dyn Monitor) -> Result<Source, VolumeError> {
    let is_dicom = is_dicom(path)?;
    if is_dicom && let Some(found) = dicom::segmentation::open(path)? {
        return Ok(Source::Segmentation(found));
    }
    if is_dicom {
        return dicom::open(path, series, monitor).map(Source::Dicom);
    }
    if let Some(series) = series {
        let problem = format!("has no series `{series}`, since it is no DICOM; leave the series away");
        return Err(VolumeError::geometry(path.display(), problem));
    }
    open_file_of_one(path).map(Source::File)
}

/// A file whose header is understood, standing before its voxels.
struct Opened {
    header: Header,
    voxels: VoxelBytes,
}

/// Where the voxels are.
enum VoxelBytes {
    /// Next in the stream.
    Binary(Bytes),
    /// Numbers in decimal.
    Text(Bytes),
    /// Not found; reported only when the voxels are asked for.
    Missing(VolumeError),
}

impl Opened {
    fn read(self, index: Option<usize>, monitor: &dyn Monitor) -> Result<Image, VolumeError> {
        let Self { header, voxels } = self;
        let (mut bytes, is_text) = match voxels {
            VoxelBytes::Binary(bytes) => (bytes, false),
            VoxelBytes::Text(bytes) => (bytes, true),
            VoxelBytes::Missing(error) => return Err(error),
        };
        let count = header.grid.len() as u64;
        if is_text {
            let index = header.volume_index(&bytes.path().display().to_string(), index)?;
            let voxels = text::read_numbers(&mut bytes, &header, index, monitor)?;
            return Ok(Image { voxels, header });
        }
        let volume_bytes = count * header.data_type.bytes() as u64;
        bytes.expect(u128::from(volume_bytes) * header.volumes() as u128)?;
        let index = header.volume_index(&bytes.path().display().to_string(), index)?;
        bytes.skip(volume_bytes * index as u64)?;
        let voxels = bytes.voxels(header.data_type, count as usize, header.little_endian, monitor)?;
        bytes.finish()?;
        Ok(Image { voxels, header })
    }
}

/// Finds the format by content and reads the header.
fn open_file_of_one(path: &Path) -> Result<Opened, VolumeError> {
    if nifti::is_image_of_pair(path) {
        return nifti::open_pair(path);
    }
    let mut bytes = open_file(path)?;
    let head = bytes.peek(HEAD_BYTES)?;
    if head.is_empty() {
        return Err(VolumeError::format(
            path,
            "is empty; expected NIfTI, NRRD, MetaImage or DICOM, so get the file again",
        ));
    }
    if nifti::is_nifti(&head) {
        nifti::open(bytes)
    } else if nrrd::is_nrrd(&head) {
        nrrd::open(bytes)
    } else if mha::is_meta_image(&head) {
        mha::open(bytes)
    } else {
        Err(VolumeError::format(path, unknown(&head)))
    }
}

/// Refuses axes whose voxels no machine could address.
fn check_size(path: &Path, sizes: &[usize]) -> Result<(), VolumeError> {
    // Room for the widest voxel, and for signed offsets.
    let most = isize::MAX as usize / 64;
    let count = sizes.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
    if count.is_some_and(|count| count <= most) {
        return Ok(());
    }
    Err(VolumeError::format(path, format!("declares axes {sizes:?}, more voxels than can be; the header is damaged")))
}

fn unknown(head: &[u8]) -> String {
    if nifti::is_analyze(head) {
        return "is an ANALYZE 7.5 header, which does not say where the patient's left is; convert it to NIfTI first"
            .into();
    }
    let start = &head[..head.len().min(8)];
    format!("starts with bytes {start:02x?}, which no known format does; expected NIfTI, NRRD, MetaImage or DICOM")
}
