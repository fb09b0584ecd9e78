//! Where the blocks of a member that we wrote lie: a subfield of the gzip header's extra field (RFC 1952, 2.3.1.1),
//! which other readers pass over.
//!
//! Its data are pairs of little-endian u32, one for each block: packed bytes, and bytes. Packed blocks lie one after
//! another behind the header.

use std::io::{self, BufRead, Read as _};

/// The subfield's identifier.
const ID: [u8; 2] = *b"Pv";
const START_BYTES: usize = 10;
/// Flags: a checksum of the header, an extra field, a name, a comment.
const CHECKED: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
/// A longer name or comment is no header's.
const MAX_TEXT_BYTES: u64 = 1 << 16;
const PAIR_BYTES: usize = 8;
/// As many as the extra field's 16-bit length allows beside the subfield's own header.
pub(super) const MAX_BLOCKS: usize = (u16::MAX as usize - 4) / PAIR_BYTES;

/// A block's size in the file, and unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) packed: u32,
    pub(super) bytes: u32,
}

/// The header of a member with no name and no time, so that equal voxels give equal files, and with an index where the
/// blocks are not too many for one.
pub(super) fn header(blocks: &[Block]) -> Vec<u8> {
    let mut header = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    if blocks.len() > MAX_BLOCKS {
        return header;
    }
    header[3] = EXTRA;
    let data = (blocks.len() * PAIR_BYTES) as u16;
    header.extend((data + 4).to_le_bytes());
    header.extend(ID);
    header.extend(data.to_le_bytes());
    for block in blocks {
        header.extend(block.packed.to_le_bytes());
        header.extend(block.bytes.to_le_bytes());
    }
    header
}

/// Reads a member's header to its end, with the index where there is one.
pub(super) fn read(packed: &mut impl BufRead) -> io::Result<Option<Vec<Block>>> {
    let mut header = Header { packed, bytes: Vec::new() };
    let start = header.take(START_BYTES)?;
    if start[..3] != [0x1f, 0x8b, 8] {
        return Err(invalid());
    }
    let flags = start[3];
    let mut blocks = None;
    if flags & EXTRA != 0 {
        let length = header.take(2)?;
        let field = header.take(usize::from(u16::from_le_bytes([length[0], length[1]])))?;
        blocks = index_of(&field);
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            header.pass_text()?;
        }
    }
    if flags & CHECKED != 0 {
        let expected = crc32fast::hash(&header.bytes) as u16;
        if header.take(2)? != expected.to_le_bytes() {
            return Err(invalid());
        }
    }
    Ok(blocks)
}

/// The blocks that an extra field names, if it is ours.
fn index_of(field: &[u8]) -> Option<Vec<Block>> {
    let (start, pairs) = field.split_at_checked(4)?;
    let ours = start[..2] == ID && usize::from(u16::from_le_bytes([start[2], start[3]])) == pairs.len();
    if !ours || !pairs.len().is_multiple_of(PAIR_BYTES) {
        return None;
    }
    let number = |at: &[u8]| u32::from_le_bytes([at[0], at[1], at[2], at[3]]);
    let block = |pair: &[u8]| Block { packed: number(pair), bytes: number(&pair[4..]) };
    Some(pairs.chunks_exact(PAIR_BYTES).map(block).collect())
}

/// A header on its way, and what was read of it.
struct Header<'a, R> {
    packed: &'a mut R,
    bytes: Vec<u8>,
}

impl<R: BufRead> Header<'_, R> {
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let bytes = exactly(self.packed, count)?;
        self.bytes.extend_from_slice(&bytes);
        Ok(bytes)
    }

    /// Passes over a text that ends with a zero.
    fn pass_text(&mut self) -> io::Result<()> {
        let before = self.bytes.len();
        self.packed.take(MAX_TEXT_BYTES).read_until(0, &mut self.bytes)?;
        if self.bytes[before..].last() == Some(&0) { Ok(()) } else { Err(invalid()) }
    }
}

/// The next `count` bytes, or an error where the file ends before.
pub(super) fn exactly(packed: &mut impl BufRead, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count);
    packed.take(count as u64).read_to_end(&mut bytes)?;
    if bytes.len() < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "invalid gzip header")
}
