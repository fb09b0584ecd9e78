//! Prepared cases on disk: HU and codes on the plan's grid, read patch by patch.
//!
//! A file is `PVCASE05`, the length of a JSON header (u32, little-endian), the header, then the voxels: HU as i16, one
//! [`crate::code`] byte each (what is supervised is decided when a patch is cut), and the [`Places`] as u32. Files are written to a temporary name, synchronised and renamed, so that a file that
//! exists is whole.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    case::Part,
    code::{IGNORE_BIT, SUPERVISED_BIT},
    error::TrainError,
    patch::StoredPatch,
    places::{Kind, Listed, Places},
};

const MAGIC: &[u8; 8] = b"PVCASE05";
/// What lies outside the scan.
const AIR_HU: i16 = -1024;

/// Where the plane between the lungs is: the side channel is `(x − plane_x) / half_width`, x in voxels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SidePlane {
    /// Voxel coordinate of the plane.
    pub plane_x: f64,
    /// Half the width of the lungs' box, voxels.
    pub half_width: f64,
}

impl SidePlane {
    fn at(&self, x: isize) -> f32 {
        ((x as f64 - self.plane_x) / self.half_width) as f32
    }
}

/// A case on the plan's grid, in memory: what gets written.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedCase {
    /// Voxels, `[z, y, x]`, canonical frame.
    pub shape: [usize; 3],
    /// CT.
    pub hu: Vec<i16>,
    /// All bits but the supervised one.
    pub codes: Vec<u8>,
    /// Where patches may be cut.
    pub places: Places,
    /// Plane between the lungs.
    pub plane: SidePlane,
    /// Best Dice of artery and vein that this grid allows.
    pub ceiling: [Option<f64>; 2],
    /// Whether airways are among the codes.
    pub airways: bool,
    /// What its files and voxels gave cause to say.
    pub warnings: Vec<CaseWarning>,
}

/// Something a user should know of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CaseWarning {
    /// The case's name.
    pub case: String,
    /// A stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Header {
    shape: [usize; 3],
    plane: SidePlane,
    ceiling: [Option<f64>; 2],
    airways: bool,
    warnings: Vec<CaseWarning>,
    /// Places listed of each kind.
    places: [usize; Kind::COUNT],
}

/// A case in the cache. Its file is opened for each patch: a data set may have more cases than a process may open
/// files.
#[derive(Debug)]
pub struct CachedCase {
    path: PathBuf,
    header: Header,
    voxels_at: u64,
}

/// Writes a case; replaces an older file of that name in one go.
pub fn write(path: &Path, case: &PreparedCase) -> Result<(), TrainError> {
    let header = Header {
        shape: case.shape,
        plane: case.plane,
        ceiling: case.ceiling,
        airways: case.airways,
        warnings: case.warnings.clone(),
        places: case.places.counts(),
    };
    let header = serde_json::to_vec(&header).map_err(|error| TrainError::Internal(error.to_string()))?;
    let mut bytes = Vec::with_capacity(case.codes.len() * 3 + header.len() + 12 + 4 * case.places.indices().count());
    bytes.extend(MAGIC);
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header);
    bytes.extend(case.hu.iter().flat_map(|hu| hu.to_le_bytes()));
    bytes.extend(&case.codes);
    bytes.extend(case.places.indices().flat_map(u32::to_le_bytes));
    write_atomically(path, &bytes)
}

/// Temporary file, synchronise, rename.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path));
    renamed.map_err(|source| {
        // The first error is the one to tell; a leftover temporary file is harmless.
        let _ = std::fs::remove_file(&temporary);
        TrainError::Io { path: path.to_owned(), source }
    })
}

impl CachedCase {
    /// Opens a file and checks its header and length.
    ///
    /// # Errors
    /// `ERR_IO`, or `ERR_FORMAT` if the file is not one of ours or is cut.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let mut file = File::open(path).map_err(TrainError::io(path))?;
        let mut start = [0u8; 12];
        file.read_exact(&mut start).map_err(TrainError::io(path))?;
        let (magic, length) = start.split_at(8);
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        if magic != MAGIC || length > 1 << 16 {
            return Err(TrainError::format(
                path,
                "not a prepared case of this version; delete the file, it is made again",
            ));
        }
        let mut header = vec![0u8; length as usize];
        file.read_exact(&mut header).map_err(TrainError::io(path))?;
        let header: Header =
            serde_json::from_slice(&header).map_err(|error| TrainError::format(path, error.to_string()))?;
        let voxels_at = 12 + u64::from(length);
        let case = Self { path: path.to_owned(), voxels_at, header };
        let expected = case.places_at() + 4 * case.header.places.iter().sum::<usize>() as u64;
        let found = std::fs::metadata(path).map_err(TrainError::io(path))?.len();
        if found != expected {
            return Err(TrainError::format(
                path,
                format!("{found} bytes, expected {expected}; delete the file, it is made again"),
            ));
        }
        Ok(case)
    }

    /// What its files and voxels gave cause to say.
    pub fn warnings(&self) -> &[CaseWarning] {
        &self.header.warnings
    }

    /// Cuts a patch; `knows` says whether the reference knows a part. Outside of the scan is air without supervision.
    pub fn patch(
        &self,
        origin: [isize; 3],
        size: [usize; 3],
        knows: impl Fn(Part) -> bool,
    ) -> Result<StoredPatch, TrainError> {
        let total = size.iter().product();
        let side = (0..size[2]).map(|x| self.header.plane.at(origin[2] + x as isize)).collect();
        let mut patch = StoredPatch { shape: size, hu: vec![AIR_HU; total], side, codes: vec![0; total] };
        let [(z0, z1), (y0, y1), (x0, x1)] =
            std::array::from_fn(|axis| overlap(origin[axis], size[axis], self.header.shape[axis]));
        let [_, height, width] = self.header.shape;
        let mut hu_bytes = vec![0u8; (y1 - y0) * width * 2];
        let mut codes = vec![0u8; (y1 - y0) * width];
        let mut file = self.reader()?;
        for z in z0..z1 {
            let first = ((z * height + y0) * width) as u64;
            self.read(&mut file, self.voxels_at + 2 * first, &mut hu_bytes)?;
            self.read(&mut file, self.codes_at() + first, &mut codes)?;
            for y in y0..y1 {
                let from = (y - y0) * width + x0;
                let to = offset([z, y, x0], origin, size);
                let count = x1 - x0;
                for (hu, pair) in patch.hu[to..to + count].iter_mut().zip(hu_bytes[2 * from..].chunks_exact(2)) {
                    *hu = i16::from_le_bytes([pair[0], pair[1]]);
                }
                for (out, &code) in patch.codes[to..to + count].iter_mut().zip(&codes[from..]) {
                    let supervised = code & IGNORE_BIT == 0 && knows(Part::of(code));
                    *out = code | if supervised { SUPERVISED_BIT } else { 0 };
                }
            }
        }
        Ok(patch)
    }

    /// Best Dice of artery and vein that this grid allows.
    pub fn ceiling(&self) -> [Option<f64>; 2] {
        self.header.ceiling
    }

    /// Whether its codes know the airways.
    pub fn has_airways(&self) -> bool {
        self.header.airways
    }

    fn codes_at(&self) -> u64 {
        self.voxels_at + 2 * self.voxels()
    }

    fn places_at(&self) -> u64 {
        self.voxels_at + 3 * self.voxels()
    }

    fn voxels(&self) -> u64 {
        self.header.shape.iter().map(|&n| n as u64).product()
    }

    fn reader(&self) -> Result<File, TrainError> {
        File::open(&self.path).map_err(TrainError::io(&self.path))
    }

    fn read(&self, file: &mut File, at: u64, bytes: &mut [u8]) -> Result<(), TrainError> {
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(bytes)).map_err(TrainError::io(&self.path))
    }
}

impl Listed for CachedCase {
    fn shape(&self) -> [usize; 3] {
        self.header.shape
    }

    fn count(&self, kind: Kind) -> usize {
        self.header.places[kind.index()]
    }

    fn place(&self, kind: Kind, index: usize) -> Result<[usize; 3], TrainError> {
        let before: usize = self.header.places[..kind.index()].iter().sum();
        let mut bytes = [0u8; 4];
        self.read(&mut self.reader()?, self.places_at() + 4 * (before + index) as u64, &mut bytes)?;
        let linear = u32::from_le_bytes(bytes) as usize;
        let [_, height, width] = self.header.shape;
        Ok([linear / (height * width), linear / width % height, linear % width])
    }
}

/// Voxels of the scan that a patch covers on one axis.
fn overlap(origin: isize, size: usize, scan: usize) -> (usize, usize) {
    let first = origin.clamp(0, scan as isize) as usize;
    let end = (origin + size as isize).clamp(first as isize, scan as isize) as usize;
    (first, end)
}

/// Index into the patch of a voxel of the scan that it covers.
fn offset([z, y, x]: [usize; 3], origin: [isize; 3], size: [usize; 3]) -> usize {
    let local = |at: usize, axis: usize| (at as isize - origin[axis]) as usize;
    (local(z, 0) * size[1] + local(y, 1)) * size[2] + local(x, 2)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::code::{AIRWAY, LABEL_BITS, RIGHT_BIT};
    use crate::patch::Patch;

    /// A small case: a bar of artery on the left, one of vein on the right.
    pub(crate) fn example(shape: [usize; 3]) -> PreparedCase {
        let total: usize = shape.iter().product();
        let mut case = PreparedCase {
            shape,
            hu: vec![-850; total],
            codes: vec![0; total],
            places: Places::default(),
            plane: SidePlane { plane_x: (shape[2] as f64 - 1.0) / 2.0, half_width: shape[2] as f64 / 2.0 },
            ceiling: [Some(0.9), None],
            airways: true,
            warnings: Vec::new(),
        };
        for i in 0..total {
            let x = i % shape[2];
            let y = i / shape[2] % shape[1];
            if x * 2 >= shape[2] {
                case.codes[i] |= RIGHT_BIT;
            }
            let label = if x / 2 == shape[2] / 8 {
                1
            } else if x / 2 == 3 * shape[2] / 8 {
                2
            } else if x / 2 == shape[2] / 8 + 1 {
                AIRWAY
            } else {
                0
            };
            if label > 0 && y * 2 > shape[1] {
                case.codes[i] |= label;
                case.hu[i] = [0, 200, 60, -950][usize::from(label)];
            }
        }
        case.places = Places::of(&case.codes, shape, [1.25; 3], |_| true);
        case
    }

    pub(crate) fn temporary(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("pulmoav-train-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn patches_are_what_was_written() {
        let case = example([5, 6, 16]);
        let path = temporary("cache").join("a.case");
        write(&path, &case).unwrap();
        let cached = CachedCase::open(&path).unwrap();
        let stored = cached.patch([-1, 2, 3], [4, 4, 20], |part| part == Part::Left).unwrap();
        let patch = Patch::from(stored);
        for z in 0..4isize {
            for y in 0..4isize {
                for x in 0..20isize {
                    let at = ((z * 4 + y) * 20 + x) as usize;
                    let (sz, sy, sx) = (z - 1, y + 2, x + 3);
                    assert!((patch.side[at] - (sx as f32 - 7.5) / 8.0).abs() < 1e-6);
                    if sz < 0 || sx >= 16 {
                        assert_eq!((patch.hu[at], patch.codes[at]), (f32::from(AIR_HU), 0));
                        continue;
                    }
                    let from = ((sz * 6 + sy) * 16 + sx) as usize;
                    assert_eq!(patch.hu[at], f32::from(case.hu[from]));
                    let known = if case.codes[from] & RIGHT_BIT == 0 { SUPERVISED_BIT } else { 0 };
                    assert_eq!(patch.codes[at], case.codes[from] | known);
                }
            }
        }
        for label in [1, 2] {
            let kinds = || Kind::of_label(label).into_iter();
            assert!(kinds().any(|kind| cached.count(kind) > 0));
            for (kind, index) in kinds().flat_map(|kind| (0..cached.count(kind)).map(move |index| (kind, index))) {
                let [z, y, x] = cached.place(kind, index).unwrap();
                assert_eq!(case.codes[(z * 6 + y) * 16 + x] & LABEL_BITS, label);
            }
        }
    }

    #[test]
    fn ignored_voxels_are_never_supervised() {
        let mut case = example([4, 4, 8]);
        case.codes[5] |= IGNORE_BIT;
        let path = temporary("ignored").join("a.case");
        write(&path, &case).unwrap();
        let patch = CachedCase::open(&path).unwrap().patch([0; 3], [4, 4, 8], |_| true).unwrap();
        let supervised = |code: &&u8| **code & SUPERVISED_BIT != 0;
        assert_eq!(patch.codes.iter().filter(supervised).count(), 4 * 4 * 8 - 1);
        assert_eq!(patch.codes[5] & SUPERVISED_BIT, 0);
    }

    #[test]
    fn cut_files_are_refused() {
        let path = temporary("cut").join("a.case");
        write(&path, &example([4, 4, 8])).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(CachedCase::open(&path).unwrap_err().code(), "ERR_FORMAT");
    }
}
