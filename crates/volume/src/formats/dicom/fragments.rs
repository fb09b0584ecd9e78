//! The stored bytes of a file's frames, still packed. Source: DICOM PS3.5, annex A.4.

use std::io;

use super::instance::{Instance, Pixels};
use super::place::Stream;
use super::syntax::Packing;
use super::tags;

/// Reads the stored bytes of frames, in the order of `wanted`, which ascends, and hands each on.
///
/// # Errors
/// `UnexpectedEof` and `InvalidData` where the file is damaged, and what `hand_on` says.
pub(super) fn read_frames<E: From<io::Error>>(
    instance: &Instance,
    wanted: &[usize],
    mut hand_on: impl FnMut(usize, Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let pixels = &instance.pixels;
    let mut stream = open(instance)?;
    let spans = if pixels.bytes.length.is_some() {
        native_spans(pixels)
    } else {
        let fragments = fragments(open(instance)?, pixels)?;
        fragments_of_frames(&fragments, pixels.frames)?
    };
    for &frame in wanted {
        let mut bytes = Vec::new();
        for span in spans.get(frame).ok_or_else(|| invalid("it has fewer frames than it says"))? {
            stream.skip_to(span.start)?;
            bytes.append(&mut stream.take(span.length)?);
        }
        hand_on(frame, bytes)?;
    }
    Ok(())
}

/// Opens a file at its pixels.
fn open(instance: &Instance) -> io::Result<Stream> {
    let mut stream = instance.place.open()?;
    stream.skip_to(instance.pixels.data_start)?;
    if instance.pixels.syntax.is_deflated {
        stream = stream.inflate();
    }
    stream.skip_to(instance.pixels.bytes.start)?;
    Ok(stream)
}

/// Bytes that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u64,
    length: u64,
}

fn native_spans(pixels: &Pixels) -> Vec<Vec<Span>> {
    let length = match pixels.syntax.packing {
        Packing::Native => pixels.frame_bytes() as u64,
        // Some writers say the length of packed pixels instead of putting them into fragments.
        _ => pixels.bytes.length.unwrap_or(0) / pixels.frames as u64,
    };
    (0..pixels.frames as u64).map(|frame| vec![Span { start: pixels.bytes.start + frame * length, length }]).collect()
}

/// The fragments of packed pixels, and where the table before them says that frames begin.
struct Fragments {
    spans: Vec<Span>,
    /// Offsets of frames from the first fragment's item.
    offsets: Vec<u64>,
}

fn fragments(mut stream: Stream, pixels: &Pixels) -> io::Result<Fragments> {
    let mut found = Fragments { spans: Vec::new(), offsets: Vec::new() };
    let is_big_endian = pixels.syntax.encoding.is_big_endian;
    let item = |stream: &mut Stream| -> io::Result<Option<u64>> {
        let [a, b, c, d, rest @ ..] = stream.array::<8>()?;
        let (group, element) = if is_big_endian {
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        } else {
            (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
        };
        let length = if is_big_endian { u32::from_be_bytes(rest) } else { u32::from_le_bytes(rest) };
        match (group, element) {
            tags::ITEM => Ok(Some(u64::from(length))),
            tags::SEQUENCE_END => Ok(None),
            _ => Err(invalid("its pixels are not in fragments")),
        }
    };
    let Some(table) = item(&mut stream)? else { return Ok(found) };
    let table = stream.take(table)?;
    found.offsets =
        table.chunks_exact(4).map(|word| u64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))).collect();
    loop {
        // A file may end without the delimiter, with all its frames there.
        if stream.peek(8)?.len() < 8 {
            return Ok(found);
        }
        let Some(length) = item(&mut stream)? else { return Ok(found) };
        let span = Span { start: stream.position(), length: length.min(stream.left()) };
        stream.skip(span.length)?;
        found.spans.push(span);
    }
}

/// Which fragments make up each frame.
fn fragments_of_frames(fragments: &Fragments, frames: usize) -> io::Result<Vec<Vec<Span>>> {
    let Fragments { spans, offsets } = fragments;
    if spans.len() == frames {
        return Ok(spans.iter().map(|&span| vec![span]).collect());
    }
    if frames == 1 && !spans.is_empty() {
        return Ok(vec![spans.clone()]);
    }
    let Some(first) = spans.first().filter(|_| offsets.len() == frames) else {
        return Err(invalid(&format!(
            "it has {} fragments of pixels for {frames} frames, and no table of them",
            spans.len()
        )));
    };
    // An item's tag and length stand before its bytes.
    let base = first.start - 8;
    let begins = |span: &Span| offsets.partition_point(|&offset| base + offset < span.start);
    let mut found = vec![Vec::new(); frames];
    for span in spans {
        let frame = begins(span).checked_sub(1).ok_or_else(|| invalid("its table of frames is damaged"))?;
        found[frame].push(*span);
    }
    Ok(found)
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_belong_to_frames_by_count_or_by_table() {
        let span = |start| Span { start, length: 4 };
        let spans = vec![span(8), span(20), span(32)];
        let cases: [(Vec<u64>, usize, Option<Vec<usize>>); 5] = [
            (vec![], 3, Some(vec![1, 1, 1])),
            (vec![], 1, Some(vec![3])),
            (vec![0, 24], 2, Some(vec![2, 1])),
            (vec![], 2, None),
            (vec![40, 50], 2, None),
        ];
        for (offsets, frames, want) in cases {
            let fragments = Fragments { spans: spans.clone(), offsets: offsets.clone() };
            let got = fragments_of_frames(&fragments, frames).ok();
            let got = got.map(|frames| frames.iter().map(Vec::len).collect::<Vec<_>>());
            assert_eq!(got, want, "{offsets:?} {frames}");
        }
    }
}
