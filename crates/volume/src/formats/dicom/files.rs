//! The files of a folder or an archive, and what those hold that belong to a CT.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use pulmoav_task::Monitor;
use rayon::prelude::*;
use zip::{CompressionMethod, ZipArchive};

use super::instance::{Instance, LeftOut, read_instance};
use super::place::{Entry, Place};
use crate::error::VolumeError;

/// Files that are looked into.
const MAX_FILES: usize = 200_000;
/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 16;
/// Files whose heads are read between two looks at the monitor.
const BATCH: usize = 64;
/// What an archive may grow by, beyond what small ones do anyway: scans shrink to a tenth, empty slices to a hundredth.
const MAX_GROWTH: u64 = 200;
const FREE_GROWTH_BYTES: u64 = 1 << 30;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files with slices of a CT, by their paths.
    pub(super) instances: Vec<Instance>,
    /// How many files were left out for which reason.
    pub(super) left_out: BTreeMap<LeftOut, usize>,
}

/// Whether a file that starts so is a zip archive.
pub(super) fn is_archive(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// Looks into every file of a folder, of an archive, or into one file.
///
/// # Errors
/// `ERR_IO` where the path cannot be read, `ERR_FORMAT` for an archive that is damaged or hostile, `CANCELLED`.
pub(super) fn find(path: &Path, monitor: &dyn Monitor) -> Result<Found, VolumeError> {
    let mut places = places(path, monitor)?;
    places.sort_by_cached_key(Place::path);
    let mut found = Found::default();
    for (batch, part) in places.chunks(BATCH).enumerate() {
        monitor.proceed()?;
        monitor.report("scan", (batch * BATCH) as u64, places.len() as u64);
        let read: Vec<Result<Instance, LeftOut>> = part.par_iter().map(read_instance).collect();
        for one in read {
            match one {
                Ok(instance) => found.instances.push(instance),
                Err(reason) => *found.left_out.entry(reason).or_default() += 1,
            }
        }
    }
    Ok(found)
}

fn places(path: &Path, monitor: &dyn Monitor) -> Result<Vec<Place>, VolumeError> {
    let io = |error| VolumeError::io("read", path, error);
    if fs::metadata(path).map_err(io)?.is_dir() {
        let mut files = Vec::new();
        walk(path, 0, &mut files, monitor)?;
        return Ok(files);
    }
    let mut start = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(File::open(path).map_err(io)?, 4), &mut start).map_err(io)?;
    if is_archive(&start) { entries(path) } else { Ok(vec![Place::File(path.to_owned())]) }
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<Place>, monitor: &dyn Monitor) -> Result<(), VolumeError> {
    monitor.proceed()?;
    let io = |error| VolumeError::io("read", folder, error);
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let path = entry.path();
        // Links to folders may lead round in circles.
        let kind = entry.file_type().map_err(io)?;
        if is_hidden(&path) {
            continue;
        }
        if kind.is_dir() {
            if depth < MAX_DEPTH {
                walk(&path, depth + 1, files, monitor)?;
            }
        } else if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            files.push(Place::File(path));
        }
        if files.len() > MAX_FILES {
            let problem = format!("holds more than {MAX_FILES} files; name the folder of one study");
            return Err(VolumeError::format(folder, problem));
        }
    }
    Ok(())
}

/// Whether a name starts with a dot, as what systems put beside files does.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn entries(path: &Path) -> Result<Vec<Place>, VolumeError> {
    let file = File::open(path).map_err(|error| VolumeError::io("read", path, error))?;
    let packed_bytes = file.metadata().map_err(|error| VolumeError::io("read", path, error))?.len();
    let damaged = |problem: &dyn std::fmt::Display| {
        VolumeError::format(path, format!("is a damaged zip archive ({problem}); get it again"))
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    if archive.len() > MAX_FILES {
        return Err(VolumeError::format(path, format!("holds more than {MAX_FILES} files; make it smaller")));
    }
    let mut places = Vec::new();
    let mut bytes = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| damaged(&error))?;
        let name = entry.name().map_err(|error| damaged(&error))?.into_owned();
        if leads_out(&name) {
            let problem =
                format!("holds `{name}`, a name that leads out of the archive; it may be hostile, so pack it anew");
            return Err(VolumeError::format(path, problem));
        }
        if entry.is_dir() || is_hidden(Path::new(&name)) {
            continue;
        }
        if entry.encrypted() {
            return Err(VolumeError::format(path, format!("holds `{name}`, which is encrypted; unpack it first")));
        }
        let is_deflated = match entry.compression() {
            CompressionMethod::STORE => false,
            CompressionMethod::DEFLATE => true,
            other => {
                let problem = format!("holds `{name}`, packed by {other}; expected deflate, so unpack it first");
                return Err(VolumeError::format(path, problem));
            }
        };
        bytes = bytes.saturating_add(entry.size());
        let start = entry.data_start().ok_or_else(|| damaged(&"an entry is not where it should be"))?;
        let entry = Entry {
            archive: path.to_owned(),
            name,
            start,
            packed_bytes: entry.compressed_size(),
            bytes: entry.size(),
            is_deflated,
        };
        places.push(Place::Entry(entry));
    }
    if bytes > FREE_GROWTH_BYTES.max(packed_bytes.saturating_mul(MAX_GROWTH)) {
        let problem = format!("of {packed_bytes} bytes would unpack to {bytes}; no scan does, so it may be hostile");
        return Err(VolumeError::format(path, problem));
    }
    Ok(places)
}

/// Whether unpacking a name could write outside of the archive's folder; nothing is unpacked here, but whoever made it
/// meant no good.
fn leads_out(name: &str) -> bool {
    name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part == "..")
}

impl Found {
    /// What was left out, in words; `None` where nothing was that a user would miss.
    pub(super) fn left_out_words(&self) -> Option<String> {
        let words: Vec<String> = self.left_out.iter().filter_map(|(reason, &count)| reason.words(count)).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// Whether anything was DICOM.
    pub(super) fn is_dicom(&self) -> bool {
        let is_dicom = |reason: &LeftOut| !matches!(reason, LeftOut::NotDicom | LeftOut::Unreadable(_));
        !self.instances.is_empty() || self.left_out.keys().any(is_dicom)
    }
}

impl LeftOut {
    /// The reason with the number of files; `None` for what no user would miss.
    fn words(&self, count: usize) -> Option<String> {
        Some(match self {
            Self::Directory => return None,
            Self::NotDicom => format!("no DICOM ({count})"),
            Self::Damaged(problem) => format!("damaged ({count}: {problem})"),
            Self::Modality(modality) if modality.is_empty() => format!("no modality ({count})"),
            Self::Modality(modality) => format!("modality {modality} ({count})"),
            Self::NoImage => format!("no image ({count})"),
            Self::Localizer => format!("localizer ({count})"),
            Self::NotGrey => format!("colours, or values that are no CT's ({count})"),
            Self::Unplaced => format!("no place of its slices ({count})"),
            Self::Unreadable(problem) => format!("unreadable ({count}: {problem})"),
        })
    }
}
