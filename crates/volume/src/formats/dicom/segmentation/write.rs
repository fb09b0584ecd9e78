//! A segmentation as a file. Source: DICOM PS3.3, A.51 (which modules there are), C.8.20 and C.7.6.16 and 17 (segments,
//! frames and their order); terms of PS3.16.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use pulmoav_task::Monitor;

use super::super::elements::{Elements, Term, decimal, decimals, push_head};
use super::super::syntax::Encoding;
use super::super::tags;
use super::frames::{Frame, frames, packed_bytes, values_in, write_bits};
use super::identity::{IMPLEMENTATION, now, unique};
use super::source::{SourceImage, SourceSeries, SourceSlice};
use super::{CREATOR, SOP_CLASS, colour};
use crate::error::VolumeError;
use crate::formats::segments::Segment;

/// The most characters of a name (`LO`).
const LONGEST_NAME: usize = 64;
/// An element's longest value that can be told.
const MOST_BYTES: u64 = u32::MAX as u64 - 1;
const ANATOMY: Term<'_> = Term { value: "123037004", scheme: "SCT", meaning: "Anatomical Structure" };
/// What has no term of its own.
const TISSUE: Term<'_> = Term { value: "85756007", scheme: "SCT", meaning: "Tissue" };
const SEGMENTED: Term<'_> = Term { value: "113076", scheme: "DCM", meaning: "Segmentation" };
const PURPOSE: Term<'_> =
    Term { value: "121322", scheme: "DCM", meaning: "Source image for image processing operation" };
const LIMITS: &str = "Research use only: not a medical device";

/// What will be written.
#[derive(Debug)]
pub(in crate::formats) struct Plan<'a> {
    labels: &'a [u8],
    source: &'a SourceSeries,
    segments: Vec<Segment>,
    frames: Vec<Frame>,
}

impl<'a> Plan<'a> {
    /// The segmentation of a label map on the grid of its series; values without a name get one.
    ///
    /// # Errors
    /// `ERR_FORMAT` where it would be larger than DICOM allows.
    pub(in crate::formats) fn new(
        path: &Path,
        labels: &'a [u8],
        named: &[Segment],
        source: &'a SourceSeries,
    ) -> Result<Self, VolumeError> {
        let mut segments = named.to_vec();
        for value in values_in(labels) {
            if named.iter().all(|segment| segment.value != value) {
                segments.push(Segment { value, name: format!("label {value}"), colour: [200, 200, 120], code: None });
            }
        }
        if segments.is_empty() {
            return Err(VolumeError::format(path, "would hold no segment, which DICOM does not allow; write .nii.gz"));
        }
        segments.sort_by_key(|segment| segment.value);
        let values: Vec<u8> = segments.iter().map(|segment| segment.value).collect();
        let plan = Self { labels, source, frames: frames(labels, plane(source), &values), segments };
        if plan.pixel_bytes() > MOST_BYTES {
            let problem =
                format!("would hold {} bytes of pixels, more than DICOM can; write .nii.gz", plan.pixel_bytes());
            return Err(VolumeError::format(path, problem));
        }
        Ok(plan)
    }

    /// Writes the whole file; `false` where the caller asked to stop.
    pub(in crate::formats) fn write(&self, out: &mut dyn Write, monitor: &dyn Monitor) -> io::Result<bool> {
        let instance = unique();
        let mut head = vec![0; 128];
        head.extend(b"DICM");
        head.extend(file_meta(&instance));
        head.extend(self.data_set(&instance).encoded());
        push_head(&mut head, tags::PIXELS, "OB", self.pixel_bytes() as u32);
        out.write_all(&head)?;
        let values: Vec<u8> = self.segments.iter().map(|segment| segment.value).collect();
        write_bits(out, self.labels, plane(self.source), &self.frames, &values, monitor)
    }

    fn pixel_bytes(&self) -> u64 {
        packed_bytes(self.frames.len(), plane(self.source))
    }

    fn data_set(&self, instance: &str) -> Elements {
        let mut data = Elements::default();
        push_patient_and_study(&mut data, self.source);
        push_series(&mut data, self.source);
        push_equipment(&mut data);
        let (date, time) = now();
        for (tag, vr, text) in [
            (tags::SOP_CLASS, "UI", SOP_CLASS),
            (tags::SOP_INSTANCE, "UI", instance),
            (tags::IMAGE_TYPE, "CS", "DERIVED\\PRIMARY"),
            (tags::INSTANCE_NUMBER, "IS", "1"),
            (tags::CONTENT_DATE, "DA", &date),
            (tags::CONTENT_TIME, "TM", &time),
            (tags::CONTENT_LABEL, "CS", "SEGMENTATION"),
            (tags::CONTENT_DESCRIPTION, "LO", LIMITS),
            (tags::CONTENT_CREATOR, "PN", ""),
            (tags::SEGMENTATION_TYPE, "CS", "BINARY"),
            (tags::SEGMENTS_OVERLAP, "CS", "NO"),
            (tags::PHOTOMETRIC, "CS", "MONOCHROME2"),
            (tags::FRAMES, "IS", &self.frames.len().to_string()),
        ] {
            data.text(tag, vr, text);
        }
        let [_, rows, columns] = self.source.grid.shape;
        for (tag, value) in [
            (tags::SAMPLES, 1),
            (tags::ROWS, rows as u16),
            (tags::COLUMNS, columns as u16),
            (tags::BITS_ALLOCATED, 1),
            (tags::BITS_STORED, 1),
            (tags::HIGH_BIT, 0),
            (tags::SIGNED, 0),
        ] {
            data.shorts(tag, &[value]);
        }
        let is_ascii = self.source.character_set.is_some();
        let segments = self.segments.iter().zip(1..).map(|(segment, number)| segment_item(segment, number, is_ascii));
        data.sequence(tags::SEGMENTS, segments);
        push_dimensions(&mut data);
        data.sequence(tags::SHARED_GROUPS, [shared_groups(self.source)]);
        data.sequence(tags::FRAME_GROUPS, self.frame_groups());
        data
    }

    /// An item a frame.
    fn frame_groups(&self) -> Vec<Elements> {
        // Places are counted among those that are there.
        let places: BTreeSet<usize> = self.frames.iter().map(|frame| frame.slice).collect();
        let rank = |slice: usize| places.range(..slice).count() as u32 + 1;
        let ranks: Vec<u32> = (0..self.source.slices.len()).map(rank).collect();
        self.frames.iter().map(|&frame| frame_group(frame, ranks[frame.slice], self.source)).collect()
    }
}

fn plane(source: &SourceSeries) -> usize {
    source.grid.shape[1] * source.grid.shape[2]
}

/// Group 2, which stands before the data set.
fn file_meta(instance: &str) -> Vec<u8> {
    let mut meta = Elements::default();
    meta.bytes((0x0002, 0x0001), "OB", &[0, 1]);
    meta.text((0x0002, 0x0002), "UI", SOP_CLASS);
    meta.text((0x0002, 0x0003), "UI", instance);
    meta.text(tags::TRANSFER_SYNTAX, "UI", Encoding::EXPLICIT.uid());
    meta.text((0x0002, 0x0012), "UI", IMPLEMENTATION);
    meta.text((0x0002, 0x0013), "SH", &format!("PULMOAV {}", env!("CARGO_PKG_VERSION")));
    let meta = meta.encoded();
    let mut length = Elements::default();
    length.longs((0x0002, 0x0000), &[meta.len() as u32]);
    [length.encoded(), meta].concat()
}

fn push_patient_and_study(data: &mut Elements, source: &SourceSeries) {
    for (tag, vr, bytes) in &source.copied {
        data.bytes(*tag, vr, bytes);
    }
    match &source.character_set {
        Some(set) => data.bytes(tags::CHARACTER_SET, "CS", set),
        None => data.text(tags::CHARACTER_SET, "CS", "ISO_IR 192"),
    }
    if source.copied.iter().all(|(tag, ..)| *tag != tags::LOSSY) {
        data.text(tags::LOSSY, "CS", "00");
    }
}

fn push_series(data: &mut Elements, source: &SourceSeries) {
    data.text(tags::MODALITY, "CS", "SEG");
    data.text(tags::SERIES, "UI", &unique());
    // Beside the series it belongs to, where people look for it.
    data.text(tags::SERIES_NUMBER, "IS", &(source.series_number.unwrap_or(0) % 1_000_000 + 1000).to_string());
    data.text(tags::SERIES_DESCRIPTION, "LO", "Segmentation by pulmoav");
    if let Some((uid, indicator)) = &source.frame_of_reference {
        data.text(tags::FRAME_OF_REFERENCE, "UI", uid);
        data.text(tags::REFERENCE_INDICATOR, "LO", indicator);
    }
    let mut seen = BTreeSet::new();
    let images = source.slices.iter().filter_map(|slice| slice.image.as_ref());
    let of_instances = images.filter(|image| seen.insert(image.instance.as_str())).map(|image| {
        let mut item = Elements::default();
        push_reference(&mut item, image);
        item
    });
    let mut series = Elements::default();
    series.sequence(tags::REFERENCED_INSTANCES, of_instances);
    series.text(tags::SERIES, "UI", &source.series);
    data.sequence(tags::REFERENCED_SERIES, [series]);
}

fn push_equipment(data: &mut Elements) {
    data.text(tags::MANUFACTURER, "LO", "pulmoav");
    data.text(tags::MODEL_NAME, "LO", "pulmoav");
    data.text(tags::DEVICE_NUMBER, "LO", "0");
    data.text(tags::SOFTWARE, "LO", env!("CARGO_PKG_VERSION"));
}

fn push_reference(item: &mut Elements, image: &SourceImage) {
    item.text(tags::REFERENCED_CLASS, "UI", &image.class);
    item.text(tags::REFERENCED_INSTANCE, "UI", &image.instance);
}

fn segment_item(segment: &Segment, number: u16, is_ascii: bool) -> Elements {
    let mut item = Elements::default();
    item.shorts(tags::SEGMENT_NUMBER, &[number]);
    item.text(tags::SEGMENT_LABEL, "LO", &name(&segment.name, is_ascii));
    item.text(tags::ALGORITHM_TYPE, "CS", "AUTOMATIC");
    item.text(tags::ALGORITHM_NAME, "LO", "pulmoav");
    item.shorts(tags::DISPLAY_COLOUR, &colour::lab(segment.colour));
    let term = segment.code.as_ref().map(|code| Term { value: &code.value, scheme: "SCT", meaning: &code.meaning });
    item.term(tags::SEGMENT_CATEGORY, if term.is_some() { ANATOMY } else { TISSUE });
    let mut kind = Elements::default();
    let Term { value, scheme, meaning } = term.unwrap_or(TISSUE);
    kind.text(tags::CODE_VALUE, "SH", value);
    kind.text(tags::CODE_SCHEME, "SH", scheme);
    kind.text(tags::CODE_MEANING, "LO", meaning);
    if let Some((value, meaning)) = segment.code.as_ref().and_then(|code| code.side.as_ref()) {
        kind.term(tags::SEGMENT_SIDE, Term { value, scheme: "SCT", meaning });
    }
    item.sequence(tags::SEGMENT_TYPE, [kind]);
    item.text(tags::PRIVATE_CREATOR, "LO", CREATOR);
    item.shorts(tags::LABEL_VALUE, &[u16::from(segment.value)]);
    item
}

/// A user's words within one value of an element.
fn name(text: &str, is_ascii: bool) -> String {
    let kept = |c: char| match c {
        '\\' => '/',
        c if c.is_control() => ' ',
        c if is_ascii && !c.is_ascii() => '?',
        c => c,
    };
    let name: String = text.chars().map(kept).take(LONGEST_NAME).collect();
    let name = name.trim();
    if name.is_empty() { "label".to_owned() } else { name.to_owned() }
}

/// Frames are ordered by segment, then by place.
fn push_dimensions(data: &mut Elements) {
    let uid = unique();
    let mut organization = Elements::default();
    organization.text(tags::DIMENSION_UID, "UI", &uid);
    data.sequence(tags::DIMENSIONS, [organization]);
    let pointers = [(tags::REFERENCED_SEGMENT, tags::SEGMENT_IDENTIFICATION), (tags::POSITION, tags::PLANE_POSITION)];
    let items = pointers.map(|(element, group)| {
        let mut item = Elements::default();
        item.text(tags::DIMENSION_UID, "UI", &uid);
        item.pointer(tags::INDEX_POINTER, element);
        item.pointer(tags::GROUP_POINTER, group);
        item
    });
    data.sequence(tags::DIMENSION_INDEX, items);
}

fn shared_groups(source: &SourceSeries) -> Elements {
    let [slices_mm, rows_mm, columns_mm] = source.grid.spacing_mm;
    let mut measures = Elements::default();
    measures.text(tags::PIXEL_SPACING, "DS", &decimals(&[rows_mm, columns_mm]));
    measures.text(tags::SLICE_THICKNESS, "DS", &decimal(source.thickness_mm));
    measures.text(tags::SPACING_BETWEEN, "DS", &decimal(slices_mm));
    let mut orientation = Elements::default();
    orientation.text(tags::ORIENTATION, "DS", &decimals(&source.orientation));
    let mut groups = Elements::default();
    groups.sequence(tags::PIXEL_MEASURES, [measures]);
    groups.sequence(tags::PLANE_ORIENTATION, [orientation]);
    groups
}

fn frame_group(Frame { segment, slice }: Frame, rank: u32, source: &SourceSeries) -> Elements {
    let number = segment as u16 + 1;
    let SourceSlice { position, image } = &source.slices[slice];
    let mut content = Elements::default();
    content.longs(tags::INDEX_VALUES, &[u32::from(number), rank]);
    let mut place = Elements::default();
    place.text(tags::POSITION, "DS", &decimals(position));
    let mut of = Elements::default();
    of.shorts(tags::REFERENCED_SEGMENT, &[number]);
    let mut group = Elements::default();
    group.sequence(tags::FRAME_CONTENT, [content]);
    group.sequence(tags::PLANE_POSITION, [place]);
    group.sequence(tags::SEGMENT_IDENTIFICATION, [of]);
    if let Some(image) = image {
        group.sequence(tags::DERIVATION_IMAGES, [derivation(image, source.is_as_stored)]);
    }
    group
}

fn derivation(image: &SourceImage, is_as_stored: bool) -> Elements {
    let mut from = Elements::default();
    push_reference(&mut from, image);
    if let Some(frame) = image.frame {
        from.text(tags::REFERENCED_FRAME, "IS", &frame.to_string());
    }
    from.text(tags::SPATIAL_PRESERVED, "CS", if is_as_stored { "YES" } else { "NO" });
    from.term(tags::PURPOSE, PURPOSE);
    let mut derivation = Elements::default();
    derivation.sequence(tags::SOURCE_IMAGES, [from]);
    derivation.term(tags::DERIVATION_CODE, SEGMENTED);
    derivation
}
