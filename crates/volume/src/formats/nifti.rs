//! NIfTI-1 and NIfTI-2, one file or a pair, either byte order, packed or not.
//!
//! The crate `nifti` parses NIfTI-1 headers and extensions once they are known to be sound; voxels, placement, NIfTI-2
//! and everything hostile is ours. The rules are those of nibabel, whose numbers users compare with.

mod extensions;
mod fields;
mod header;
mod label_table;
mod layout;

use std::path::{Path, PathBuf};

pub(super) use header::{fresh, like};

use super::bytes::{Bytes, open_file};
use super::{Opened, VoxelBytes};
use crate::error::VolumeError;
use crate::image::{Format, NiftiBytes};
use fields::Fields;
use layout::{Layout, NIFTI1, NIFTI2};

/// Whether a file that starts so is NIfTI.
pub(super) fn is_nifti(head: &[u8]) -> bool {
    version(head).is_some()
}

/// Whether a file that starts so is the header of NIfTI's predecessor.
pub(super) fn is_analyze(head: &[u8]) -> bool {
    head.len() >= NIFTI1.bytes && matches!(head[..4], [0x5c, 1, 0, 0] | [0, 0, 1, 0x5c])
}

/// Whether a name is that of the voxels of a pair, whose header is another file.
pub(super) fn is_image_of_pair(path: &Path) -> bool {
    let name = lower_name(path);
    name.strip_suffix(".gz").unwrap_or(&name).strip_suffix(".img").is_some()
}

/// Opens a pair by the name of its voxels.
pub(super) fn open_pair(path: &Path) -> Result<Opened, VolumeError> {
    let header = partner(path, "hdr").ok_or_else(|| {
        VolumeError::format(
            path,
            "has no header beside it; expected a .hdr file of the same name, so name the header's file",
        )
    })?;
    let mut bytes = open_file(&header)?;
    let head = bytes.peek(NIFTI2.bytes)?;
    if !is_nifti(&head) {
        let what = if is_analyze(&head) { "an ANALYZE 7.5 header" } else { "no NIfTI header" };
        return Err(VolumeError::format(&header, format!("is {what}; convert the image to NIfTI first")));
    }
    open(bytes)
}

/// Opens a NIfTI file by its header.
pub(super) fn open(mut bytes: Bytes) -> Result<Opened, VolumeError> {
    let head = bytes.peek(NIFTI2.bytes)?;
    let Some(layout) = version(&head) else {
        return Err(VolumeError::format(bytes.path(), "is no NIfTI file"));
    };
    let raw = bytes.take(layout.bytes, "header")?;
    let fields = Fields::parse(&raw, layout, bytes.path())?;
    let mut header = header::understand(&fields, bytes.path())?;
    header.format = if layout.bytes == NIFTI1.bytes { Format::Nifti1 } else { Format::Nifti2 };
    let path = bytes.path().to_owned();
    let (extensions, voxels) = if fields.is_pair {
        let rest = extensions::of_pair(&mut bytes, fields.little_endian)?;
        (rest, pair_voxels(&path, &fields))
    } else {
        let start = single_start(&fields, layout, &path)?;
        if u128::from(start) > u128::from(bytes.budget()) + layout.bytes as u128 {
            return Err(VolumeError::format(
                &path,
                format!("says its voxels start at byte {start}, which is beyond its end; the header is damaged"),
            ));
        }
        if start > extensions::MAX_BYTES as u64 {
            return Err(VolumeError::format(
                &path,
                format!(
                    "says its voxels start at byte {start}; expected header extensions of at most {} bytes, so the header is damaged",
                    extensions::MAX_BYTES
                ),
            ));
        }
        let between = bytes.take(start as usize - layout.bytes, "header extensions")?;
        let kept = extensions::of_single(&between, fields.little_endian, &path)?;
        (kept, VoxelBytes::Binary(bytes))
    };
    header.nifti = Some(NiftiBytes { header: raw, extensions });
    Ok(Opened { header, voxels })
}

/// NIfTI-1 by its magic at byte 344, NIfTI-2 by its size and magic at byte 4.
fn version(head: &[u8]) -> Option<&'static Layout> {
    if head.len() >= NIFTI1.bytes && matches!(&head[344..348], b"n+1\0" | b"ni1\0") {
        return Some(&NIFTI1);
    }
    let sized = head.len() >= 8 && matches!(head[..4], [0x1c, 2, 0, 0] | [0, 0, 2, 0x1c]);
    (sized && matches!(&head[4..7], b"n+2" | b"ni2")).then_some(&NIFTI2)
}

/// Where the voxels of a single file start: after the header where the field is 0.
fn single_start(fields: &Fields, layout: &Layout, path: &Path) -> Result<u64, VolumeError> {
    let least = layout.bytes as u64 + 4;
    let offset = fields.voxel_offset;
    if offset == 0.0 {
        return Ok(least);
    }
    if !(offset >= least as f64 && offset < 9e15) {
        return Err(VolumeError::format(
            path,
            format!("says its voxels start at byte {offset}; expected {least} or more, so the header is damaged"),
        ));
    }
    Ok(offset as u64)
}

/// The voxels of a pair; that they are missing matters only to who wants them.
fn pair_voxels(path: &Path, fields: &Fields) -> VoxelBytes {
    match open_partner(path, fields) {
        Ok(bytes) => VoxelBytes::Binary(bytes),
        Err(error) => VoxelBytes::Missing(error),
    }
}

fn open_partner(path: &Path, fields: &Fields) -> Result<Bytes, VolumeError> {
    let Some(image) = partner(path, "img") else {
        return Err(VolumeError::format(
            path,
            "is the header of a pair without its voxels; expected an .img file of the same name beside it",
        ));
    };
    let mut bytes = open_file(&image)?;
    let offset = fields.voxel_offset;
    if !(0.0..9e15).contains(&offset) || offset as u64 > bytes.budget() {
        return Err(VolumeError::format(
            path,
            format!("says its voxels start at byte {offset}, which {} does not have", image.display()),
        ));
    }
    bytes.skip(offset as u64)?;
    Ok(bytes)
}

/// The other file of a pair: same stem, the other ending, packed or not.
fn partner(path: &Path, ending: &str) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let lower = name.to_ascii_lowercase();
    let unpacked = lower.strip_suffix(".gz");
    let stem = unpacked.unwrap_or(&lower);
    let stem = name.get(..stem.rfind('.').unwrap_or(stem.len()))?;
    let packed = unpacked.is_some();
    let upper = ending.to_ascii_uppercase();
    let plain = [format!("{stem}.{ending}"), format!("{stem}.{upper}")];
    let gzipped = [format!("{stem}.{ending}.gz"), format!("{stem}.{upper}.GZ")];
    let (first, second) = if packed { (gzipped, plain) } else { (plain, gzipped) };
    first.into_iter().chain(second).map(|name| path.with_file_name(name)).find(|path| path.exists())
}

fn lower_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}
