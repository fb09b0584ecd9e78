//! gzip in and out: written as one standard member of blocks that stand alone, so that they are deflated in parallel,
//! and inflated in parallel too where the index that we write is at hand. Everyone else reads such a file as any other.

mod index;
mod indexed;
mod serial;
mod write;

use std::io::{self, BufRead, Read};

use self::indexed::Indexed;
use self::serial::Serial;
pub(super) use self::write::Gzip;

/// Bytes deflated by one task; fixed, so that the file does not depend on the number of threads.
pub(super) const BLOCK_BYTES: usize = 2 << 20;
/// Blocks handed to the threads at a time.
pub(super) const BATCH: usize = 8;

const WRONG_CHECKSUM: &str = "corrupt gzip stream does not have a matching checksum";

/// Unpacks one gzip member after another and stops at bytes that start no further one, as Python's reader does for
/// padding.
pub(super) struct Gunzip<R: BufRead> {
    member: Option<Member<R>>,
}

enum Member<R> {
    Serial(Box<Serial<R>>),
    Indexed(Indexed<R>),
    /// A header that could not be read to its end.
    Failed(io::Error),
}

impl<R: BufRead> Member<R> {
    fn open(mut packed: R) -> Self {
        let opened = index::read(&mut packed).and_then(|index| match index {
            Some(blocks) => Indexed::new(packed, blocks).map(Self::Indexed),
            None => Ok(Self::Serial(Box::new(Serial::new(packed)))),
        });
        opened.unwrap_or_else(Self::Failed)
    }

    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Serial(member) => member.read(out),
            Self::Indexed(member) => member.read(out),
            Self::Failed(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }

    /// What follows the member.
    fn into_rest(self) -> Option<R> {
        match self {
            Self::Serial(member) => Some(member.into_inner()),
            Self::Indexed(member) => Some(member.into_inner()),
            Self::Failed(_) => None,
        }
    }
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(packed: R) -> Self {
        Self { member: Some(Member::open(packed)) }
    }

    /// Whether the bytes that come next are inflated by several threads.
    pub(super) fn is_parallel(&self) -> bool {
        matches!(self.member, Some(Member::Indexed(_)))
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let Some(mut packed) = self.member.take().and_then(Member::into_rest) else {
                break;
            };
            let next = match packed.fill_buf() {
                Ok(next) => next,
                Err(error) => {
                    self.member = Some(Member::Failed(io::Error::new(error.kind(), error.to_string())));
                    return Err(error);
                }
            };
            if next.first() == Some(&0x1f) && next.get(1).is_none_or(|&byte| byte == 0x8b) {
                self.member = Some(Member::open(packed));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::bufread::GzDecoder;

    use super::*;

    /// Some bytes that neither vanish nor fill up when they are packed.
    fn plain(bytes: usize) -> Vec<u8> {
        (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> (24 + i / 5000 % 5)) as u8).collect()
    }

    fn packed(plain: &[u8]) -> Vec<u8> {
        let blocks: Vec<&[u8]> = plain.chunks(BLOCK_BYTES).collect();
        let mut out = Gzip::start(Cursor::new(Vec::new()), blocks.len() + 1).unwrap();
        out.blocks(&[b"head"]).unwrap();
        for blocks in blocks.chunks(BATCH) {
            out.blocks(blocks).unwrap();
        }
        out.finish().unwrap().into_inner()
    }

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Gunzip::new(packed).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn what_we_write_everyone_reads_and_we_read_in_parallel() {
        for bytes in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 20 * BLOCK_BYTES + 7] {
            let plain = plain(bytes);
            let packed = packed(&plain);
            let expected = [b"head", &plain[..]].concat();
            assert!(index::read(&mut &packed[..]).unwrap().is_some());
            assert!(unpacked(&packed).unwrap() == expected, "{bytes}");
            let mut serial = Vec::new();
            GzDecoder::new(&packed[..]).read_to_end(&mut serial).unwrap();
            assert!(serial == expected, "{bytes}");
        }
    }

    #[test]
    fn members_follow_each_other_and_padding_is_passed_over() {
        let (one, two) = (plain(10_000), plain(3_000));
        let mut other = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        other.write_all(&two).unwrap();
        let other = other.finish().unwrap();
        let mine = packed(&one);
        let expected = [b"head", &one[..], &two[..], b"head", &one[..]].concat();
        assert!(unpacked(&[&mine[..], &other[..], &mine[..], &[0; 100]].concat()).unwrap() == expected);
    }

    #[test]
    fn damage_is_noticed() {
        let whole = packed(&plain(3 * BLOCK_BYTES));
        for at in [40, 60, 80_000, whole.len() - 12, whole.len() - 6, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(unpacked(&damaged).is_err(), "{at}");
        }
        for end in [11, 30, 100, whole.len() / 2, whole.len() - 1] {
            assert!(unpacked(&whole[..end]).is_err(), "{end}");
        }
    }

    /// A member as others write it, with everything that a header can hold.
    fn foreign(plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3];
        out.extend(b"\x06\0XY\x02\0..name.nii\0a comment\0");
        let check = crc32fast::hash(&out) as u16;
        out.extend(check.to_le_bytes());
        let mut body = flate2::write::DeflateEncoder::new(out, flate2::Compression::fast());
        body.write_all(plain).unwrap();
        let mut out = body.finish().unwrap();
        out.extend(crc32fast::hash(plain).to_le_bytes());
        out.extend((plain.len() as u32).to_le_bytes());
        out
    }

    #[test]
    fn headers_of_others_are_passed_over_and_their_damage_is_noticed() {
        let plain = plain(300_000);
        let whole = foreign(&plain);
        assert!(unpacked(&whole).unwrap() == plain);
        let mut header = whole.clone();
        header[14] ^= 1;
        assert!(unpacked(&header).is_err());
        for at in [whole.len() - 8, whole.len() - 4] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let error = unpacked(&damaged).unwrap_err();
            assert!(error.to_string().contains("checksum"), "{error}");
        }
        for end in [5, 15, 22, 30, 40, 1000, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            let error = unpacked(&whole[..end]).unwrap_err();
            assert!(
                matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput),
                "{end}: {error}"
            );
        }
    }

    #[test]
    fn more_blocks_than_the_index_holds_are_written_without_one() {
        let mut out = Gzip::start(Cursor::new(Vec::new()), index::MAX_BLOCKS + 1).unwrap();
        out.blocks(&[b"head"]).unwrap();
        let packed = out.finish().unwrap().into_inner();
        assert!(index::read(&mut &packed[..]).unwrap().is_none());
        assert_eq!(unpacked(&packed).unwrap(), b"head");
    }
}
