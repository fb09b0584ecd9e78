//! gzip in and out: members are read one after another, and written as one whose blocks are deflated in parallel.

use std::io::{self, BufRead, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use rayon::prelude::*;

/// Bytes deflated by one task; fixed, so that the file does not depend on the number of threads.
pub(super) const BLOCK_BYTES: usize = 1 << 20;
const LEVEL: u32 = 4;

/// Unpacks one gzip member after another and stops at bytes that start no further one, as Python's reader does for
/// padding.
pub(super) struct Gunzip<R: BufRead> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(packed: R) -> Self {
        Self { member: Some(GzDecoder::new(packed)) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let Some(member) = self.member.take() else {
                break;
            };
            let mut packed = member.into_inner();
            let next = packed.fill_buf()?;
            if next.first() == Some(&0x1f) && next.get(1).is_none_or(|&byte| byte == 0x8b) {
                self.member = Some(GzDecoder::new(packed));
            }
        }
        Ok(0)
    }
}

/// Writes one standard gzip member from blocks that are deflated in parallel.
pub(super) struct Gzip<W: Write> {
    out: W,
    crc: Crc,
}

impl<W: Write> Gzip<W> {
    /// Starts the member: no name, no time, so that equal voxels give equal files.
    pub(super) fn start(mut out: W) -> io::Result<Self> {
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        Ok(Self { out, crc: Crc::new() })
    }

    /// Appends blocks, in order.
    pub(super) fn blocks(&mut self, blocks: &[&[u8]]) -> io::Result<()> {
        let packed: Vec<io::Result<(Vec<u8>, Crc)>> = blocks.par_iter().map(|block| deflate(block)).collect();
        for packed in packed {
            let (bytes, crc) = packed?;
            self.out.write_all(&bytes)?;
            self.crc.combine(&crc);
        }
        Ok(())
    }

    /// Ends the member and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        // An empty last block, the checksum and the length modulo 2^32.
        self.out.write_all(&[3, 0])?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }
}

/// One block as raw deflate that ends on a byte without being the last.
fn deflate(block: &[u8]) -> io::Result<(Vec<u8>, Crc)> {
    let mut crc = Crc::new();
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
