//! NRRD, attached and detached: raw, gzip and text.
//!
//! Source: the NRRD definition, <https://teem.sourceforge.net/nrrd/format.html>.

use std::collections::BTreeMap;

use super::bytes::{Bytes, Packing};
use super::placement::{LPS, Placement, Signs, Unit};
use super::text_header::{LONGEST_LINE, MAX_LINES, TextHeader, is_list, shortened};
use super::{Opened, VoxelBytes};
use crate::error::VolumeError;
use crate::image::Format;
use crate::voxels::DataType;

const MAX_AXES: usize = 16;

/// Whether a file that starts so is NRRD.
pub(super) fn is_nrrd(head: &[u8]) -> bool {
    head.starts_with(b"NRRD000")
}

/// Opens an NRRD file by its header.
pub(super) fn open(mut bytes: Bytes) -> Result<Opened, VolumeError> {
    let (path, entries) = (bytes.path().to_owned(), read_fields(&mut bytes)?);
    let fields = Fields(TextHeader { path, entries, joint: ": " });
    let data_type = fields.data_type()?;
    let placement = fields.placement()?;
    let little_endian = fields.little_endian(data_type)?;
    let volume_bytes = placement.sizes.iter().map(|&size| size as u128).product::<u128>() * data_type.bytes() as u128;
    let header = placement.header(Format::Nrrd, data_type, little_endian);
    let file = fields.spelling("data file", "datafile");
    let voxels = if fields.0.contains(file) {
        fields.0.open_beside(file).and_then(|bytes| fields.unpack(bytes, volume_bytes))
    } else {
        fields.unpack(bytes, volume_bytes)
    };
    Ok(Opened { header, voxels: voxels.unwrap_or_else(VoxelBytes::Missing) })
}

fn read_fields(bytes: &mut Bytes) -> Result<BTreeMap<String, String>, VolumeError> {
    bytes.line(LONGEST_LINE)?;
    let mut entries = BTreeMap::new();
    for _ in 0..MAX_LINES {
        let Some(line) = bytes.line(LONGEST_LINE)? else {
            return Ok(entries);
        };
        if line.is_empty() {
            return Ok(entries);
        }
        let line = String::from_utf8_lossy(&line);
        if line.starts_with('#') || line.contains(":=") {
            continue;
        }
        let Some((key, value)) = line.split_once(": ").or(line.split_once(':')) else {
            return Err(VolumeError::format(
                bytes.path(),
                format!("has the header line `{}`; expected `field: value`", shortened(&line)),
            ));
        };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim().to_owned());
        // Names of files follow, not fields.
        let is_last = matches!(&*key, "data file" | "datafile") && is_list(&value);
        entries.insert(key, value);
        if is_last {
            return Ok(entries);
        }
    }
    Err(VolumeError::format(bytes.path(), format!("has more than {MAX_LINES} header lines; the file is damaged")))
}

struct Fields(TextHeader);

impl Fields {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    fn wrong(&self, key: &str, expected: &str) -> VolumeError {
        self.0.wrong(key, expected)
    }

    /// The value of a key whose values are words of the format, in whatever case.
    fn word(&self, key: &str) -> Option<String> {
        self.get(key).map(str::to_ascii_lowercase)
    }

    /// Of two spellings of a key the one that the file has.
    fn spelling<'k>(&self, key: &'k str, other: &'k str) -> &'k str {
        if self.0.contains(key) { key } else { other }
    }

    fn data_type(&self) -> Result<DataType, VolumeError> {
        Ok(match &*self.word("type").unwrap_or_default() {
            "signed char" | "int8" | "int8_t" => DataType::Int8,
            "uchar" | "unsigned char" | "uint8" | "uint8_t" => DataType::Uint8,
            "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => DataType::Int16,
            "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => DataType::Uint16,
            "int" | "signed int" | "int32" | "int32_t" => DataType::Int32,
            "uint" | "unsigned int" | "uint32" | "uint32_t" => DataType::Uint32,
            "longlong"
            | "long long"
            | "long long int"
            | "signed long long"
            | "signed long long int"
            | "int64"
            | "int64_t" => DataType::Int64,
            "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => DataType::Uint64,
            "float" => DataType::Float32,
            "double" => DataType::Float64,
            _ => return Err(self.wrong("type", "a scalar type such as short")),
        })
    }

    fn little_endian(&self, data_type: DataType) -> Result<bool, VolumeError> {
        match self.word("endian").as_deref() {
            Some("little") => Ok(true),
            Some("big") => Ok(false),
            None if data_type.bytes() == 1 || self.is_text() => Ok(true),
            _ => Err(self.wrong("endian", "little or big")),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self.word("encoding").as_deref(), Some("text" | "txt" | "ascii"))
    }

    fn placement(&self) -> Result<Placement, VolumeError> {
        let sizes = self.0.sizes("dimension", MAX_AXES, "sizes")?;
        let axes = sizes.len();
        self.check_kinds(axes)?;
        let (signs, oriented) = self.space();
        let directions = self.directions(axes)?;
        let oriented = oriented && directions.is_some();
        let (steps, units) = match directions {
            Some(steps) => (steps, self.get("space units")),
            None => (self.spacings(axes)?, self.get("units").or(self.get("space units"))),
        };
        let units = units_of(units.unwrap_or("mm"));
        Ok(Placement { sizes, steps, origin: self.origin()?, signs, oriented, units })
    }

    /// Refuses colours and vectors: axes that are not space have to come last.
    fn check_kinds(&self, axes: usize) -> Result<(), VolumeError> {
        let Some(kinds) = self.word("kinds") else {
            return Ok(());
        };
        let spatial = |kind: &str| matches!(kind, "domain" | "space" | "???" | "none");
        let leading: Vec<&str> = kinds.split_ascii_whitespace().take(axes.min(3)).collect();
        if leading.iter().all(|kind| spatial(kind)) {
            return Ok(());
        }
        Err(self.wrong("kinds", "three axes of space first and one number a voxel, so convert it to a scalar volume"))
    }

    fn space(&self) -> (Signs, bool) {
        let space = self.get("space").unwrap_or_default().to_ascii_lowercase();
        match space.trim_end_matches("-time").trim_end_matches('t') {
            "right-anterior-superior" | "ras" => ([1.0, 1.0, 1.0], true),
            "left-anterior-superior" | "las" => ([-1.0, 1.0, 1.0], true),
            "left-posterior-superior" | "lps" => (LPS, true),
            _ => (LPS, false),
        }
    }

    /// Steps of the first three axes from `space directions`; an axis of a flat image gets a unit step of its own.
    fn directions(&self, axes: usize) -> Result<Option<[[f64; 3]; 3]>, VolumeError> {
        let Some(text) = self.get("space directions") else {
            return Ok(None);
        };
        let expected = "one (x,y,z) of finite numbers for each axis of space, which come first";
        let mut steps = [[0.0, 0.0, 0.0]; 3];
        let mut vectors = vectors(text);
        for axis in 0..axes.min(3) {
            let vector = vectors.next().flatten().ok_or_else(|| self.wrong("space directions", expected))?;
            steps[axis][..vector.len()].copy_from_slice(&vector);
        }
        for axis in axes.min(3)..3 {
            steps[axis][axis] = 1.0;
        }
        Ok(Some(steps))
    }

    fn spacings(&self, axes: usize) -> Result<[[f64; 3]; 3], VolumeError> {
        let mut steps = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let Some(text) = self.get("spacings") else {
            return Ok(steps);
        };
        let mut words = text.split_ascii_whitespace();
        for axis in 0..axes.min(3) {
            let step: f64 = words
                .next()
                .and_then(|word| word.parse().ok())
                .filter(|step: &f64| !step.is_infinite())
                .ok_or_else(|| self.wrong("spacings", "one number an axis"))?;
            if !step.is_nan() && step != 0.0 {
                steps[axis][axis] = step;
            }
        }
        Ok(steps)
    }

    fn origin(&self) -> Result<[f64; 3], VolumeError> {
        let mut origin = [0.0; 3];
        if let Some(text) = self.get("space origin") {
            let vector = vectors(text)
                .next()
                .flatten()
                .ok_or_else(|| self.wrong("space origin", "(x,y,z) of finite numbers"))?;
            origin[..vector.len()].copy_from_slice(&vector);
        }
        Ok(origin)
    }

    /// Skips and unpacks as the header says.
    fn unpack(&self, mut bytes: Bytes, volume_bytes: u128) -> Result<VoxelBytes, VolumeError> {
        let key = self.spelling("line skip", "lineskip");
        let lines = self.0.whole_number(key)?.unwrap_or(0).max(0) as u64;
        if lines > bytes.budget() {
            return Err(self.wrong(key, "no more lines than the file has bytes"));
        }
        for _ in 0..lines {
            bytes.line(1 << 20)?;
        }
        let packing = match &*self.word("encoding").unwrap_or_default() {
            "raw" => Packing::Raw,
            "gzip" | "gz" => Packing::Gzip,
            "text" | "txt" | "ascii" => return Ok(VoxelBytes::Text(bytes)),
            _ => return Err(self.wrong("encoding", "raw, gzip or text, so save it with one of these")),
        };
        let key = self.spelling("byte skip", "byteskip");
        if packing != Packing::Raw && self.0.whole_number(key)? == Some(-1) {
            return Err(self.wrong(key, "0 or more where voxels are packed"));
        }
        // Bytes are counted unpacked, lines packed.
        let mut bytes = bytes.unpack(packing);
        self.0.pass(&mut bytes, key, volume_bytes)?;
        Ok(VoxelBytes::Binary(bytes))
    }
}

/// The vectors of a line such as `(1,0,0) none (0,1,0)`; `None` for `none`, or for one that is malformed.
fn vectors(text: &str) -> impl Iterator<Item = Option<Vec<f64>>> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let end = if rest.starts_with('(') {
            rest.find(')').map_or(rest.len(), |end| end + 1)
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(vector(word))
    })
}

fn vector(word: &str) -> Option<Vec<f64>> {
    let inner = word.strip_prefix('(')?.strip_suffix(')')?;
    let numbers: Option<Vec<f64>> =
        inner.split(',').map(|number| number.trim().parse().ok().filter(|value: &f64| value.is_finite())).collect();
    numbers.filter(|numbers| (1..=3).contains(&numbers.len()))
}

/// The units of the first three axes of a line such as `"mm" "mm" "cm"`; where names are missing, the last one goes on.
fn units_of(text: &str) -> [Unit; 3] {
    let mut rest = text;
    let mut unit = Unit::named("mm");
    [(); 3].map(|()| {
        rest = rest.trim_start();
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        if !rest.is_empty() {
            unit = Unit::named(name);
        }
        rest = after;
        unit.clone()
    })
}
