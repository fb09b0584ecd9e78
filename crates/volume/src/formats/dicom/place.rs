//! Where the bytes of one DICOM file are: a file of its own, or an entry of a zip archive, never unpacked to disk.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use flate2::read::DeflateDecoder;

const BUFFER_BYTES: usize = 1 << 15;

/// One file, wherever it lies.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A file.
    File(PathBuf),
    /// An entry of an archive.
    Entry(Entry),
}

/// An entry of a zip archive.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The archive's file.
    pub(super) archive: PathBuf,
    /// The entry's name in it.
    pub(super) name: String,
    /// Where its bytes begin in the archive.
    pub(super) start: u64,
    /// How many there are.
    pub(super) packed_bytes: u64,
    /// How many they become.
    pub(super) bytes: u64,
    /// Whether they are deflated; stored as they are otherwise.
    pub(super) is_deflated: bool,
}

impl Place {
    /// The name to tell people; of an entry, the archive's with the entry's below it.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Entry(entry) => entry.archive.join(&entry.name),
        }
    }

    /// Opens the file at its first byte.
    pub(super) fn open(&self) -> io::Result<Stream> {
        match self {
            Self::File(path) => {
                let file = File::open(path)?;
                let length = file.metadata()?.len();
                Ok(Stream::new(Inner::File(BufReader::with_capacity(BUFFER_BYTES, file)), length))
            }
            Self::Entry(entry) => entry.open(),
        }
    }
}

impl Entry {
    fn open(&self) -> io::Result<Stream> {
        let mut file = File::open(&self.archive)?;
        file.seek(SeekFrom::Start(self.start))?;
        let packed = file.take(self.packed_bytes);
        let inner: Box<dyn Read + Send> =
            if self.is_deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
        Ok(Stream::new(Inner::Forward(BufReader::with_capacity(BUFFER_BYTES, inner)), self.bytes))
    }
}

/// Bytes in order, with how many can still come: nothing is allocated by what a length field says alone.
pub(super) struct Stream {
    inner: Inner,
    /// Bytes looked at and not passed.
    ahead: Vec<u8>,
    /// Bytes passed.
    position: u64,
    /// The most bytes there can be.
    length: u64,
}

enum Inner {
    File(BufReader<File>),
    Forward(BufReader<Box<dyn Read + Send>>),
}

/// Deflate cannot make more than this many bytes of one.
const MAX_EXPANSION: u64 = 1032;

impl Stream {
    fn new(inner: Inner, length: u64) -> Self {
        Self { inner, ahead: Vec::new(), position: 0, length }
    }

    /// Bytes passed so far; after [`Stream::inflate`] those of the inflated stream.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The most bytes that can still come.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    /// Inflates what is still to come: a deflate stream without a header, as DICOM has it.
    pub(super) fn inflate(self) -> Self {
        let length = self.left().saturating_mul(MAX_EXPANSION);
        let ahead = io::Cursor::new(self.ahead);
        let rest: Box<dyn Read + Send> = match self.inner {
            Inner::File(reader) => Box::new(DeflateDecoder::new(ahead.chain(reader))),
            Inner::Forward(reader) => Box::new(DeflateDecoder::new(ahead.chain(reader))),
        };
        Self::new(Inner::Forward(BufReader::with_capacity(BUFFER_BYTES, rest)), length)
    }

    /// The next bytes, not passed yet; fewer at the end.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        let missing = count.saturating_sub(self.ahead.len()) as u64;
        if missing > 0 {
            self.inner.reader().take(missing).read_to_end(&mut self.ahead)?;
        }
        Ok(&self.ahead[..count.min(self.ahead.len())])
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` where fewer are left.
    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = self.take(N as u64)?;
        bytes.try_into().map_err(|_| io::ErrorKind::UnexpectedEof.into())
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` where fewer are left, before anything is allocated.
    pub(super) fn take(&mut self, count: u64) -> io::Result<Vec<u8>> {
        if count > self.left() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rest = self.ahead.split_off(self.ahead.len().min(count as usize));
        let mut bytes = std::mem::replace(&mut self.ahead, rest);
        // What an inflated stream can hold is a guess, so the room grows with what comes.
        self.inner.reader().take(count - bytes.len() as u64).read_to_end(&mut bytes)?;
        self.position += bytes.len() as u64;
        if bytes.len() as u64 == count { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Passes over `count` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` where fewer are left.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        if count > self.left() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let ahead = count.min(self.ahead.len() as u64);
        self.ahead.drain(..ahead as usize);
        let behind = count - ahead;
        match &mut self.inner {
            Inner::File(reader) => reader.seek_relative(behind as i64)?,
            Inner::Forward(reader) => {
                if io::copy(&mut reader.take(behind), &mut io::sink())? < behind {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        self.position += count;
        Ok(())
    }

    /// Passes over what stands before byte `position`.
    ///
    /// # Errors
    /// `InvalidInput` where it lies behind, `UnexpectedEof` where the stream ends before it.
    pub(super) fn skip_to(&mut self, position: u64) -> io::Result<()> {
        let count = position.checked_sub(self.position).ok_or(io::ErrorKind::InvalidInput)?;
        self.skip(count)
    }
}

impl Inner {
    fn reader(&mut self) -> &mut dyn Read {
        match self {
            Self::File(reader) => reader,
            Self::Forward(reader) => reader,
        }
    }
}
