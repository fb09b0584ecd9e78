//! The fields of a header that we use, as numbers, for either version.

use std::path::Path;

use nifti::NiftiHeader;

use super::layout::{Layout, NIFTI1};
use crate::error::VolumeError;

/// Header fields as stored, before anything is made of them.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) little_endian: bool,
    pub(super) is_pair: bool,
    /// `dim[0]` axes with their lengths.
    pub(super) dim: [i64; 8],
    pub(super) data_type: i16,
    pub(super) pixdim: [f64; 8],
    pub(super) voxel_offset: f64,
    pub(super) slope: f64,
    pub(super) inter: f64,
    pub(super) units: i32,
    pub(super) qform_code: i32,
    pub(super) sform_code: i32,
    pub(super) quaternion: [f64; 3],
    pub(super) offset: [f64; 3],
    pub(super) srow: [[f64; 4]; 3],
    /// Whether real numbers are 32-bit, which decides how far a quaternion may be off.
    pub(super) single_precision: bool,
}

impl Fields {
    /// Takes a header of the right length apart.
    pub(super) fn parse(raw: &[u8], layout: &'static Layout, path: &Path) -> Result<Self, VolumeError> {
        if layout.bytes == NIFTI1.bytes { Self::version1(raw, path) } else { Ok(Self::version2(raw, layout)) }
    }

    fn version1(raw: &[u8], path: &Path) -> Result<Self, VolumeError> {
        // Byte order as nibabel tells it: by dim[0], and by the header's size where that is 0.
        let axes = i16::from_le_bytes([raw[40], raw[41]]);
        let little_endian = match axes {
            0 => raw[..4] != [0, 0, 1, 0x5c],
            1..=7 => true,
            _ => false,
        };
        let header = NiftiHeader::from_reader(raw)
            .map_err(|error| VolumeError::format(path, format!("has a damaged NIfTI-1 header: {error}")))?;
        // With dim[0] = 0 the crate cannot tell the order, but such a header is refused for having no voxels.
        Ok(Self {
            little_endian,
            is_pair: &header.magic == b"ni1\0",
            dim: header.dim.map(|length| i64::from(length.cast_signed())),
            data_type: header.datatype,
            pixdim: header.pixdim.map(f64::from),
            voxel_offset: f64::from(header.vox_offset),
            slope: f64::from(header.scl_slope),
            inter: f64::from(header.scl_inter),
            units: i32::from(header.xyzt_units),
            qform_code: i32::from(header.qform_code),
            sform_code: i32::from(header.sform_code),
            quaternion: [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from),
            offset: [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from),
            srow: [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from)),
            single_precision: true,
        })
    }

    fn version2(raw: &[u8], layout: &Layout) -> Self {
        let little_endian = raw[0] == 0x1c;
        let cell = |at: usize, size: usize| {
            let mut bytes = [0; 8];
            bytes[..size].copy_from_slice(&raw[at..at + size]);
            if !little_endian {
                bytes[..size].reverse();
            }
            u64::from_le_bytes(bytes)
        };
        let real = |at: usize, index: usize| f64::from_bits(cell(at + 8 * index, 8));
        let code = |at: usize| (cell(at, 4) as u32).cast_signed();
        Self {
            little_endian,
            is_pair: &raw[4..7] == b"ni2",
            dim: std::array::from_fn(|index| cell(layout.dim + 8 * index, 8).cast_signed()),
            data_type: (cell(layout.data_type, 2) as u16).cast_signed(),
            pixdim: std::array::from_fn(|index| real(layout.pixdim, index)),
            voxel_offset: cell(layout.voxel_offset, 8).cast_signed() as f64,
            slope: real(layout.slope, 0),
            inter: real(layout.inter, 0),
            units: code(layout.units),
            qform_code: code(layout.qform_code),
            sform_code: code(layout.sform_code),
            quaternion: std::array::from_fn(|index| real(layout.quaternion, index)),
            offset: std::array::from_fn(|index| real(layout.offset, index)),
            srow: std::array::from_fn(|row| std::array::from_fn(|column| real(layout.srow, row * 4 + column))),
            single_precision: false,
        }
    }
}
