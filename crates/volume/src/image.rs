//! A file's volume: voxels of the file's own type, where they are, and what its header said.

use pulmoav_task::Warning;
use serde::Serialize;

use crate::error::VolumeError;
use crate::volume::Grid;
use crate::voxels::{DataType, Voxels};

/// A volume as read from a file.
#[derive(Debug, Clone)]
pub struct Image {
    /// `header.grid.len()` values, scaled where the file says so.
    pub voxels: Voxels,
    /// Everything else.
    pub header: Header,
}

/// What a file says about its volume.
#[derive(Debug, Clone)]
pub struct Header {
    /// The kind of file.
    pub format: Format,
    /// Shape and place of one three-dimensional volume of the file.
    pub grid: Grid,
    /// Sizes of the axes beyond the third, the fastest first; empty for one volume.
    pub extra: Vec<usize>,
    /// How voxels are stored (before scaling).
    pub data_type: DataType,
    /// Byte order of the file.
    pub little_endian: bool,
    /// Slope and intercept, where they change anything.
    pub scaling: Option<(f64, f64)>,
    /// What the sform is said to be; NIfTI only.
    pub sform_code: Option<i32>,
    /// What the qform is said to be; NIfTI only.
    pub qform_code: Option<i32>,
    /// Whether the file says which way the patient lies; without it sides mean nothing.
    pub oriented: bool,
    /// `NO_ORIENTATION`, `UNITS` and what `docs/dicom.md` lists, where they apply.
    pub warnings: Vec<Warning>,
    /// The header's bytes, for outputs on the same grid; NIfTI only.
    pub nifti: Option<NiftiBytes>,
}

/// File formats this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// NIfTI-1, one file or a pair.
    Nifti1,
    /// NIfTI-2, one file or a pair.
    Nifti2,
    /// NRRD, attached or detached.
    Nrrd,
    /// `MetaImage`: MHA or MHD.
    MetaImage,
    /// DICOM: a folder, an archive or a file.
    Dicom,
}

/// A NIfTI header as it stood in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NiftiBytes {
    /// 348 bytes of NIfTI-1 or 540 of NIfTI-2.
    pub header: Vec<u8>,
    /// The four extender bytes and the extensions that follow them.
    pub extensions: Vec<u8>,
}

/// What `pulmoav info` tells; field names are part of the contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// `[z, y, x]`.
    pub shape: [usize; 3],
    /// `[z, y, x]`.
    pub spacing_mm: [f64; 3],
    /// Row-major, voxel (x, y, z) to RAS.
    pub affine: [f64; 16],
    /// The end of the body that x, y and z grow towards.
    pub axcodes: String,
    /// numpy's name of the stored type.
    pub data_type: &'static str,
    /// Byte order of the file.
    pub little_endian: bool,
    /// NIfTI's code, else `null`.
    pub sform_code: Option<i32>,
    /// NIfTI's code, else `null`.
    pub qform_code: Option<i32>,
    /// The kind of file.
    pub format: Format,
    /// Sizes of the axes beyond the third.
    pub extra: Vec<usize>,
    /// `[slope, intercept]`, where they change anything.
    pub scaling: Option<[f64; 2]>,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

impl Header {
    /// The header in the words of the contract.
    pub fn info(&self) -> Info {
        Info {
            shape: self.grid.shape,
            spacing_mm: self.grid.spacing_mm,
            affine: self.grid.affine.to_array(),
            axcodes: self.grid.affine.axcodes(),
            data_type: self.data_type.name(),
            little_endian: self.little_endian,
            sform_code: self.sform_code,
            qform_code: self.qform_code,
            format: self.format,
            extra: self.extra.clone(),
            scaling: self.scaling.map(|(slope, inter)| [slope, inter]),
            warnings: self.warnings.clone(),
        }
    }

    /// Number of three-dimensional volumes in the file.
    pub fn volumes(&self) -> usize {
        self.extra.iter().product()
    }

    /// Which volume `index` means.
    ///
    /// # Errors
    /// `ERR_GEOMETRY` when the file holds several and none is named, or fewer than that.
    pub(crate) fn volume_index(&self, subject: &str, index: Option<usize>) -> Result<usize, VolumeError> {
        let volumes = self.volumes();
        match index {
            Some(index) if index < volumes => Ok(index),
            Some(index) => Err(VolumeError::geometry(
                subject,
                format!("has {volumes} volume(s), so index {index} does not exist; expected 0 to {}", volumes - 1),
            )),
            None if volumes == 1 => Ok(0),
            None => Err(VolumeError::geometry(
                subject,
                format!(
                    "holds {volumes} volumes (axes beyond the third: {:?}); expected one, so name it by index (0 to {})",
                    self.extra,
                    volumes - 1
                ),
            )),
        }
    }
}
