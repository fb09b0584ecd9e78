//! One DICOM file: what it belongs to, where its slices lie and how its pixels are stored.

use std::io;

use super::data_set::{DataSet, Head, PixelBytes, is_dicom, read_head};
use super::place::Place;
use super::syntax::{Packing, Syntax};
use super::tags::{self, Tag};

/// Bytes that tell DICOM from what it is not.
const SIGN_BYTES: usize = 132;
const DIRECTORY: &str = "1.2.840.10008.1.3.10";
/// More frames than this in one file are a damaged number.
const MAX_FRAMES: f64 = 1e6;

/// A file with slices of a CT.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) place: Place,
    pub(super) labels: Labels,
    /// What kind of object it is, and its own name; empty where it does not say.
    pub(super) class_uid: String,
    pub(super) uid: String,
    pub(super) pixels: Pixels,
    /// Its slices, in the order of the file.
    pub(super) frames: Vec<Frame>,
}

/// What a file says of the series it belongs to.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels {
    pub(super) uid: String,
    pub(super) number: Option<i64>,
    pub(super) description: String,
    pub(super) patient: String,
    pub(super) body_part: String,
    pub(super) kernel: String,
    /// Everything that may name a part of the body, in lower case.
    pub(super) words: String,
    /// Whether it holds what the scanner made first, not what was made of it.
    pub(super) is_original: bool,
}

/// How the pixels of a file are stored.
#[derive(Debug, Clone)]
pub(super) struct Pixels {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) bits: Bits,
    /// Stored values that stand for no measurement: first and last.
    pub(super) padding: Option<(i32, i32)>,
    pub(super) syntax: Syntax,
    pub(super) data_start: u64,
    pub(super) bytes: PixelBytes,
    pub(super) frames: usize,
}

/// Where in a stored number its value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits {
    /// 8, 16 or 32.
    pub(super) allocated: u32,
    pub(super) stored: u32,
    /// Bits below the value.
    pub(super) below: u32,
    pub(super) is_signed: bool,
}

impl Bits {
    /// The value in a stored number.
    pub(super) fn value(self, stored: u32) -> i32 {
        let shifted = stored >> self.below;
        let unused = 32 - self.stored;
        if self.is_signed { (shifted << unused) as i32 >> unused } else { ((shifted << unused) >> unused) as i32 }
    }
}

/// One slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    /// Centre of its first pixel, mm towards L, P, S.
    pub(super) position: [f64; 3],
    /// Where a row runs to.
    pub(super) along_row: [f64; 3],
    /// Where a column runs to.
    pub(super) along_column: [f64; 3],
    /// Between rows and between columns, mm.
    pub(super) spacing_mm: [f64; 2],
    pub(super) thickness_mm: Option<f64>,
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeftOut {
    NotDicom,
    /// An index of other files.
    Directory,
    /// Ends too early, or is not what it says.
    Damaged(String),
    Modality(String),
    NoImage,
    Localizer,
    /// In colours, or in real numbers.
    NotGrey,
    /// Does not say where its slices lie.
    Unplaced,
    /// The system would not let us read it.
    Unreadable(String),
}

/// Reads what a file says of itself.
///
/// # Errors
/// The reason why it holds no slice of a CT.
pub(super) fn read_instance(place: &Place) -> Result<Instance, LeftOut> {
    let mut stream = place.open().map_err(|error| LeftOut::Unreadable(error.to_string()))?;
    match stream.peek(SIGN_BYTES) {
        Ok(start) if is_dicom(start) => {}
        Ok(_) => return Err(LeftOut::NotDicom),
        Err(error) => return Err(failure(&error)),
    }
    let Head { data, syntax, data_start, pixels } = read_head(stream).map_err(|error| failure(&error))?;
    if data.text(tags::SOP_CLASS).as_deref() == Some(DIRECTORY) {
        return Err(LeftOut::Directory);
    }
    let modality = data.text(tags::MODALITY).unwrap_or_default();
    let Some(bytes) = pixels else {
        // A file cut within its head looks like one without pixels, but says that there are rows.
        let is_cut = data.short(tags::ROWS).is_some() && modality == "CT";
        return Err(if is_cut { LeftOut::Damaged("it has no pixels".into()) } else { no_image(modality) });
    };
    if modality != "CT" {
        return Err(LeftOut::Modality(modality));
    }
    let image_type = data.words(tags::IMAGE_TYPE);
    if image_type.iter().any(|word| word == "LOCALIZER") {
        return Err(LeftOut::Localizer);
    }
    if data.short(tags::SAMPLES).unwrap_or(1) != 1 || !bytes.is_integer || !data.items(tags::MODALITY_TABLE).is_empty()
    {
        return Err(LeftOut::NotGrey);
    }
    let pixels = pixels_of(&data, syntax, data_start, bytes)?;
    let frames = (0..pixels.frames).map(|index| frame(&data, index)).collect::<Option<_>>().ok_or(LeftOut::Unplaced)?;
    let [class_uid, uid] = [tags::SOP_CLASS, tags::SOP_INSTANCE].map(|tag| data.text(tag).unwrap_or_default());
    Ok(Instance { place: place.clone(), labels: labels(&data, &image_type), class_uid, uid, pixels, frames })
}

fn failure(error: &io::Error) -> LeftOut {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => LeftOut::Damaged("it ends too early".into()),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => LeftOut::Damaged(error.to_string()),
        _ => LeftOut::Unreadable(error.to_string()),
    }
}

fn no_image(modality: String) -> LeftOut {
    if modality.is_empty() || modality == "CT" { LeftOut::NoImage } else { LeftOut::Modality(modality) }
}

fn labels(data: &DataSet, image_type: &[String]) -> Labels {
    let text = |tag: Tag| data.text(tag).unwrap_or_default();
    let named = [tags::BODY_PART, tags::SERIES_DESCRIPTION, tags::PROTOCOL, tags::STUDY_DESCRIPTION].map(text);
    Labels {
        uid: text(tags::SERIES),
        number: data.number(tags::SERIES_NUMBER).map(|number| number as i64),
        description: text(tags::SERIES_DESCRIPTION),
        patient: text(tags::PATIENT_ID),
        body_part: text(tags::BODY_PART),
        kernel: data.words(tags::KERNEL).into_iter().next().unwrap_or_default(),
        words: named.join(" ").to_lowercase(),
        is_original: image_type.first().is_none_or(|word| word != "DERIVED"),
    }
}

fn pixels_of(data: &DataSet, syntax: Syntax, data_start: u64, bytes: PixelBytes) -> Result<Pixels, LeftOut> {
    let short = |tag: Tag| data.short(tag).map(u32::from);
    let damaged = |what: &str| LeftOut::Damaged(format!("it does not say {what}"));
    let (Some(rows), Some(columns)) = (short(tags::ROWS), short(tags::COLUMNS)) else {
        return Err(damaged("how many rows and columns it has"));
    };
    let allocated = short(tags::BITS_ALLOCATED).filter(|bits| [8, 16, 32].contains(bits));
    let allocated = allocated.ok_or_else(|| damaged("that a pixel has 8, 16 or 32 bits"))?;
    let stored = short(tags::BITS_STORED).unwrap_or(allocated);
    let high = short(tags::HIGH_BIT).unwrap_or(stored.saturating_sub(1));
    if rows == 0 || columns == 0 || stored == 0 || stored > allocated || high >= allocated || high + 1 < stored {
        return Err(damaged("what its pixels are"));
    }
    let is_signed = short(tags::SIGNED) == Some(1);
    let bits = Bits { allocated, stored, below: high + 1 - stored, is_signed };
    // The element has the type of the pixels, but not where the value lies in it.
    let padding_value = |tag: Tag| {
        let whole = Bits { below: 0, stored: stored.min(16), ..bits };
        short(tag).map(|value| whole.value(value))
    };
    let padding = padding_value(tags::PADDING).map(|first| {
        let last = padding_value(tags::PADDING_LIMIT).unwrap_or(first);
        (first.min(last), first.max(last))
    });
    let frames = data.number(tags::FRAMES).unwrap_or(1.0);
    if !(1.0..=MAX_FRAMES).contains(&frames) {
        return Err(damaged("how many frames it has"));
    }
    let frames = frames as usize;
    if frames > 1 && data.items(tags::FRAME_GROUPS).len() < frames {
        return Err(LeftOut::Unplaced);
    }
    let (rows, columns) = (rows as usize, columns as usize);
    let pixels = Pixels { rows, columns, bits, padding, syntax, data_start, bytes, frames };
    let needed = pixels.frame_bytes() as u64 * frames as u64;
    let held = bytes.length.unwrap_or(u64::MAX).min(bytes.left);
    if pixels.syntax.packing == Packing::Native && held < needed {
        return Err(LeftOut::Damaged(format!("it has {held} bytes of pixels, but needs {needed}")));
    }
    Ok(pixels)
}

impl Pixels {
    /// Bytes of one unpacked frame.
    pub(super) fn frame_bytes(&self) -> usize {
        self.rows * self.columns * self.bits.allocated as usize / 8
    }
}

/// What is said of one frame: by its own item, by the item that all share, or by the file itself.
pub(super) fn frame(data: &DataSet, index: usize) -> Option<Frame> {
    let groups = [data.items(tags::FRAME_GROUPS).get(index), data.items(tags::SHARED_GROUPS).first()];
    let group = |sequence: Tag| groups.iter().flatten().find_map(|one| one.items(sequence).first()).unwrap_or(data);
    let measures = group(tags::PIXEL_MEASURES);
    let values = group(tags::VALUE_TRANSFORMATION);
    let [a, b, c, d, e, f] = group(tags::PLANE_ORIENTATION).numbers(tags::ORIENTATION)?;
    let (along_row, along_column) = ([a, b, c], [d, e, f]);
    let is_unit = |v: [f64; 3]| (v.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 0.01;
    let cosine: f64 = along_row.iter().zip(along_column).map(|(a, b)| a * b).sum();
    if !is_unit(along_row) || !is_unit(along_column) || cosine.abs() > 0.01 {
        return None;
    }
    let spacing_mm: [f64; 2] = measures.numbers(tags::PIXEL_SPACING)?;
    if spacing_mm.iter().any(|&mm| mm <= 0.0) {
        return None;
    }
    let positive = |tag: Tag| measures.number(tag).filter(|&mm| mm > 0.0);
    Some(Frame {
        position: group(tags::PLANE_POSITION).numbers(tags::POSITION)?,
        along_row,
        along_column,
        spacing_mm,
        thickness_mm: positive(tags::SLICE_THICKNESS).or_else(|| positive(tags::SPACING_BETWEEN)),
        slope: values.number(tags::SLOPE).unwrap_or(1.0),
        intercept: values.number(tags::INTERCEPT).unwrap_or(0.0),
    })
}
