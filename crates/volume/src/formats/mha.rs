//! `MetaImage`: MHA with its voxels inside, MHD with them beside; raw, zlib and text.
//!
//! Source: the `MetaIO` format documentation, <https://itk.org/Wiki/ITK/MetaIO/Documentation>.

use std::collections::BTreeMap;

use super::bytes::{Bytes, Packing};
use super::placement::{LPS, Placement, Unit};
use super::text_header::{LONGEST_LINE, MAX_LINES, TextHeader, shortened};
use super::{Opened, VoxelBytes};
use crate::error::VolumeError;
use crate::image::Format;
use crate::voxels::DataType;

const MAX_AXES: usize = 10;

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
    let (path, entries) = (bytes.path().to_owned(), read_fields(&mut bytes)?);
    let fields = Fields(TextHeader { path, entries, joint: " = " });
    let data_type = fields.data_type()?;
    let placement = fields.placement()?;
    let volume_bytes = placement.sizes.iter().map(|&size| size as u128).product::<u128>() * data_type.bytes() as u128;
    let big_endian = fields.is_true("ElementByteOrderMSB") || fields.is_true("BinaryDataByteOrderMSB");
    let header = placement.header(Format::MetaImage, data_type, !big_endian);
    let voxels = if fields.is_local() {
        fields.unpack(bytes, volume_bytes)
    } else {
        fields.0.open_beside("ElementDataFile").and_then(|bytes| fields.unpack(bytes, volume_bytes))
    };
    Ok(Opened { header, voxels: voxels.unwrap_or_else(VoxelBytes::Missing) })
}

/// Reads up to and with `ElementDataFile`, behind which the voxels may start.
fn read_fields(bytes: &mut Bytes) -> Result<BTreeMap<String, String>, VolumeError> {
    let mut entries = BTreeMap::new();
    for _ in 0..MAX_LINES {
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

struct Fields(TextHeader);

impl Fields {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    fn wrong(&self, key: &str, expected: &str) -> VolumeError {
        self.0.wrong(key, expected)
    }

    /// Whether the voxels follow the header.
    fn is_local(&self) -> bool {
        self.get("ElementDataFile").is_some_and(|name| name.eq_ignore_ascii_case("local"))
    }

    fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.starts_with(['T', 't', 'Y', 'y', '1']))
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
        let sizes = self.0.sizes("NDims", MAX_AXES, "DimSize")?;
        let axes = sizes.len();
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
        let Some(key) = keys.iter().find(|key| self.0.contains(key)) else {
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

    /// Skips and unpacks as the header says.
    fn unpack(&self, mut bytes: Bytes, volume_bytes: u128) -> Result<VoxelBytes, VolumeError> {
        let is_behind = self.0.whole_number("HeaderSize")? == Some(-1);
        if is_behind || !self.is_local() {
            self.0.pass(&mut bytes, "HeaderSize", volume_bytes)?;
        }
        if !self.is_true("BinaryData") && self.0.contains("BinaryData") {
            return Ok(VoxelBytes::Text(bytes));
        }
        if self.is_true("CompressedData") {
            let is_gzip = bytes.peek(2)? == [0x1f, 0x8b];
            bytes = bytes.unpack(if is_gzip { Packing::Gzip } else { Packing::Zlib });
        }
        Ok(VoxelBytes::Binary(bytes))
    }
}
