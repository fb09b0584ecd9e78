//! A member like any other: one stream, inflated from its beginning to its end.

use std::io::{self, BufRead, Read};

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use super::WRONG_CHECKSUM;
use super::index::exactly;

/// Reads the bytes behind the header.
pub(super) struct Serial<R> {
    packed: R,
    inflater: Decompress,
    crc: Hasher,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Inflating,
    /// Behind the stream, before checksum and length.
    Inflated,
    Checked,
}

impl<R: BufRead> Serial<R> {
    pub(super) fn new(packed: R) -> Self {
        Self { packed, inflater: Decompress::new(false), crc: Hasher::new(), state: State::Inflating }
    }

    pub(super) fn into_inner(self) -> R {
        self.packed
    }

    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let packed = self.packed.fill_buf()?;
            let (taken, made) = (self.inflater.total_in(), self.inflater.total_out());
            let result = self.inflater.decompress(packed, out, FlushDecompress::None);
            let status = result.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "corrupt deflate stream"))?;
            let nothing_left = packed.is_empty();
            self.packed.consume((self.inflater.total_in() - taken) as usize);
            let count = (self.inflater.total_out() - made) as usize;
            self.crc.update(&out[..count]);
            if status == Status::StreamEnd {
                self.state = State::Inflated;
                return Ok(count);
            }
            if count > 0 {
                return Ok(count);
            }
            if nothing_left {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Compares checksum and length.
    fn check(&mut self) -> io::Result<()> {
        let end = exactly(&mut self.packed, 8)?;
        let sum = self.crc.clone().finalize();
        let length = self.inflater.total_out() as u32;
        if end == [sum.to_le_bytes(), length.to_le_bytes()].concat() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, WRONG_CHECKSUM))
        }
    }
}

impl<R: BufRead> Read for Serial<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.state == State::Inflating {
            let count = self.inflate(out)?;
            if count > 0 {
                return Ok(count);
            }
        }
        if self.state == State::Inflated {
            self.check()?;
            self.state = State::Checked;
        }
        Ok(0)
    }
}
