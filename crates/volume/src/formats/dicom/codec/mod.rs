//! Packed frames as numbers: one file a packing, each around one library or a page of DICOM.

mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod rle;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::instance::Pixels;
use super::syntax::Packing;

/// The values of one frame as the file means them, before slope and intercept: row by row.
///
/// # Errors
/// What is wrong with the frame, as the end of a sentence.
pub(super) fn decode(bytes: &[u8], pixels: &Pixels) -> Result<Vec<i32>, String> {
    let size = Size { rows: pixels.rows, columns: pixels.columns };
    let stored = match pixels.syntax.packing {
        Packing::Native => native(bytes, pixels),
        Packing::Rle => rle::decode(bytes, size, pixels.bits.allocated as usize / 8),
        Packing::Jpeg => guarded(|| jpeg::decode(bytes, size)),
        Packing::JpegLs => guarded(|| jpeg_ls::decode(bytes, size)),
        Packing::Jpeg2000 => guarded(|| jpeg2000::decode(bytes, size)),
        Packing::Foreign => Err("its packing is not read".into()),
    }?;
    if stored.len() != size.count() {
        return Err(format!("it has {} values instead of {}", stored.len(), size.count()));
    }
    Ok(stored.into_iter().map(|value| pixels.bits.value(value)).collect())
}

/// Rows and columns of a frame.
#[derive(Debug, Clone, Copy)]
struct Size {
    rows: usize,
    columns: usize,
}

impl Size {
    fn count(self) -> usize {
        self.rows * self.columns
    }

    /// Refuses a frame that says it has another size, before anything is allocated for it.
    fn check(self, rows: usize, columns: usize) -> Result<(), String> {
        if (rows, columns) == (self.rows, self.columns) {
            return Ok(());
        }
        Err(format!("a frame has {rows} × {columns} pixels, but the file says {} × {}", self.rows, self.columns))
    }
}

fn native(bytes: &[u8], pixels: &Pixels) -> Result<Vec<u32>, String> {
    if bytes.len() != pixels.frame_bytes() {
        return Err("it ends within its pixels".into());
    }
    let is_big_endian = pixels.syntax.encoding.is_big_endian;
    let word = |word: &[u8]| match (word, is_big_endian) {
        (&[a], _) => u32::from(a),
        (&[a, b], false) => u32::from(u16::from_le_bytes([a, b])),
        (&[a, b], true) => u32::from(u16::from_be_bytes([a, b])),
        (&[a, b, c, d], false) => u32::from_le_bytes([a, b, c, d]),
        (&[a, b, c, d], true) => u32::from_be_bytes([a, b, c, d]),
        _ => 0,
    };
    Ok(bytes.chunks_exact(pixels.bits.allocated as usize / 8).map(word).collect())
}

/// Runs a library that was written for files that are as they should be.
fn guarded(decode: impl FnOnce() -> Result<Vec<u32>, String>) -> Result<Vec<u32>, String> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("a frame is damaged".into()))
}
