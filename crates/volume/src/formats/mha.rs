//! `MetaImage`: MHA with its voxels inside, MHD with them beside; raw, zlib and text.
//!
//! Source: the `MetaIO` format documentation, <https://itk.org/Wiki/ITK/MetaIO/Documentation>.

use std::collections::BTreeMap;
use std::path::Path;

use super::bytes::{Bytes, Packing, open_raw};
use super::placement::{LPS, Placement, Unit};
use super::{Opened, VoxelBytes, check_size};
use crate::error::VolumeError;
use crate::image::Format;
use crate::voxels::DataType;

const LONGEST_LINE: usize = 1 << 16;
const MOST_LINES: usize = 10_000;
const MOST_AXES: usize = 10;

/// Whether a file that starts so is `MetaImage`: its first line is `Key = value` with one of the format's keys.
pub(super) fn is_meta_image(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let Some(end) = line.iter().position(|&byte| byte == b'=') else {
        return false;
    };
    let key = String::from_utf8_lossy(&line[..end]);
    matches!(key.trim(), "ObjectType" | "NDims" | "Comment" | "ObjectSubType" | "TransformType" | "Name" | "ID")
}

/// Opens a `MetaImage` by its header.
pub(super) fn open(mut bytes: Bytes) -> Result<Opened, VolumeError> {
    let path = bytes.path().to_owned();
    let fields = Fields { entries: read_fields(&mut bytes)?, path: &path };
    let data_type = fields.data_type()?;
    let placement = fields.placement()?;
    let volume_bytes = placement.sizes.iter().map(|&size| size as u128).product::<u128>() * data_type.bytes() as u128;
    let big_endian = fields.is_true("ElementByteOrderMSB") || fields.is_true("BinaryDataByteOrderMSB");
    let header = placement.header(Format::MetaImage, data_type, !big_endian);
    let voxels = match fields.get("ElementDataFile") {
        Some("LOCAL" | "Local" | "local") => fields.unpack(bytes, volume_bytes),
        _ => fields.beside().and_then(|bytes| fields.unpack(bytes, volume_bytes)),
    };
    Ok(Opened { header, voxels: voxels.unwrap_or_else(VoxelBytes::Missing) })
}

/// Reads up to and with `ElementDataFile`, behind which the voxels may start.
fn read_fields(bytes: &mut Bytes) -> Result<BTreeMap<String, String>, VolumeError> {
    let mut entries = BTreeMap::new();
    for _ in 0..MOST_LINES {
        let Some(line) = bytes.line(LONGEST_LINE)? else {
            break;
        };
        let line = String::from_utf8_lossy(&line);
        if line.trim().is_empty() {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(VolumeError::format(
                bytes.path(),
                format!("has the header line `{}`; expected `Key = value`", shortened(&line)),
            ));
        };
        let key = key.trim().to_owned();
        let is_last = key == "ElementDataFile";
        entries.insert(key, value.trim().to_owned());
        if is_last {
            return Ok(entries);
        }
    }
    Err(VolumeError::format(
        bytes.path(),
        "has no ElementDataFile in its header; the file is cut short or damaged, so get it again",
    ))
}

struct Fields<'a> {
    entries: BTreeMap<String, String>,
    path: &'a Path,
}

impl Fields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.starts_with(['T', 't', 'Y', 'y', '1']))
    }

    fn wrong(&self, key: &str, expected: &str) -> VolumeError {
        let value = self.get(key).unwrap_or("nothing");
        VolumeError::format(self.path, format!("has `{key} = {}`; expected {expected}", shortened(value)))
    }

    fn data_type(&self) -> Result<DataType, VolumeError> {
        if self.get("ElementNumberOfChannels").is_some_and(|count| count != "1") {
            return Err(self.wrong("ElementNumberOfChannels", "1, so convert it to a scalar volume"));
        }
        Ok(match self.get("ElementType").unwrap_or_default() {
            "MET_CHAR" => DataType::Int8,
            "MET_UCHAR" => DataType::Uint8,
            "MET_SHORT" => DataType::Int16,
            "MET_USHORT" => DataType::Uint16,
            "MET_INT" | "MET_LONG" => DataType::Int32,
            "MET_UINT" | "MET_ULONG" => DataType::Uint32,
            "MET_LONG_LONG" => DataType::Int64,
            "MET_ULONG_LONG" => DataType::Uint64,
            "MET_FLOAT" => DataType::Float32,
            "MET_DOUBLE" => DataType::Float64,
            _ => return Err(self.wrong("ElementType", "a scalar type such as MET_SHORT")),
        })
    }

    fn placement(&self) -> Result<Placement, VolumeError> {
        let axes = self
            .get("NDims")
            .and_then(|text| text.parse::<usize>().ok())
            .filter(|axes| (1..=MOST_AXES).contains(axes))
            .ok_or_else(|| self.wrong("NDims", "1 to 10"))?;
        let sizes: Vec<usize> = self
            .get("DimSize")
            .and_then(|text| text.split_ascii_whitespace().map(|size| size.parse().ok()).collect())
            .filter(|sizes: &Vec<usize>| sizes.len() == axes)
            .ok_or_else(|| self.wrong("DimSize", "one length an axis"))?;
        if sizes.contains(&0) {
            return Err(VolumeError::geometry(
                self.path.display(),
                format!("has no voxels (DimSize {sizes:?}); expected at least one along each axis"),
            ));
        }
        check_size(self.path, &sizes)?;
        let spacing = self.numbers(&["ElementSpacing", "ElementSize"], axes)?.unwrap_or_else(|| vec![1.0; axes]);
        let matrix = self.numbers(&["TransformMatrix", "Rotation", "Orientation"], axes * axes)?;
        let offset = self.numbers(&["Offset", "Position", "Origin"], axes)?;
        let mut steps = [[0.0; 3]; 3];
        for axis in 0..3 {
            for row in 0..3 {
                let direction = match &matrix {
                    Some(matrix) if axis < axes && row < axes => matrix[axis * axes + row],
                    _ => f64::from(u8::from(axis == row)),
                };
                steps[axis][row] = direction * spacing.get(axis).copied().unwrap_or(1.0);
            }
        }
        let mut origin = [0.0; 3];
        for (axis, value) in offset.into_iter().flatten().take(3).enumerate() {
            origin[axis] = value;
        }
        let unit = Unit::named(self.get("DistanceUnits").unwrap_or("mm"));
        let units = [unit.clone(), unit.clone(), unit];
        Ok(Placement { sizes, steps, origin, signs: LPS, oriented: matrix.is_some(), units })
    }

    /// The numbers of the first of `keys` that is there.
    fn numbers(&self, keys: &[&str], count: usize) -> Result<Option<Vec<f64>>, VolumeError> {
        let Some(key) = keys.iter().find(|key| self.entries.contains_key(**key)) else {
            return Ok(None);
        };
        let text = self.get(key).unwrap_or_default();
        text.split_ascii_whitespace()
            .map(|word| word.parse().ok().filter(|value: &f64| value.is_finite()))
            .collect::<Option<Vec<f64>>>()
            .filter(|numbers| numbers.len() == count)
            .map(Some)
            .ok_or_else(|| self.wrong(key, &format!("{count} finite numbers")))
    }

    fn beside(&self) -> Result<Bytes, VolumeError> {
        let name = self.get("ElementDataFile").unwrap_or_default();
        if name.is_empty() || name.starts_with("LIST") || name.contains('%') {
            return Err(self.wrong("ElementDataFile", "LOCAL or one file, so save it as one .mha file"));
        }
        open_raw(&self.path.with_file_name(name))
    }

    /// Skips and unpacks as the header says.
    fn unpack(&self, mut bytes: Bytes, volume_bytes: u128) -> Result<VoxelBytes, VolumeError> {
        let skip = match self.get("HeaderSize") {
            None => 0,
            Some(text) => text.parse::<i64>().map_err(|_| self.wrong("HeaderSize", "a whole number"))?,
        };
        let is_local = self.get("ElementDataFile").is_some_and(|name| name.eq_ignore_ascii_case("local"));
        if skip > 0 && !is_local {
            if skip as u64 > bytes.budget() {
                return Err(self.wrong("HeaderSize", "no more bytes than the file has"));
            }
            bytes.skip(skip as u64)?;
        } else if skip == -1 {
            let before = u128::from(bytes.budget()).saturating_sub(volume_bytes);
            bytes.skip(before as u64)?;
        }
        if !self.is_true("BinaryData") && self.entries.contains_key("BinaryData") {
            return Ok(VoxelBytes::Text(bytes));
        }
        if self.is_true("CompressedData") {
            let is_gzip = bytes.peek(2)? == [0x1f, 0x8b];
            bytes = bytes.unpack(if is_gzip { Packing::Gzip } else { Packing::Zlib });
        }
        Ok(VoxelBytes::Binary(bytes))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
