//! One standard gzip member from blocks that are deflated in parallel.

use std::io::{self, Seek, SeekFrom, Write};

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};
use rayon::prelude::*;

use super::index::{self, Block};

const LEVEL: u32 = 4;

/// Writes one member, with an index of its blocks.
pub(in crate::formats) struct Gzip<W> {
    out: W,
    /// Where the member starts in `out`.
    start: u64,
    crc: Hasher,
    /// Bytes that went in, modulo 2^32.
    bytes: u32,
    /// How many blocks there will be, and what is known of those that are there.
    expected: usize,
    blocks: Vec<Block>,
}

impl<W: Write + Seek> Gzip<W> {
    /// Starts a member where `out` stands. `blocks` is how many will come.
    pub(in crate::formats) fn start(mut out: W, blocks: usize) -> io::Result<Self> {
        let start = out.stream_position()?;
        out.write_all(&index::header(&vec![Block { packed: 0, bytes: 0 }; blocks]))?;
        Ok(Self { out, start, crc: Hasher::new(), bytes: 0, expected: blocks, blocks: Vec::new() })
    }

    /// Appends blocks of at most `BLOCK_BYTES`, in order.
    pub(in crate::formats) fn blocks(&mut self, blocks: &[&[u8]]) -> io::Result<()> {
        let packed: Vec<io::Result<(Vec<u8>, Hasher)>> = blocks.par_iter().map(|block| deflate(block)).collect();
        for (packed, block) in packed.into_iter().zip(blocks) {
            let (bytes, crc) = packed?;
            self.out.write_all(&bytes)?;
            self.crc.combine(&crc);
            self.bytes = self.bytes.wrapping_add(block.len() as u32);
            self.blocks.push(Block { packed: bytes.len() as u32, bytes: block.len() as u32 });
        }
        Ok(())
    }

    /// Ends the member and gives the writer back, at its end.
    pub(in crate::formats) fn finish(mut self) -> io::Result<W> {
        // An empty last block, the checksum and the length modulo 2^32.
        self.out.write_all(&[3, 0])?;
        self.out.write_all(&self.crc.clone().finalize().to_le_bytes())?;
        self.out.write_all(&self.bytes.to_le_bytes())?;
        if self.expected <= index::MAX_BLOCKS {
            self.blocks.resize(self.expected, Block { packed: 0, bytes: 0 });
            self.out.seek(SeekFrom::Start(self.start))?;
            self.out.write_all(&index::header(&self.blocks))?;
            self.out.seek(SeekFrom::End(0))?;
        }
        Ok(self.out)
    }
}

/// One block as raw deflate that ends on a byte without being the last.
fn deflate(block: &[u8]) -> io::Result<(Vec<u8>, Hasher)> {
    let mut crc = Hasher::new();
    crc.update(block);
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    let mut packed = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let consumed = compress.total_in() as usize;
        let before = packed.len();
        let status =
            compress.compress_vec(&block[consumed..], &mut packed, FlushCompress::Sync).map_err(io::Error::other)?;
        let done = compress.total_in() as usize == block.len();
        if done && packed.len() < packed.capacity() {
            return Ok((packed, crc));
        }
        if status == Status::BufError && packed.len() == before && packed.len() < packed.capacity() {
            return Err(io::Error::other("deflate made no progress"));
        }
        packed.reserve(block.len() / 4 + 1024);
    }
}
