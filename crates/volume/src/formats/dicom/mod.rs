//! DICOM in and out: a folder, an archive or one file becomes one volume, or a sentence says why not.
//!
//! A place is looked through (`files`), each file's head is read (`data_set`, `instance`), slices become stacks
//! (`stack`), one of them is chosen (`series`) and laid out on a grid (`layout`), and then its pixels are read
//! (`fragments`, `codec`, `voxels`). Label maps go out as `segmentation`, in data sets made of `elements`.
//! `docs/dicom.md` tells the rules.

mod codec;
mod data_set;
mod duplicates;
mod elements;
mod files;
mod fragments;
mod instance;
mod layout;
mod place;
pub(super) mod segmentation;
mod series;
mod stack;
mod syntax;
mod tags;
mod voxels;

use std::path::Path;

use pulmoav_task::{Monitor, Warning};

pub use segmentation::SourceSeries;
pub use series::Series;

use crate::error::VolumeError;
use crate::image::{Format, Header, Image};
use files::{Found, find};
use instance::Instance;
use layout::{Layout, lay_out};
use series::{Candidate, best, candidates, choice_words, choose};

/// Whether a file that starts so is DICOM, or an archive that may hold such files.
pub(super) fn is_source(start: &[u8]) -> bool {
    files::is_archive(start) || data_set::is_dicom(start)
}

/// A series whose heads are understood.
pub(super) struct Opened {
    pub(super) header: Header,
    instances: Vec<Instance>,
    layout: Layout,
}

/// Reads the heads of a place and lays out the series that is meant.
///
/// # Errors
/// `ERR_FORMAT` where there is no CT, or where its packing is not read; `ERR_GEOMETRY` where the series is not there,
/// is not clear, or is no volume; `ERR_IO`, `CANCELLED`.
pub(super) fn open(path: &Path, wanted: Option<&str>, monitor: &dyn Monitor) -> Result<Opened, VolumeError> {
    let found = find(path, monitor)?;
    let candidates = candidates(&found);
    if candidates.is_empty() {
        return Err(nothing(path, &found));
    }
    let chosen = choose(&candidates, wanted, path)?;
    if let Some(packing) = &chosen.foreign {
        let problem = format!("has pixels packed as {packing}, which is not read; save it as RLE, JPEG-LS or unpacked");
        return Err(VolumeError::format(path, problem));
    }
    let mut warnings = general_warnings(path, &found, chosen, if wanted.is_none() { candidates.len() } else { 1 });
    let mut stack = chosen.stack.clone();
    let problem = |problem: String| VolumeError::geometry(subject(path, chosen, candidates.len()), problem);
    warnings.extend(duplicates::drop_duplicates(&mut stack, &found.instances).map_err(problem)?);
    let mut layout = lay_out(&stack).map_err(problem)?;
    warnings.append(&mut layout.warnings);
    super::check_size(path, &layout.grid.shape)?;
    Ok(Opened { header: header(&layout, warnings), instances: found.instances, layout })
}

/// The series of a place, in the order in which `series` numbers them.
///
/// # Errors
/// `ERR_FORMAT` where there is no CT; `ERR_IO`, `CANCELLED`.
pub(super) fn list(path: &Path, monitor: &dyn Monitor) -> Result<Vec<Series>, VolumeError> {
    let found = find(path, monitor)?;
    let candidates = candidates(&found);
    if candidates.is_empty() {
        return Err(nothing(path, &found));
    }
    let chosen = best(&candidates).map(|one| one.number);
    Ok(candidates.iter().map(|one| one.describe(chosen == Some(one.number))).collect())
}

impl Opened {
    /// Reads the voxels.
    pub(super) fn read(self, index: Option<usize>, monitor: &dyn Monitor) -> Result<Image, VolumeError> {
        let Self { mut header, instances, layout } = self;
        let subject = instances.first().map(|instance| instance.place.path()).unwrap_or_default();
        header.volume_index(&subject.display().to_string(), index)?;
        let (voxels, warning) = voxels::read(&instances, &layout, monitor)?;
        header.warnings.extend(warning);
        Ok(Image { voxels, header })
    }

    /// What a segmentation of it repeats and refers to.
    pub(super) fn source(&self, path: &Path, monitor: &dyn Monitor) -> Result<SourceSeries, VolumeError> {
        SourceSeries::of(path, &self.instances, &self.layout, monitor)
    }
}

fn header(layout: &Layout, warnings: Vec<Warning>) -> Header {
    Header {
        format: Format::Dicom,
        grid: layout.grid,
        extra: Vec::new(),
        data_type: voxels::data_type(layout),
        little_endian: true,
        scaling: None,
        sform_code: None,
        qform_code: None,
        oriented: true,
        warnings,
        nifti: None,
    }
}

/// What to say of a place before its slices are looked at; `count` series could have been meant.
fn general_warnings(path: &Path, found: &Found, chosen: &Candidate, count: usize) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(words) = found.left_out_words() {
        warnings.push(Warning::new("FILES_SKIPPED", format!("files that were not read: {words}")));
    }
    if count > 1 {
        warnings.push(Warning::new("SERIES_CHOSEN", choice_words(chosen, count)));
    }
    if chosen.stack.slices.len() == 1 {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let message = format!("`{name}` holds one slice; to read a whole series, name its folder");
        warnings.push(Warning::new("SINGLE_SLICE", message));
    }
    warnings
}

/// What an error is about: the place, and the series where there are several.
fn subject(path: &Path, chosen: &Candidate, count: usize) -> String {
    if count == 1 { path.display().to_string() } else { format!("{}, series {}", path.display(), chosen.number) }
}

fn nothing(path: &Path, found: &Found) -> VolumeError {
    let (what, remedy) = if found.is_dicom() {
        ("holds no CT", "name their folder")
    } else {
        ("holds no DICOM file", "name their folder; of scans in other formats, name one file (many: `pulmoav batch`)")
    };
    let words = found.left_out_words().map(|words| format!(", but files of other kinds: {words}")).unwrap_or_default();
    VolumeError::format(path, format!("{what}{words}; expected slices of a chest CT, so {remedy}"))
}
