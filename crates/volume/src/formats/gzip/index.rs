//! Where the blocks of a member that we wrote lie: a subfield of the gzip header's extra field (RFC 1952, 2.3.1.1), which
//! other readers pass over.
//!
//! Its data are pairs of little-endian u32, one for each block: packed bytes, and bytes. Packed blocks lie one after
//! another behind the header.

use std::io::{self, BufRead, Read};

/// The subfield's identifier.
const ID: [u8; 2] = *b"Pv";
const START_BYTES: usize = 12;
/// Flag of an extra field.
const EXTRA: u8 = 4;
const PAIR_BYTES: usize = 8;
/// As many as the extra field's 16-bit length allows beside the subfield's own header.
pub(super) const MOST_BLOCKS: usize = (u16::MAX as usize - 4) / PAIR_BYTES;

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
    if blocks.len() > MOST_BLOCKS {
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

/// Reads a member's header as far as an index could stand, and gives those bytes back; with the index the header is read
/// to its end.
pub(super) fn read(packed: &mut impl BufRead) -> io::Result<(Vec<u8>, Option<Vec<Block>>)> {
    let mut start = Vec::new();
    packed.take(START_BYTES as u64).read_to_end(&mut start)?;
    // Nothing but the extra field may stand there, or the blocks would start elsewhere.
    if start.len() < START_BYTES || start[3] != EXTRA {
        return Ok((start, None));
    }
    let length = u64::from(u16::from_le_bytes([start[10], start[11]]));
    packed.take(length).read_to_end(&mut start)?;
    let field = &start[START_BYTES..];
    let whole = field.len() as u64 == length && field.len() >= 4;
    let ours = whole && field[..2] == ID && usize::from(u16::from_le_bytes([field[2], field[3]])) == field.len() - 4;
    if !ours || !(field.len() - 4).is_multiple_of(PAIR_BYTES) {
        return Ok((start, None));
    }
    let number = |at: &[u8]| u32::from_le_bytes([at[0], at[1], at[2], at[3]]);
    let block = |pair: &[u8]| Block { packed: number(pair), bytes: number(&pair[4..]) };
    let blocks = field[4..].chunks_exact(PAIR_BYTES).map(block).collect();
    Ok((start, Some(blocks)))
}
