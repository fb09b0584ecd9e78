//! A member with an index: its blocks are inflated in parallel, a batch at a time.

use std::io::{self, BufRead, Read};

use flate2::{Crc, Decompress, FlushDecompress};
use rayon::prelude::*;

use super::index::Block;
use super::{BATCH, BLOCK_BYTES};

/// More than deflate ever adds to a block that it cannot pack.
const MOST_PACKED_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 64;
/// An empty last block, the checksum and the length.
const END_BYTES: usize = 10;

/// Reads the bytes behind the header.
pub(super) struct Indexed<R> {
    packed: R,
    blocks: std::vec::IntoIter<Block>,
    ready: Vec<u8>,
    /// Bytes of `ready` that were given out.
    given: usize,
    crc: Crc,
    ended: bool,
}

impl<R: BufRead> Indexed<R> {
    pub(super) fn new(packed: R, blocks: Vec<Block>) -> Self {
        Self { packed, blocks: blocks.into_iter(), ready: Vec::new(), given: 0, crc: Crc::new(), ended: false }
    }

    pub(super) fn into_inner(self) -> R {
        self.packed
    }

    fn next_batch(&mut self) -> io::Result<()> {
        let blocks: Vec<Block> = self.blocks.by_ref().take(BATCH).collect();
        let too_large = |block: &Block| block.packed as usize > MOST_PACKED_BYTES || block.bytes as usize > BLOCK_BYTES;
        if blocks.iter().any(too_large) {
            return Err(damaged("the index names a block larger than any"));
        }
        let packed = blocks.iter().map(|block| self.take(block.packed as usize)).collect::<io::Result<Vec<_>>>()?;
        self.ready.resize(blocks.iter().map(|block| block.bytes as usize).sum(), 0);
        self.given = 0;
        let mut rest = &mut self.ready[..];
        let mut work = Vec::with_capacity(blocks.len());
        for (block, packed) in blocks.iter().zip(&packed) {
            let (out, behind) = rest.split_at_mut(block.bytes as usize);
            work.push((packed, out));
            rest = behind;
        }
        let sums: Vec<Crc> =
            work.into_par_iter().map(|(packed, out)| inflate(packed, out)).collect::<io::Result<_>>()?;
        for sum in &sums {
            self.crc.combine(sum);
        }
        Ok(())
    }

    /// Compares checksum and length.
    fn end(&mut self) -> io::Result<()> {
        let end = self.take(END_BYTES)?;
        let expected = [&[3, 0][..], &self.crc.sum().to_le_bytes(), &self.crc.amount().to_le_bytes()].concat();
        if end == expected { Ok(()) } else { Err(damaged("corrupt gzip stream does not have a matching checksum")) }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count);
        (&mut self.packed).take(count as u64).read_to_end(&mut bytes)?;
        if bytes.len() < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }
}

impl<R: BufRead> Read for Indexed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() && !self.ended {
            if self.blocks.len() > 0 {
                self.next_batch()?;
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
fn inflate(packed: &[u8], out: &mut [u8]) -> io::Result<Crc> {
    let mut inflater = Decompress::new(false);
    inflater.decompress(packed, out, FlushDecompress::Sync).map_err(io::Error::other)?;
    if inflater.total_out() != out.len() as u64 || inflater.total_in() != packed.len() as u64 {
        return Err(damaged("a block is not as long as the index says"));
    }
    let mut crc = Crc::new();
    crc.update(out);
    Ok(crc)
}

fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
