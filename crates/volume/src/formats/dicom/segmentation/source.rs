//! What a segmentation takes over from the series it was made of.

use std::path::Path;

use pulmoav_task::Monitor;

use super::super::data_set::{DataSet, read_head};
use super::super::instance::Instance;
use super::super::layout::{Layout, Slot};
use super::super::tags::{self, Tag};
use crate::error::VolumeError;
use crate::volume::Grid;

/// Elements of patient, study and place that a segmentation repeats, with their types; of the required ones an empty
/// value stands where the series has none.
const COPIED: [(Tag, &str, bool); 18] = [
    (tags::STUDY_DATE, "DA", true),
    (tags::STUDY_TIME, "TM", true),
    (tags::ACCESSION, "SH", true),
    (tags::REFERRING, "PN", true),
    (tags::STUDY_DESCRIPTION, "LO", false),
    (tags::PATIENT_NAME, "PN", true),
    (tags::PATIENT_ID, "LO", true),
    (tags::BIRTH_DATE, "DA", true),
    (tags::SEX, "CS", true),
    (tags::AGE, "AS", false),
    (tags::IDENTITY_REMOVED, "CS", false),
    (tags::REMOVAL_METHOD, "LO", false),
    (tags::BODY_PART, "CS", false),
    (tags::STUDY, "UI", true),
    (tags::STUDY_ID, "SH", true),
    (tags::LOSSY, "CS", false),
    (tags::LOSSY_RATIO, "DS", false),
    (tags::LOSSY_METHOD, "CS", false),
];

/// A series of DICOM that a segmentation may refer to.
#[derive(Debug, Clone)]
pub struct SourceSeries {
    /// The grid that its slices become.
    pub(in crate::formats) grid: Grid,
    /// Tag, type and bytes of what is repeated.
    pub(super) copied: Vec<(Tag, &'static str, Vec<u8>)>,
    /// The character set of those bytes; `None` where they are plain ASCII.
    pub(super) character_set: Option<Vec<u8>>,
    pub(super) series: String,
    pub(super) series_number: Option<i64>,
    /// The coordinate system, where it has a name, and what that hangs on.
    pub(super) frame_of_reference: Option<(String, String)>,
    /// Where rows and columns run to.
    pub(super) orientation: [f64; 6],
    pub(super) thickness_mm: f64,
    /// Whether the grid's slices are the files' own, not made anew from a tilted stack.
    pub(super) is_as_stored: bool,
    /// A slice of the grid each.
    pub(super) slices: Vec<SourceSlice>,
}

/// Where a slice of the grid lies, and the frame that it was read from.
#[derive(Debug, Clone)]
pub(super) struct SourceSlice {
    /// Centre of its first pixel, mm towards L, P, S.
    pub(super) position: [f64; 3],
    /// `None` where the slice is missing.
    pub(super) image: Option<SourceImage>,
}

/// A frame of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceImage {
    pub(super) class: String,
    pub(super) instance: String,
    /// Counted from 1; `None` in files of one frame.
    pub(super) frame: Option<usize>,
}

impl SourceSeries {
    /// What is said of a series that was laid out.
    ///
    /// # Errors
    /// `ERR_FORMAT` where it lacks the names that a reference needs; `ERR_IO`, `CANCELLED`.
    pub(in super::super) fn of(
        path: &Path,
        instances: &[Instance],
        layout: &Layout,
        monitor: &dyn Monitor,
    ) -> Result<Self, VolumeError> {
        monitor.proceed()?;
        let nothing = || VolumeError::geometry(path.display(), "has no slices");
        let first = layout.slots.iter().flatten().next().ok_or_else(nothing)?.slice;
        let instance = &instances[first.instance];
        let io = |error| VolumeError::io("read", &instance.place.path(), error);
        let data = instance.place.open().and_then(read_head).map_err(io)?.data;
        let needs = |what: &str| {
            let problem = format!("does not say its {what}, so no DICOM segmentation can refer to it; write .seg.nrrd");
            VolumeError::format(path, problem)
        };
        data.text(tags::STUDY).ok_or_else(|| needs("study instance UID"))?;
        let series = data.text(tags::SERIES).ok_or_else(|| needs("series instance UID"))?;
        let slices = slices(instances, layout);
        if slices.iter().filter_map(|slice| slice.image.as_ref()).any(|image| image.instance.is_empty()) {
            return Err(needs("SOP instance UIDs"));
        }
        let copied = copied(&data);
        let ([a, b, c], [d, e, f]) = (first.facts.along_row, first.facts.along_column);
        let indicator = data.text(tags::REFERENCE_INDICATOR).unwrap_or_default();
        Ok(Self {
            grid: layout.grid,
            character_set: character_set(&data, &copied),
            copied,
            series,
            series_number: data.number(tags::SERIES_NUMBER).map(|number| number as i64),
            frame_of_reference: data.text(tags::FRAME_OF_REFERENCE).map(|uid| (uid, indicator)),
            orientation: [a, b, c, d, e, f],
            thickness_mm: first.facts.thickness_mm.unwrap_or(layout.grid.spacing_mm[0]),
            is_as_stored: layout.slots.iter().flatten().all(|slot| slot.rows_before == 0.0),
            slices,
        })
    }
}

fn slices(instances: &[Instance], layout: &Layout) -> Vec<SourceSlice> {
    let is_as_stored = layout.slots.iter().flatten().all(|slot| slot.rows_before == 0.0);
    let affine = &layout.grid.affine.0;
    // The affine runs to R, A, S.
    let on_grid = |index: usize| {
        let sign = [-1.0, -1.0, 1.0];
        std::array::from_fn(|axis| sign[axis] * (affine[axis][3] + affine[axis][2] * index as f64))
    };
    let one = |(index, slot): (usize, &Option<Slot>)| {
        let image = slot.map(|slot| {
            let instance = &instances[slot.slice.instance];
            let frame = (instance.pixels.frames > 1).then_some(slot.slice.frame + 1);
            SourceImage { class: instance.class_uid.clone(), instance: instance.uid.clone(), frame }
        });
        let own = slot.filter(|_| is_as_stored).map(|slot| slot.slice.facts.position);
        SourceSlice { position: own.unwrap_or_else(|| on_grid(index)), image }
    };
    layout.slots.iter().enumerate().map(one).collect()
}

fn copied(data: &DataSet) -> Vec<(Tag, &'static str, Vec<u8>)> {
    let one = |&(tag, vr, is_required): &(Tag, &'static str, bool)| {
        let bytes = unpadded(data.bytes(tag).unwrap_or_default());
        (is_required || !bytes.is_empty()).then(|| (tag, vr, bytes.to_vec()))
    };
    COPIED.iter().filter_map(one).collect()
}

/// A value without the padding behind it, which some writers make of zeros where spaces belong.
fn unpadded(bytes: &[u8]) -> &[u8] {
    let last = bytes.iter().rposition(|&byte| byte != 0 && byte != b' ');
    &bytes[..last.map_or(0, |last| last + 1)]
}

/// The character set where one is needed: escapes change sets within plain ASCII.
fn character_set(data: &DataSet, copied: &[(Tag, &'static str, Vec<u8>)]) -> Option<Vec<u8>> {
    const ESCAPE: u8 = 0x1b;
    let is_plain = |bytes: &[u8]| bytes.iter().all(|&byte| byte.is_ascii() && byte != ESCAPE);
    if copied.iter().all(|(_, _, bytes)| is_plain(bytes)) {
        return None;
    }
    Some(unpadded(data.bytes(tags::CHARACTER_SET).unwrap_or_default()).to_vec())
}
