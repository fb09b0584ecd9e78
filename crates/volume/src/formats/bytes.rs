//! A stream of a file's bytes that knows how much it can still give, so that no header can make us allocate more.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use flate2::bufread::ZlibDecoder;
use pulmoav_task::Monitor;

use super::gzip::Gunzip;
use crate::error::VolumeError;
use crate::voxels::{DataType, Voxel, Voxels, swap_bytes};

/// Deflate cannot make more than this many bytes of one.
const MAX_EXPANSION: u64 = 1032;
const BUFFER_BYTES: usize = 1 << 18;
/// Bytes passed over at a time: enough blocks for all threads.
const SKIP_BYTES: u64 = 16 << 20;
/// Voxel bytes read between two looks at the monitor, where no thread carries them: enough blocks for all threads.
const STEP_BYTES: usize = 64 << 20;
/// Compressed voxels of so many bytes, unpacked, are worth a thread.
const MIN_CARRIED_BYTES: u64 = 4 << 20;
/// What that thread unpacks at a time, and how far it may be ahead: longer than a large page takes to be cleared.
const PIECE_BYTES: usize = 1 << 19;
const PIECES: usize = 6;
/// After the voxels this much of a compressed stream is read on, so that its checksum is compared.
const TAIL_BYTES: u64 = 1 << 20;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// As they are.
    Raw,
    /// One or more gzip members.
    Gzip,
    /// One zlib stream.
    Zlib,
}

/// A readable stream with a budget.
pub(super) struct Bytes {
    path: PathBuf,
    reader: Box<dyn Stream>,
    /// Bytes peeked at and not consumed.
    ahead: Vec<u8>,
    /// The most bytes that can still come, counting `ahead`.
    budget: u64,
    /// Bytes consumed.
    position: u64,
    packing: Packing,
    /// The most bytes the whole file can hold.
    capacity: u64,
}

/// Where bytes come from.
trait Stream: Read + Send {
    /// Whether reading them keeps one thread busy, and no other.
    fn is_serial(&self) -> bool;
}

impl Stream for BufReader<File> {
    fn is_serial(&self) -> bool {
        false
    }
}

impl<R: BufRead + Send> Stream for ZlibDecoder<R> {
    fn is_serial(&self) -> bool {
        true
    }
}

impl<R: BufRead + Send> Stream for Gunzip<R> {
    fn is_serial(&self) -> bool {
        !self.is_parallel()
    }
}

/// Opens a file, unpacking gzip when it is gzip by content.
pub(super) fn open_file(path: &Path) -> Result<Bytes, VolumeError> {
    let bytes = open_raw(path)?;
    bytes.unpack_gzip()
}

/// Opens a file as it is.
pub(super) fn open_raw(path: &Path) -> Result<Bytes, VolumeError> {
    let file = File::open(path).map_err(|error| VolumeError::io("read", path, error))?;
    let metadata = file.metadata().map_err(|error| VolumeError::io("read", path, error))?;
    if !metadata.is_file() {
        let error = io::Error::other("it is not a regular file; name a volume file");
        return Err(VolumeError::io("read", path, error));
    }
    Ok(Bytes {
        path: path.to_owned(),
        reader: Box::new(BufReader::with_capacity(BUFFER_BYTES, file)),
        ahead: Vec::new(),
        budget: metadata.len(),
        position: 0,
        packing: Packing::Raw,
        capacity: metadata.len(),
    })
}

impl Bytes {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The most bytes that can still come.
    pub(super) fn budget(&self) -> u64 {
        self.budget
    }

    /// Unpacks what is still to come.
    pub(super) fn unpack(self, packing: Packing) -> Self {
        if packing == Packing::Raw {
            return self;
        }
        let budget = self.budget.saturating_mul(MAX_EXPANSION).saturating_add(MAX_EXPANSION);
        let packed = BufReader::with_capacity(BUFFER_BYTES, io::Cursor::new(self.ahead).chain(self.reader));
        let reader: Box<dyn Stream> = match packing {
            Packing::Zlib => Box::new(ZlibDecoder::new(packed)),
            _ => Box::new(Gunzip::new(packed)),
        };
        Self { path: self.path, reader, ahead: Vec::new(), budget, position: 0, packing, capacity: budget }
    }

    /// Unpacks gzip when that is what comes next.
    pub(super) fn unpack_gzip(mut self) -> Result<Self, VolumeError> {
        if self.peek(2)? == [0x1f, 0x8b] { Ok(self.unpack(Packing::Gzip)) } else { Ok(self) }
    }

    /// The next bytes without consuming them; fewer at the end.
    pub(super) fn peek(&mut self, count: usize) -> Result<Vec<u8>, VolumeError> {
        if self.ahead.len() < count {
            let missing = (count - self.ahead.len()) as u64;
            let result = (&mut self.reader).take(missing).read_to_end(&mut self.ahead);
            result.map_err(|error| self.failure(error))?;
        }
        Ok(self.ahead[..count.min(self.ahead.len())].to_vec())
    }

    /// The next `count` bytes exactly; `what` names them in the error.
    pub(super) fn take(&mut self, count: usize, what: &str) -> Result<Vec<u8>, VolumeError> {
        if count as u64 > self.budget {
            return Err(self.too_short(what, count as u64));
        }
        self.peek(count)?;
        if self.ahead.len() < count {
            return Err(self.too_short(what, count as u64));
        }
        let rest = self.ahead.split_off(count);
        self.consumed(count as u64);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// Everything that is left, if it is at most `most` bytes.
    pub(super) fn take_rest(&mut self, most: usize) -> Result<Vec<u8>, VolumeError> {
        let bytes = self.peek(most)?;
        let rest = self.ahead.split_off(bytes.len());
        self.ahead = rest;
        self.consumed(bytes.len() as u64);
        Ok(bytes)
    }

    /// The next line without its end, of at most `most` bytes; `None` at the end of the file.
    pub(super) fn line(&mut self, most: usize) -> Result<Option<Vec<u8>>, VolumeError> {
        let mut window = 256.min(most);
        loop {
            let ahead = self.peek(window)?;
            let end = ahead.iter().position(|&byte| byte == b'\n');
            let ended = ahead.len() < window;
            if let Some(end) = end.or(ended.then_some(ahead.len())) {
                if ahead.is_empty() {
                    return Ok(None);
                }
                let consumed = (end + 1).min(ahead.len());
                self.ahead.drain(..consumed);
                self.consumed(consumed as u64);
                let mut line = ahead;
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(line));
            }
            if window == most {
                return Err(VolumeError::format(
                    &self.path,
                    format!("has a header line of more than {most} bytes; the file is damaged"),
                ));
            }
            window = (window * 4).min(most);
        }
    }

    /// Passes over `count` bytes.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), VolumeError> {
        let ahead = (self.ahead.len() as u64).min(count);
        self.ahead.drain(..ahead as usize);
        self.consumed(ahead);
        let mut left = count - ahead;
        let mut passed = vec![0; left.min(SKIP_BYTES) as usize];
        while left > 0 {
            let most = left.min(SKIP_BYTES) as usize;
            let read = self.reader.read(&mut passed[..most]).map_err(|error| self.failure(error))?;
            if read == 0 {
                return Err(self.too_short("data before the voxels", count));
            }
            self.consumed(read as u64);
            left -= read as u64;
        }
        Ok(())
    }

    /// Refuses a declared size that the file cannot hold.
    pub(super) fn expect(&self, declared: u128) -> Result<(), VolumeError> {
        if declared <= u128::from(self.budget) {
            return Ok(());
        }
        let limit = if self.packing == Packing::Raw { "holds" } else { "can unpack to at most" };
        Err(VolumeError::format(
            &self.path,
            format!(
                "declares {declared} bytes of voxels, but {limit} {} after byte {}; the file is cut short or damaged, so get it again",
                self.budget, self.position
            ),
        ))
    }

    /// The next `count` voxels.
    pub(super) fn voxels(
        &mut self,
        data_type: DataType,
        count: usize,
        little_endian: bool,
        monitor: &dyn Monitor,
    ) -> Result<Voxels, VolumeError> {
        let order = little_endian;
        Ok(match data_type {
            DataType::Uint8 => self.typed::<u8>(count, order, monitor)?.into(),
            DataType::Int8 => self.typed::<i8>(count, order, monitor)?.into(),
            DataType::Uint16 => self.typed::<u16>(count, order, monitor)?.into(),
            DataType::Int16 => self.typed::<i16>(count, order, monitor)?.into(),
            DataType::Uint32 => self.typed::<u32>(count, order, monitor)?.into(),
            DataType::Int32 => self.typed::<i32>(count, order, monitor)?.into(),
            DataType::Uint64 => self.typed::<u64>(count, order, monitor)?.into(),
            DataType::Int64 => self.typed::<i64>(count, order, monitor)?.into(),
            DataType::Float32 => self.typed::<f32>(count, order, monitor)?.into(),
            DataType::Float64 => self.typed::<f64>(count, order, monitor)?.into(),
            other => {
                return Err(VolumeError::format(
                    &self.path,
                    format!(
                        "holds {} voxels; expected one real number a voxel, so convert it to a scalar type first",
                        other.name()
                    ),
                ));
            }
        })
    }

    fn typed<T: Voxel>(
        &mut self,
        count: usize,
        little_endian: bool,
        monitor: &dyn Monitor,
    ) -> Result<Vec<T>, VolumeError> {
        let total = count as u64 * size_of::<T>() as u64;
        self.expect(u128::from(total))?;
        let mut values = if total >= MIN_CARRIED_BYTES && self.reader.is_serial() && rayon::current_num_threads() > 1 {
            self.carried(count, total, monitor)?
        } else {
            self.read_in_place(count, total, monitor)?
        };
        if little_endian != cfg!(target_endian = "little") {
            swap_bytes(&mut values);
        }
        Ok(values)
    }

    fn read_in_place<T: Voxel>(
        &mut self,
        count: usize,
        total: u64,
        monitor: &dyn Monitor,
    ) -> Result<Vec<T>, VolumeError> {
        // Zeros of the system's: pages are touched only as bytes arrive, so a small file never costs a large
        // allocation.
        let mut values = bytemuck::allocation::try_zeroed_vec::<T>(count).map_err(|()| self.no_memory(total))?;
        let mut done = 0;
        for out in bytemuck::cast_slice_mut(&mut values).chunks_mut(STEP_BYTES) {
            monitor.proceed()?;
            self.fill(out, total)?;
            done += out.len() as u64;
            monitor.report("read", done, total);
        }
        Ok(values)
    }

    /// As [`Bytes::read_in_place`], with a thread of its own that only unpacks, again and again into a few pieces that
    /// stay near: this one carries them to where they belong, which means touching fresh pages.
    fn carried<T: Voxel>(&mut self, count: usize, total: u64, monitor: &dyn Monitor) -> Result<Vec<T>, VolumeError> {
        let mut values: Vec<T> = Vec::new();
        values.try_reserve_exact(count).map_err(|_| self.no_memory(total))?;
        let (full, filled) = mpsc::channel::<Result<Vec<T>, VolumeError>>();
        let (empty, emptied) = mpsc::channel();
        for _ in 0..PIECES {
            // The other side is there, so this cannot fail; the same below, where it has nothing to do any more.
            let _ = empty.send(vec![T::default(); PIECE_BYTES / size_of::<T>()]);
        }
        let path = self.path.clone();
        thread::scope(|scope| {
            let unpack = move || {
                let mut left = count;
                while left > 0
                    && let Ok(mut piece) = emptied.recv()
                {
                    piece.truncate(left);
                    left -= piece.len();
                    let result = self.fill(bytemuck::cast_slice_mut(&mut piece), total).map(|()| piece);
                    let failed = result.is_err();
                    if full.send(result).is_err() || failed {
                        return;
                    }
                }
            };
            let thread = thread::Builder::new().name("pulmoav-unpack".into());
            thread.spawn_scoped(scope, unpack).map_err(|error| VolumeError::io("read", &path, error))?;
            // Whichever way this ends, its ends of the channels go, and with them the thread.
            let empty = empty;
            for piece in filled {
                let piece = piece?;
                monitor.proceed()?;
                values.extend_from_slice(&piece);
                monitor.report("read", (values.len() * size_of::<T>()) as u64, total);
                let _ = empty.send(piece);
            }
            Ok(values)
        })
    }

    fn no_memory(&self, bytes: u64) -> VolumeError {
        VolumeError::Memory { subject: self.path.display().to_string(), bytes }
    }

    fn fill(&mut self, out: &mut [u8], total: u64) -> Result<(), VolumeError> {
        let ahead = self.ahead.len().min(out.len());
        out[..ahead].copy_from_slice(&self.ahead[..ahead]);
        self.ahead.drain(..ahead);
        let result = self.reader.read_exact(&mut out[ahead..]);
        match result {
            Ok(()) => {
                self.consumed(out.len() as u64);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.too_short("voxels", total)),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Reads a little on, so that a compressed stream's checksum is compared; more data after the voxels is no fault.
    pub(super) fn finish(mut self) -> Result<(), VolumeError> {
        if self.packing == Packing::Raw {
            return Ok(());
        }
        let result = io::copy(&mut (&mut self.reader).take(TAIL_BYTES), &mut io::sink());
        result.map_err(|error| self.failure(error))?;
        Ok(())
    }

    fn consumed(&mut self, count: u64) {
        self.position += count;
        self.budget = self.capacity.saturating_sub(self.position);
    }

    fn too_short(&self, what: &str, needed: u64) -> VolumeError {
        VolumeError::format(
            &self.path,
            format!(
                "ends within its {what}, which should be {needed} bytes; the file is cut short or damaged, so get it again"
            ),
        )
    }

    fn failure(&self, error: io::Error) -> VolumeError {
        if self.packing != Packing::Raw && error.raw_os_error().is_none() {
            return VolumeError::format(
                &self.path,
                format!("has damaged compressed data ({error}); get the file again"),
            );
        }
        VolumeError::io("read", &self.path, error)
    }
}
