//! Small DICOM files and archives, written element by element.
#![allow(dead_code, unreachable_pub)] // Each test uses its part.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub const RLE: &str = "1.2.840.10008.1.2.5";

pub const ROWS: usize = 4;
pub const COLUMNS: usize = 6;

/// One slice of a CT.
#[derive(Debug, Clone)]
pub struct Slice {
    pub syntax: &'static str,
    pub modality: &'static str,
    pub series: &'static str,
    pub series_number: i32,
    pub description: &'static str,
    pub patient: &'static str,
    pub image_type: &'static str,
    pub position: Option<[f64; 3]>,
    pub orientation: [f64; 6],
    pub slope: f64,
    pub intercept: f64,
    pub padding: Option<i16>,
    pub samples: u16,
    pub values: Vec<i16>,
    /// Whether it names itself, its study and its coordinate system, as a reference to it needs.
    pub has_names: bool,
}

impl Slice {
    /// The slice `z` mm above the origin, filled with its number.
    pub fn at(z: f64) -> Self {
        Self {
            syntax: EXPLICIT,
            modality: "CT",
            series: "1.2.3.4",
            series_number: 2,
            description: "Chest 1.0",
            patient: "P1",
            image_type: "ORIGINAL\\PRIMARY\\AXIAL",
            position: Some([-10.0, -20.0, z]),
            orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            slope: 1.0,
            intercept: -1024.0,
            padding: None,
            samples: 1,
            values: (0..ROWS * COLUMNS).map(|index| index as i16 + z as i16 * 100).collect(),
            has_names: false,
        }
    }

    /// A whole file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut data = Writer { bytes: Vec::new(), syntax: self.syntax };
        data.text(0x0008, 0x0008, "CS", self.image_type);
        data.text(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.2");
        if let (true, Some([.., z])) = (self.has_names, self.position) {
            data.text(0x0008, 0x0018, "UI", &format!("{}.{}", self.series, (z * 10.0) as i64 + 1000));
        }
        data.text(0x0008, 0x0060, "CS", self.modality);
        data.text(0x0008, 0x103e, "LO", self.description);
        // A private sequence without length, in which another one lies.
        data.nested(0x0009, 0x1010);
        if self.has_names {
            data.text(0x0010, 0x0010, "PN", "Phantom^Test");
        }
        data.text(0x0010, 0x0020, "LO", self.patient);
        data.text(0x0018, 0x0050, "DS", "1");
        if self.has_names {
            data.text(0x0020, 0x000d, "UI", "1.2.3");
        }
        data.text(0x0020, 0x000e, "UI", self.series);
        data.text(0x0020, 0x0011, "IS", &self.series_number.to_string());
        if let Some(position) = self.position {
            data.text(0x0020, 0x0032, "DS", &numbers(&position));
        }
        data.text(0x0020, 0x0037, "DS", &numbers(&self.orientation));
        if self.has_names {
            data.text(0x0020, 0x0052, "UI", "1.2.3.9");
        }
        data.short(0x0028, 0x0002, self.samples);
        data.short(0x0028, 0x0010, ROWS as u16);
        data.short(0x0028, 0x0011, COLUMNS as u16);
        data.text(0x0028, 0x0030, "DS", "0.5\\0.75");
        data.short(0x0028, 0x0100, 16);
        data.short(0x0028, 0x0101, 16);
        data.short(0x0028, 0x0102, 15);
        data.short(0x0028, 0x0103, 1);
        if let Some(padding) = self.padding {
            data.short(0x0028, 0x0120, padding as u16);
        }
        data.text(0x0028, 0x1052, "DS", &self.intercept.to_string());
        data.text(0x0028, 0x1053, "DS", &self.slope.to_string());
        data.pixels(&self.values);
        framed(self.syntax, &data.bytes)
    }

    /// Writes the file.
    pub fn write(&self, folder: &Path, name: &str) {
        fs::create_dir_all(folder).expect("folder");
        fs::write(folder.join(name), self.bytes()).expect("written");
    }
}

/// An enhanced CT: frames at these places, all of one file, their slopes their own.
pub fn multi_frame(syntax: &'static str, frames: &[Slice]) -> Vec<u8> {
    let mut data = Writer { bytes: Vec::new(), syntax };
    data.text(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.2.1");
    data.text(0x0008, 0x0018, "UI", "1.2.3.4.1");
    data.text(0x0008, 0x0060, "CS", "CT");
    data.text(0x0020, 0x000d, "UI", "1.2.3");
    data.text(0x0020, 0x000e, "UI", "1.2.3.4");
    data.short(0x0028, 0x0002, 1);
    data.text(0x0028, 0x0008, "IS", &frames.len().to_string());
    data.short(0x0028, 0x0010, ROWS as u16);
    data.short(0x0028, 0x0011, COLUMNS as u16);
    data.short(0x0028, 0x0100, 16);
    data.short(0x0028, 0x0101, 16);
    data.short(0x0028, 0x0102, 15);
    data.short(0x0028, 0x0103, 1);
    let part = |write: &dyn Fn(&mut Writer)| {
        let mut writer = Writer { bytes: Vec::new(), syntax };
        write(&mut writer);
        writer.bytes
    };
    let shared = part(&|shared| {
        let orientation = part(&|item| item.text(0x0020, 0x0037, "DS", "1\\0\\0\\0\\1\\0"));
        shared.sequence(0x0020, 0x9116, &[orientation]);
        shared.sequence(0x0028, 0x9110, &[part(&|item| item.text(0x0028, 0x0030, "DS", "0.5\\0.75"))]);
    });
    data.sequence(0x5200, 0x9229, &[shared]);
    let own = frames.iter().map(|frame| {
        part(&|own| {
            let position = frame.position.expect("a place");
            own.sequence(0x0020, 0x9113, &[part(&|item| item.text(0x0020, 0x0032, "DS", &numbers(&position)))]);
            let values = part(&|item| {
                item.text(0x0028, 0x1052, "DS", &frame.intercept.to_string());
                item.text(0x0028, 0x1053, "DS", &frame.slope.to_string());
            });
            own.sequence(0x0028, 0x9145, &[values]);
        })
    });
    data.sequence(0x5200, 0x9230, &own.collect::<Vec<_>>());
    if syntax == RLE {
        data.fragments(&frames.iter().map(|frame| rle(&frame.values)).collect::<Vec<_>>());
    } else {
        let values: Vec<i16> = frames.iter().flat_map(|frame| frame.values.clone()).collect();
        data.pixels(&values);
    }
    framed(syntax, &data.bytes)
}

/// Byte planes as copies without runs.
fn rle(values: &[i16]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[0] = 2;
    let plane = |shift: u32| {
        let plane: Vec<u8> = values.iter().map(|&value| (value as u16 >> shift) as u8).collect();
        plane.chunks(128).flat_map(|part| [vec![part.len() as u8 - 1], part.to_vec()].concat()).collect::<Vec<u8>>()
    };
    let (high, low) = (plane(8), plane(0));
    bytes[4..8].copy_from_slice(&64_u32.to_le_bytes());
    bytes[8..12].copy_from_slice(&(64 + high.len() as u32).to_le_bytes());
    bytes.extend(high);
    bytes.extend(low);
    bytes
}

/// Preamble, group 2 and a data set.
fn framed(syntax: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let mut meta = Writer { bytes: Vec::new(), syntax: EXPLICIT };
    meta.text(0x0002, 0x0010, "UI", syntax);
    bytes.extend(meta.bytes);
    if syntax == DEFLATED {
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(data).expect("packed");
        bytes.extend(packed.finish().expect("packed"));
    } else {
        bytes.extend(data);
    }
    bytes
}

fn numbers(numbers: &[f64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join("\\")
}

struct Writer {
    bytes: Vec<u8>,
    syntax: &'static str,
}

impl Writer {
    fn number(&mut self, value: u32, bytes: usize) {
        if self.syntax == BIG_ENDIAN {
            self.bytes.extend(&value.to_be_bytes()[4 - bytes..]);
        } else {
            self.bytes.extend(&value.to_le_bytes()[..bytes]);
        }
    }

    fn head(&mut self, group: u16, element: u16, vr: &str, length: u32) {
        self.number(u32::from(group), 2);
        self.number(u32::from(element), 2);
        if self.syntax == IMPLICIT || vr.is_empty() {
            return self.number(length, 4);
        }
        self.bytes.extend(vr.as_bytes());
        if matches!(vr, "OW" | "SQ") {
            self.number(0, 2);
            self.number(length, 4);
        } else {
            self.number(length, 2);
        }
    }

    fn text(&mut self, group: u16, element: u16, vr: &str, text: &str) {
        let padded = if text.len().is_multiple_of(2) { text.to_owned() } else { format!("{text} ") };
        self.head(group, element, vr, padded.len() as u32);
        self.bytes.extend(padded.as_bytes());
    }

    fn short(&mut self, group: u16, element: u16, value: u16) {
        self.head(group, element, "US", 2);
        self.number(u32::from(value), 2);
    }

    fn sequence(&mut self, group: u16, element: u16, items: &[Vec<u8>]) {
        let length: usize = items.iter().map(|item| item.len() + 8).sum();
        self.head(group, element, "SQ", length as u32);
        for item in items {
            self.head(0xfffe, 0xe000, "", item.len() as u32);
            self.bytes.extend(item);
        }
    }

    fn nested(&mut self, group: u16, element: u16) {
        self.head(group, element, "SQ", u32::MAX);
        self.head(0xfffe, 0xe000, "", u32::MAX);
        self.sequence(group, element + 1, &[Vec::new()]);
        self.head(0xfffe, 0xe00d, "", 0);
        self.head(0xfffe, 0xe0dd, "", 0);
    }

    fn pixels(&mut self, values: &[i16]) {
        self.head(0x7fe0, 0x0010, "OW", values.len() as u32 * 2);
        for &value in values {
            self.number(u32::from(value as u16), 2);
        }
    }

    fn fragments(&mut self, fragments: &[Vec<u8>]) {
        self.head(0x7fe0, 0x0010, "OW", u32::MAX);
        self.head(0xfffe, 0xe000, "", 0);
        for fragment in fragments {
            self.head(0xfffe, 0xe000, "", fragment.len() as u32);
            self.bytes.extend(fragment);
        }
        self.head(0xfffe, 0xe0dd, "", 0);
    }
}

/// An empty folder for a test.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pulmoav-dicom-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("folder");
    folder
}

/// An archive: names, bytes, and the size that each entry says it has where that is not true.
pub fn archive(entries: &[(&str, Vec<u8>, Option<u32>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content, size) in entries {
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(content).expect("packed");
        let packed = packed.finish().expect("packed");
        let start = bytes.len() as u32;
        let size = size.unwrap_or(content.len() as u32);
        let sum = crc32fast::hash(content);
        let facts = |bytes: &mut Vec<u8>| {
            bytes.extend([20, 0, 0, 0, 8, 0, 0, 0, 0, 0]);
            for number in [sum, packed.len() as u32, size] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0, 0]);
        };
        bytes.extend(b"PK\x03\x04");
        facts(&mut bytes);
        bytes.extend(name.as_bytes());
        bytes.extend(packed.iter());
        directory.extend(b"PK\x01\x02");
        directory.extend([20, 0]);
        facts(&mut directory);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let (start, length) = ((bytes.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].concat());
    bytes.extend([length, start].concat());
    bytes.extend([0, 0]);
    bytes
}
