//! Voxels written as decimal numbers, which NRRD and `MetaImage` allow.

use std::str::FromStr;

use pulmoav_task::Monitor;

use super::bytes::Bytes;
use crate::error::VolumeError;
use crate::image::Header;
use crate::voxels::{DataType, Voxels};

/// Bytes of a number with the white space around it, generously.
const LONGEST_NUMBER: usize = 64;

/// Reads the numbers of one volume, separated by white space.
pub(super) fn read_numbers(
    bytes: &mut Bytes,
    header: &Header,
    index: usize,
    monitor: &dyn Monitor,
) -> Result<Voxels, VolumeError> {
    let count = header.grid.len();
    // The shortest number is a digit and a space; the last needs no space.
    bytes.expect((count as u128 * header.volumes() as u128 * 2).saturating_sub(1))?;
    monitor.proceed()?;
    let most = (count * header.volumes()).saturating_mul(LONGEST_NUMBER).saturating_add(1 << 16);
    let text = bytes.take_rest(most)?;
    let words = text
        .split(|byte| byte.is_ascii_whitespace() || *byte == b',')
        .filter(|word| !word.is_empty())
        .skip(count * index)
        .take(count);
    Ok(match header.data_type {
        DataType::Uint8 => numbers::<u8>(bytes, words, count)?.into(),
        DataType::Int8 => numbers::<i8>(bytes, words, count)?.into(),
        DataType::Uint16 => numbers::<u16>(bytes, words, count)?.into(),
        DataType::Int16 => numbers::<i16>(bytes, words, count)?.into(),
        DataType::Uint32 => numbers::<u32>(bytes, words, count)?.into(),
        DataType::Int32 => numbers::<i32>(bytes, words, count)?.into(),
        DataType::Uint64 => numbers::<u64>(bytes, words, count)?.into(),
        DataType::Int64 => numbers::<i64>(bytes, words, count)?.into(),
        DataType::Float32 => numbers::<f32>(bytes, words, count)?.into(),
        _ => numbers::<f64>(bytes, words, count)?.into(),
    })
}

fn numbers<'a, T: FromStr>(
    bytes: &Bytes,
    words: impl Iterator<Item = &'a [u8]>,
    count: usize,
) -> Result<Vec<T>, VolumeError> {
    let mut values = Vec::new();
    for word in words {
        let text = String::from_utf8_lossy(word);
        let value = text.parse().map_err(|_| {
            VolumeError::format(
                bytes.path(),
                format!("has `{text}` as voxel {}; expected a number of its type", values.len()),
            )
        })?;
        values.push(value);
    }
    if values.len() < count {
        return Err(VolumeError::format(
            bytes.path(),
            format!(
                "holds {} numbers, but its header declares {count}; the file is cut short, so get it again",
                values.len()
            ),
        ));
    }
    Ok(values)
}
