//! Arrays that NumPy packed (`numpy.savez`, `numpy.savez_compressed`): voxels without a place, which their scan lends.
//!
//! A zip file of `NAME.npy` entries, stored or deflated; what stands where is told by the directory at its end
//! (APPNOTE 6.3, NEP 1).

use std::io::Read;
use std::path::Path;

use flate2::read::DeflateDecoder;
use pulmoav_volume::{Voxels, with_voxels};

use crate::error::TrainError;

/// Bytes of the record that ends a zip file, and the longest comment behind it.
const END_BYTES: usize = 22;
const LONGEST_COMMENT: usize = 65_535;
const END_MAGIC: &[u8] = b"PK\x05\x06";
const ENTRY_MAGIC: &[u8] = b"PK\x01\x02";
const LOCAL_MAGIC: &[u8] = b"PK\x03\x04";
/// Zip's method numbers.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// A header is shorter.
const LONGEST_HEADER: usize = 1 << 16;

/// Whether a file is read here.
pub(crate) fn is_npz(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
}

/// Reads the array `key` of a file as voxels of a scan of `shape` `[z, y, x]`. Its axes are x, y, z as in NIfTI, or
/// z, y, x; where both fit, the former.
///
/// # Errors
/// `ERR_IO`; `ERR_FORMAT` for what is no such file, holds no such array, or one of another shape or type.
pub(crate) fn read(path: &Path, key: &str, shape: [usize; 3]) -> Result<Voxels, TrainError> {
    let bytes = std::fs::read(path).map_err(TrainError::io(path))?;
    voxels(&bytes, key, shape).map_err(|problem| TrainError::format(path, problem))
}

fn voxels(bytes: &[u8], key: &str, shape: [usize; 3]) -> Result<Voxels, String> {
    let entry = entry(bytes, &format!("{key}.npy"))?;
    let mut packed: Box<dyn Read + '_> = match entry.method {
        STORED => Box::new(entry.data),
        DEFLATED => Box::new(DeflateDecoder::new(entry.data)),
        other => return Err(format!("packs {key:?} by method {other}; expected it stored or deflated")),
    };
    let header = Header::read(&mut packed)?;
    let [z, y, x] = shape;
    let is_xyz = header.shape == [x, y, z];
    if !is_xyz && header.shape != [z, y, x] {
        return Err(format!("holds {:?} voxels, its scan {:?} along x, y, z", header.shape, [x, y, z]));
    }
    let count = x * y * z;
    let mut raw = vec![0; count * header.bytes()?];
    packed.read_exact(&mut raw).map_err(|error| format!("{key:?} is cut or damaged: {error}"))?;
    let voxels = header.decode(&raw)?;
    // Voxels run x fastest: so do Fortran's x, y, z and C's z, y, x.
    if is_xyz == header.fortran {
        return Ok(voxels);
    }
    let order = |at: usize| {
        let (at_z, at_y, at_x) = (at / (x * y), at / x % y, at % x);
        (at_x * y + at_y) * z + at_z
    };
    Ok(with_voxels!(&voxels, values => (0..count).map(|at| values[order(at)]).collect::<Vec<_>>().into()))
}

struct Entry<'a> {
    method: u16,
    data: &'a [u8],
}

/// Finds an entry by the directory.
fn entry<'a>(bytes: &'a [u8], name: &str) -> Result<Entry<'a>, String> {
    let damaged = || "is no whole .npz file; mend or replace it".to_owned();
    let first = bytes.len().saturating_sub(END_BYTES + LONGEST_COMMENT);
    let end = bytes[first..].windows(END_MAGIC.len()).rposition(|window| window == END_MAGIC).ok_or_else(damaged)?;
    let mut at = word(bytes, first + end + 16).ok_or_else(damaged)? as usize;
    let mut names = Vec::new();
    while bytes.get(at..at + 4) == Some(ENTRY_MAGIC) {
        let half = |offset: usize| half_word(bytes, at + offset).map(usize::from).ok_or_else(damaged);
        let long = |offset: usize| word(bytes, at + offset).ok_or_else(damaged);
        let (name_bytes, more) = (half(28)?, half(30)? + half(32)?);
        let found = bytes.get(at + 46..at + 46 + name_bytes).ok_or_else(damaged)?;
        if found == name.as_bytes() {
            let (size, start) = (long(20)?, long(42)?);
            if size == u32::MAX || start == u32::MAX {
                return Err("is larger than 4 GiB; expected label maps".to_owned());
            }
            let start = start as usize;
            if bytes.get(start..start + 4) != Some(LOCAL_MAGIC) {
                return Err(damaged());
            }
            let lengths = [26, 28].map(|offset| half_word(bytes, start + offset).map(usize::from));
            let from = start + 30 + lengths[0].ok_or_else(damaged)? + lengths[1].ok_or_else(damaged)?;
            let data = bytes.get(from..from + size as usize).ok_or_else(damaged)?;
            return Ok(Entry { method: half(10)? as u16, data });
        }
        names.push(String::from_utf8_lossy(found).into_owned());
        at += 46 + name_bytes + more;
    }
    Err(format!("holds no array {:?} but {names:?}", name.trim_end_matches(".npy")))
}

fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|pair| u16::from_le_bytes(*pair))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
}

/// What a `.npy` file says of its array.
struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn read(from: &mut impl Read) -> Result<Self, String> {
        let mut start = [0; 8];
        let mut take = |buffer: &mut [u8]| from.read_exact(buffer).map_err(|error| format!("is cut: {error}"));
        take(&mut start)?;
        if &start[..6] != b"\x93NUMPY" {
            return Err("holds an entry that is no NumPy array".to_owned());
        }
        let mut length = [0; 4];
        take(&mut length[..if start[6] == 1 { 2 } else { 4 }])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST_HEADER {
            return Err("holds an array with a header of no sensible length".to_owned());
        }
        let mut text = vec![0; length];
        take(&mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Self::parse(&text).ok_or_else(|| format!("holds an array with an unexpected header: {text}"))
    }

    /// Reads `{'descr': '|u1', 'fortran_order': False, 'shape': (512, 512, 300), }`.
    fn parse(text: &str) -> Option<Self> {
        let after = |key: &str| text.split_once(key).map(|(_, rest)| rest.trim_start_matches([':', ' ']));
        let descr = after("'descr'")?.strip_prefix('\'')?.split('\'').next()?.to_owned();
        let fortran = after("'fortran_order'")?.starts_with("True");
        let list = after("'shape'")?.strip_prefix('(')?.split(')').next()?;
        let sizes = list.split(',').map(str::trim).filter(|size| !size.is_empty());
        Some(Self { descr, fortran, shape: sizes.map(|size| size.parse().ok()).collect::<Option<_>>()? })
    }

    /// Bytes a value.
    fn bytes(&self) -> Result<usize, String> {
        let kind = self.descr.trim_start_matches(['<', '|']);
        match kind {
            "b1" | "u1" | "i1" => Ok(1),
            "u2" | "i2" => Ok(2),
            "u4" | "i4" | "f4" => Ok(4),
            "u8" | "i8" | "f8" => Ok(8),
            _ => Err(format!("holds values of type {:?}; expected whole numbers, small end first", self.descr)),
        }
    }

    fn decode(&self, raw: &[u8]) -> Result<Voxels, String> {
        macro_rules! all {
            ($type:ty) => {{
                let (chunks, _) = raw.as_chunks();
                chunks.iter().map(|chunk| <$type>::from_le_bytes(*chunk)).collect::<Vec<_>>().into()
            }};
        }
        Ok(match self.descr.trim_start_matches(['<', '|']) {
            "b1" | "u1" => all!(u8),
            "i1" => all!(i8),
            "u2" => all!(u16),
            "i2" => all!(i16),
            "u4" => all!(u32),
            "i4" => all!(i32),
            "f4" => all!(f32),
            "u8" => all!(u64),
            "i8" => all!(i64),
            "f8" => all!(f64),
            other => return Err(format!("holds values of type {other:?}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A zip file of one entry, as NumPy writes it.
    pub(super) fn npz(name: &str, descr: &str, fortran: bool, shape: &str, raw: &[u8], deflated: bool) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut array = b"\x93NUMPY\x01\x00".to_vec();
        array.extend((header.len() as u16).to_le_bytes());
        array.extend(header.as_bytes());
        array.extend(raw);
        let data = if deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&array).unwrap();
            encoder.finish().unwrap()
        } else {
            array
        };
        let method = if deflated { DEFLATED } else { STORED };
        let mut file = LOCAL_MAGIC.to_vec();
        file.extend([0; 22]);
        file.extend((name.len() as u16).to_le_bytes());
        file.extend(4u16.to_le_bytes());
        file.extend(name.as_bytes());
        file.extend([0; 4]);
        file.extend(&data);
        let directory = file.len() as u32;
        file.extend(ENTRY_MAGIC);
        file.extend([0; 6]);
        file.extend(method.to_le_bytes());
        file.extend([0; 8]);
        file.extend((data.len() as u32).to_le_bytes());
        file.extend([0; 4]);
        file.extend((name.len() as u16).to_le_bytes());
        file.extend([0; 16]);
        file.extend(name.as_bytes());
        file.extend(END_MAGIC);
        file.extend([0; 12]);
        file.extend(directory.to_le_bytes());
        file.extend([0; 2]);
        file
    }

    #[test]
    fn axes_and_orders_of_numpy_become_ours() {
        // 3 along x, 2 along y, 1 along z; the value is 10 x + y.
        let shape = [1, 2, 3];
        let ours: Voxels = vec![0u8, 10, 20, 1, 11, 21].into();
        let cases: [(&str, bool, &[u8]); 3] = [
            ("(3, 2, 1)", false, &[0, 1, 10, 11, 20, 21]),
            ("(3, 2, 1)", true, &[0, 10, 20, 1, 11, 21]),
            ("(1, 2, 3)", false, &[0, 10, 20, 1, 11, 21]),
        ];
        for (text, fortran, raw) in cases {
            for deflated in [false, true] {
                let file = npz("data.npy", "|u1", fortran, text, raw, deflated);
                assert_eq!(voxels(&file, "data", shape).unwrap(), ours, "{text} {fortran} {deflated}");
            }
        }
        let wide = npz("data.npy", "<i2", false, "(1, 1, 2)", &[0x19, 0xfc, 2, 0], true);
        assert_eq!(voxels(&wide, "data", [1, 1, 2]).unwrap(), vec![-999i16, 2].into());
    }

    #[test]
    fn what_is_no_such_array_is_refused() {
        let whole = npz("data.npy", "|u1", false, "(1, 1, 2)", &[1, 2], true);
        let rows: [(&[u8], [usize; 3], &str); 4] = [
            (&whole, [1, 1, 3], "its scan"),
            (&whole[..whole.len() - 30], [1, 1, 2], "no whole"),
            (&npz("other.npy", "|u1", false, "(1, 1, 2)", &[1, 2], true), [1, 1, 2], "other.npy"),
            (&npz("data.npy", ">i2", false, "(1, 1, 1)", &[1, 2], false), [1, 1, 1], "small end first"),
        ];
        for (file, shape, problem) in rows {
            let error = voxels(file, "data", shape).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
