//! A data set's elements up to its pixels. Source: DICOM PS3.5, section 7, and PS3.10.

use std::collections::BTreeMap;
use std::io;

use super::place::Stream;
use super::syntax::{Encoding, Syntax};
use super::tags::{self, Tag};

/// Longer values than this are none of those that are looked at.
const LONGEST_VALUE: u32 = 1 << 12;
/// Sequences in sequences, generously.
const MAX_DEPTH: usize = 16;
/// Stands for a length that is told by a delimiter.
const UNDEFINED: u32 = u32::MAX;
/// Where files with a preamble say what they are.
const PREAMBLE_BYTES: usize = 128;

/// A file's head: everything before its pixels.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) data: DataSet,
    pub(super) syntax: Syntax,
    /// First byte of the data set behind the file's own group 2.
    pub(super) data_start: u64,
    pub(super) pixels: Option<PixelBytes>,
}

/// Where a file's pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelBytes {
    /// First byte, counted in the inflated stream where the data set is deflated.
    pub(super) start: u64,
    /// Their number; `None` where they come in fragments.
    pub(super) length: Option<u64>,
    /// The most bytes of them that the file can have.
    pub(super) left: u64,
    /// Whether they are integers.
    pub(super) is_integer: bool,
}

/// The elements that are looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct DataSet {
    values: BTreeMap<Tag, Vec<u8>>,
    sequences: BTreeMap<Tag, Vec<DataSet>>,
    is_big_endian: bool,
}

/// Whether a file that starts so is DICOM: with the preamble, or without it as some programs write it.
pub(super) fn is_dicom(start: &[u8]) -> bool {
    has_preamble(start) || bare_encoding(start).is_some()
}

fn has_preamble(start: &[u8]) -> bool {
    start.get(PREAMBLE_BYTES..PREAMBLE_BYTES + 4) == Some(b"DICM")
}

/// How a data set without preamble is written; it starts in group 2 or 8 with a short element.
fn bare_encoding(start: &[u8]) -> Option<Encoding> {
    let &[group, 0, element, element_high, a, b, c, d, ..] = start else { return None };
    let is_first = (group == 2 && element <= 0x16 || group == 8) && element_high == 0;
    let is_explicit = a.is_ascii_uppercase() && b.is_ascii_uppercase();
    let is_short = u32::from_le_bytes([a, b, c, d]) <= 256;
    let encoding = if is_explicit { Encoding::EXPLICIT } else { Encoding::IMPLICIT };
    (is_first && (is_explicit || is_short)).then_some(encoding)
}

/// Reads a file's head.
///
/// # Errors
/// `InvalidData` and `UnexpectedEof` where the file is damaged.
pub(super) fn read_head(mut stream: Stream) -> io::Result<Head> {
    let start = stream.peek(PREAMBLE_BYTES + 4)?.to_vec();
    let bare = bare_encoding(&start).unwrap_or(Encoding::IMPLICIT);
    if has_preamble(&start) {
        stream.skip(PREAMBLE_BYTES as u64 + 4)?;
    }
    let mut reader = Reader { stream, encoding: Encoding::EXPLICIT };
    let mut data = DataSet::default();
    if has_preamble(&start) || start.first() == Some(&2) {
        reader.file_elements(&mut data)?;
    }
    let uid = data.text(tags::TRANSFER_SYNTAX).unwrap_or_else(|| bare.uid().to_owned());
    let syntax = Syntax::of(&uid);
    let data_start = reader.stream.position();
    if syntax.is_deflated {
        reader.stream = reader.stream.inflate();
    }
    reader.encoding = syntax.encoding;
    data.is_big_endian = syntax.encoding.is_big_endian;
    let pixels = reader.elements(&mut data, None, 0)?;
    Ok(Head { data, syntax, data_start, pixels })
}

struct Reader {
    stream: Stream,
    encoding: Encoding,
}

/// What stands before an element's value.
struct Element {
    tag: Tag,
    /// Its type; implicit encodings do not say.
    vr: Option<[u8; 2]>,
    length: u32,
}

impl Element {
    /// Whether items follow instead of a value.
    fn is_sequence(&self) -> bool {
        self.vr == Some(*b"SQ") || self.length == UNDEFINED || tags::SEQUENCES.contains(&self.tag)
    }
}

impl Reader {
    /// The elements of group 2.
    fn file_elements(&mut self, into: &mut DataSet) -> io::Result<()> {
        while self.stream.peek(2)? == [2, 0] {
            let element = self.element()?;
            self.value(&element, into)?;
        }
        Ok(())
    }

    /// The elements of a data set, to byte `end`, or to its delimiter or the end of the file.
    fn elements(&mut self, into: &mut DataSet, end: Option<u64>, depth: usize) -> io::Result<Option<PixelBytes>> {
        if depth > MAX_DEPTH {
            return Err(invalid("sequences within sequences go on too deep"));
        }
        while end.is_none_or(|end| self.stream.position() < end) {
            // Some writers pad a file.
            if depth == 0 && self.stream.peek(8)?.len() < 8 {
                return Ok(None);
            }
            let element = self.element()?;
            let is_integer = element.tag == tags::PIXELS;
            if depth == 0 && (is_integer || tags::FLOAT_PIXELS.contains(&element.tag)) {
                let length = (element.length != UNDEFINED).then_some(u64::from(element.length));
                let (start, left) = (self.stream.position(), self.stream.left());
                return Ok(Some(PixelBytes { start, length, left, is_integer }));
            }
            match element.tag {
                tags::ITEM_END if depth > 0 => return Ok(None),
                (0xfffe, _) => return Err(invalid("an item stands outside of a sequence")),
                _ if element.is_sequence() => self.sequence(&element, into, depth)?,
                _ => self.value(&element, into)?,
            }
        }
        Ok(None)
    }

    fn element(&mut self) -> io::Result<Element> {
        let tag = self.tag()?;
        if tag.0 == 0xfffe || !self.encoding.is_explicit {
            return Ok(Element { tag, vr: None, length: self.long()? });
        }
        let vr: [u8; 2] = self.stream.array()?;
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(invalid(&format!("element ({:04x},{:04x}) has no type", tag.0, tag.1)));
        }
        let is_long = matches!(
            &vr,
            b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"OV" | b"SQ" | b"UC" | b"UR" | b"UT" | b"UN" | b"SV" | b"UV"
        );
        if is_long {
            self.stream.skip(2)?;
        }
        let length = if is_long { self.long()? } else { u32::from(self.short()?) };
        Ok(Element { tag, vr: Some(vr), length })
    }

    fn value(&mut self, element: &Element, into: &mut DataSet) -> io::Result<()> {
        if element.length > LONGEST_VALUE || !tags::VALUES.contains(&element.tag) {
            return self.stream.skip(u64::from(element.length));
        }
        let bytes = self.stream.take(u64::from(element.length))?;
        into.values.insert(element.tag, bytes);
        Ok(())
    }

    fn sequence(&mut self, element: &Element, into: &mut DataSet, depth: usize) -> io::Result<()> {
        let is_wanted = tags::SEQUENCES.contains(&element.tag);
        if element.length != UNDEFINED && !is_wanted {
            return self.stream.skip(u64::from(element.length));
        }
        let encoding = self.encoding;
        if element.vr == Some(*b"UN") {
            self.encoding = Encoding::IMPLICIT;
        }
        let end = (element.length != UNDEFINED).then(|| self.stream.position() + u64::from(element.length));
        let mut items = Vec::new();
        while end.is_none_or(|end| self.stream.position() < end) {
            let (tag, length) = (self.tag()?, self.long()?);
            match tag {
                tags::SEQUENCE_END => break,
                tags::ITEM if length != UNDEFINED && !is_wanted => self.stream.skip(u64::from(length))?,
                tags::ITEM => {
                    let end = (length != UNDEFINED).then(|| self.stream.position() + u64::from(length));
                    let mut item = DataSet { is_big_endian: self.encoding.is_big_endian, ..DataSet::default() };
                    self.elements(&mut item, end, depth + 1)?;
                    items.extend(is_wanted.then_some(item));
                }
                _ => return Err(invalid("a sequence holds something else than items")),
            }
        }
        self.encoding = encoding;
        if is_wanted {
            into.sequences.insert(element.tag, items);
        }
        Ok(())
    }

    fn tag(&mut self) -> io::Result<Tag> {
        Ok((self.short()?, self.short()?))
    }

    fn short(&mut self) -> io::Result<u16> {
        let bytes = self.stream.array()?;
        Ok(if self.encoding.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&mut self) -> io::Result<u32> {
        let bytes = self.stream.array()?;
        Ok(if self.encoding.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

impl DataSet {
    /// An element's bytes as they stand in the file.
    pub(super) fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        self.values.get(&tag).map(Vec::as_slice)
    }

    /// An element as text without the padding around it; `None` where it is missing or empty.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let bytes = self.values.get(&tag)?;
        // Descriptions may be in any of DICOM's character sets; those are for people, so Latin-1 will do.
        let latin = || bytes.iter().map(|&byte| char::from(byte)).collect();
        let text: String = String::from_utf8(bytes.clone()).unwrap_or_else(|_| latin());
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// An element's parts, which backslashes separate.
    pub(super) fn words(&self, tag: Tag) -> Vec<String> {
        self.text(tag).map(|text| text.split('\\').map(|word| word.trim().to_owned()).collect()).unwrap_or_default()
    }

    /// An element of decimal numbers; `None` where one of them is no finite number.
    pub(super) fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let numbers: Option<Vec<f64>> = self.words(tag).iter().map(|word| word.parse().ok()).collect();
        let numbers: [f64; N] = numbers?.try_into().ok()?;
        numbers.iter().all(|number| number.is_finite()).then_some(numbers)
    }

    /// A decimal number.
    pub(super) fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag).map(|[number]| number)
    }

    /// A binary number of 16 bits.
    pub(super) fn short(&self, tag: Tag) -> Option<u16> {
        let &[a, b, ..] = self.values.get(&tag)?.as_slice() else { return None };
        Some(if self.is_big_endian { u16::from_be_bytes([a, b]) } else { u16::from_le_bytes([a, b]) })
    }

    /// The items of a sequence.
    pub(super) fn items(&self, tag: Tag) -> &[Self] {
        self.sequences.get(&tag).map_or(&[], Vec::as_slice)
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}
