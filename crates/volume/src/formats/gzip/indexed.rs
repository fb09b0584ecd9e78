//! A member with an index: its blocks are inflated in parallel, where they belong.

use std::io::{self, BufRead, Read};

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress};

use super::index::{Block, exactly};
use super::{BLOCK_BYTES, WRONG_CHECKSUM};

/// More than deflate ever adds to a block that it cannot pack.
const MAX_PACKED_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 64;
/// An empty last block, the checksum and the length.
const END_BYTES: usize = 10;

/// Reads the bytes behind the header.
pub(super) struct Indexed<R> {
    packed: R,
    blocks: std::vec::IntoIter<Block>,
    ready: Vec<u8>,
    /// Bytes of `ready` that were given out.
    given: usize,
    crc: Hasher,
    /// Bytes that came out, modulo 2^32.
    bytes: u32,
    ended: bool,
}

impl<R: BufRead> Indexed<R> {
    pub(super) fn new(packed: R, blocks: Vec<Block>) -> io::Result<Self> {
        let too_large = |block: &Block| block.packed as usize > MAX_PACKED_BYTES || block.bytes as usize > BLOCK_BYTES;
        if blocks.iter().any(too_large) {
            return Err(damaged("the index names a block larger than any"));
        }
        let blocks = blocks.into_iter();
        Ok(Self { packed, blocks, ready: Vec::new(), given: 0, crc: Hasher::new(), bytes: 0, ended: false })
    }

    pub(super) fn into_inner(self) -> R {
        self.packed
    }

    /// Inflates the next `count` blocks into `out`, which they fill: each as soon as it is read. Threads are those of
    /// the surrounding pool; behind a member of others, which a thread without one unpacks, those of rayon's global
    /// pool.
    fn blocks(&mut self, count: usize, out: &mut [u8]) -> io::Result<()> {
        let blocks: Vec<Block> = self.blocks.by_ref().take(count).collect();
        let mut sums: Vec<io::Result<Hasher>> = blocks.iter().map(|_| Ok(Hasher::new())).collect();
        rayon::in_place_scope(|scope| {
            let mut rest = out;
            for (block, sum) in blocks.iter().zip(&mut sums) {
                let packed = exactly(&mut self.packed, block.packed as usize)?;
                let (out, behind) = rest.split_at_mut(block.bytes as usize);
                rest = behind;
                scope.spawn(move |_| *sum = inflate(&packed, out));
            }
            Ok::<(), io::Error>(())
        })?;
        for (sum, block) in sums.into_iter().zip(blocks) {
            self.crc.combine(&sum?);
            self.bytes = self.bytes.wrapping_add(block.bytes);
        }
        Ok(())
    }

    /// How many of the next blocks fit into `room` bytes, and what they fill of it.
    fn fitting(&self, room: usize) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for block in self.blocks.as_slice() {
            if bytes + block.bytes as usize > room {
                break;
            }
            (count, bytes) = (count + 1, bytes + block.bytes as usize);
        }
        (count, bytes)
    }

    /// Compares checksum and length.
    fn end(&mut self) -> io::Result<()> {
        let end = exactly(&mut self.packed, END_BYTES)?;
        let expected = [&[3, 0][..], &self.crc.clone().finalize().to_le_bytes(), &self.bytes.to_le_bytes()].concat();
        if end == expected { Ok(()) } else { Err(damaged(WRONG_CHECKSUM)) }
    }
}

impl<R: BufRead> Read for Indexed<R> {
    /// Whole blocks go where they belong at once; only what does not fit waits to be copied.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() && !self.ended && !out.is_empty() {
            let (count, bytes) = self.fitting(out.len());
            if bytes > 0 {
                self.blocks(count, &mut out[..bytes])?;
                return Ok(bytes);
            }
            if let Some(&block) = self.blocks.as_slice().first() {
                let mut ready = std::mem::take(&mut self.ready);
                ready.resize(block.bytes as usize, 0);
                self.given = 0;
                self.blocks(1, &mut ready)?;
                self.ready = ready;
            } else {
                self.end()?;
                self.ended = true;
            }
        }
        let count = out.len().min(self.ready.len() - self.given);
        out[..count].copy_from_slice(&self.ready[self.given..][..count]);
        self.given += count;
        Ok(count)
    }
}

/// Inflates a block that ends on a byte without being the last one.
fn inflate(packed: &[u8], out: &mut [u8]) -> io::Result<Hasher> {
    let mut inflater = Decompress::new(false);
    inflater.decompress(packed, out, FlushDecompress::Sync).map_err(io::Error::other)?;
    if inflater.total_out() != out.len() as u64 || inflater.total_in() != packed.len() as u64 {
        return Err(damaged("a block is not as long as the index says"));
    }
    let mut crc = Hasher::new();
    crc.update(out);
    Ok(crc)
}

fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
