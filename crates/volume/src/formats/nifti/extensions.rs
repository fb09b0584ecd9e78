//! Header extensions: checked, then carried on untouched.

use std::path::Path;

use byteordered::{ByteOrdered, Endianness};
use nifti::extension::{Extender, ExtensionSequence};

use crate::error::VolumeError;
use crate::formats::bytes::Bytes;

/// No header has more extensions than this, so nothing larger is kept in memory.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// The bytes between a single file's header and its voxels, if they are sound.
///
/// # Errors
/// `ERR_FORMAT` when an extension's size cannot be.
pub(super) fn of_single(between: &[u8], little_endian: bool, path: &Path) -> Result<Vec<u8>, VolumeError> {
    check(between, little_endian, path)?;
    Ok(between.to_vec())
}

/// The extender and extensions that follow a pair's header; four zero bytes where there are none.
///
/// # Errors
/// As [`of_single`].
pub(super) fn of_pair(bytes: &mut Bytes, little_endian: bool) -> Result<Vec<u8>, VolumeError> {
    let mut rest = bytes.take_rest(MAX_BYTES)?;
    if rest.len() < 4 || rest[0] == 0 {
        return Ok(vec![0; 4]);
    }
    check(&rest, little_endian, bytes.path())?;
    // In one file voxels have to start on a multiple of 16.
    let padded = (rest.len() - 4).next_multiple_of(16) + 4;
    rest.resize(padded, 0);
    Ok(rest)
}

fn check(between: &[u8], little_endian: bool, path: &Path) -> Result<(), VolumeError> {
    let Some((extender, mut rest)) = between.split_first_chunk::<4>() else {
        return Ok(());
    };
    if extender[0] == 0 {
        return Ok(());
    }
    let first = rest;
    while rest.len() >= 16 {
        let size = [rest[0], rest[1], rest[2], rest[3]];
        let size = if little_endian { i32::from_le_bytes(size) } else { i32::from_be_bytes(size) };
        if size < 8 || size as usize > rest.len() {
            return Err(VolumeError::format(
                path,
                format!(
                    "has a header extension of {size} bytes where {} are left; expected 8 or more, so the header is damaged",
                    rest.len()
                ),
            ));
        }
        rest = &rest[size as usize..];
    }
    let order = if little_endian { Endianness::Little } else { Endianness::Big };
    let used = first.len() - rest.len();
    ExtensionSequence::from_reader(Extender::from(*extender), ByteOrdered::runtime(&first[..used], order), used)
        .map_err(|error| VolumeError::format(path, format!("has damaged header extensions: {error}")))?;
    Ok(())
}
