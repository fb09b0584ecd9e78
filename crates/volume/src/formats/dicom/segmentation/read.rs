//! Segmentations in: binary ones whose segments do not overlap become a label map.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use pulmoav_task::Monitor;

use super::super::data_set::{DataSet, Head, read_head};
use super::super::files::is_archive;
use super::super::instance::{Frame, frame};
use super::super::layout::affine;
use super::super::place::{Place, Stream};
use super::super::stack::{SAME_PLACE_MM, dot, normal};
use super::super::syntax::Packing;
use super::super::tags;
use super::{CREATOR, SOP_CLASS};
use crate::error::VolumeError;
use crate::formats::check_size;
use crate::image::{Format, Header, Image};
use crate::volume::Grid;
use crate::voxels::DataType;

/// More frames than this are a damaged number.
const MAX_FRAMES: f64 = 1e6;
/// Share of a step by which a frame may lie off its place.
const MOST_DEVIATION: f64 = 0.1;

/// A segmentation whose head is understood.
pub(in crate::formats) struct Opened {
    pub(in crate::formats) header: Header,
    path: PathBuf,
    head: Head,
    /// Slice and value of each frame.
    frames: Vec<(usize, u8)>,
}

/// Opens a file that is a segmentation; `None` for any other.
///
/// # Errors
/// `ERR_FORMAT` for one that is no label map, `ERR_GEOMETRY` where its frames are no volume, `ERR_IO`.
pub(in crate::formats) fn open(path: &Path) -> Result<Option<Opened>, VolumeError> {
    if path.is_dir() {
        return Ok(None);
    }
    let io = |error| VolumeError::io("read", path, error);
    let mut stream = Place::File(path.to_owned()).open().map_err(io)?;
    if is_archive(stream.peek(4).map_err(io)?) {
        return Ok(None);
    }
    // What is wrong with other files is told by who reads them.
    let Ok(head) = read_head(stream) else { return Ok(None) };
    if head.data.text(tags::SOP_CLASS).as_deref() != Some(SOP_CLASS) {
        return Ok(None);
    }
    understood(path, head).map(Some)
}

fn understood(path: &Path, head: Head) -> Result<Opened, VolumeError> {
    let problem = |problem: String| VolumeError::format(path, problem);
    let data = &head.data;
    if data.text(tags::SEGMENTATION_TYPE).as_deref() != Some("BINARY") {
        return Err(problem("is a segmentation of probabilities; expected a binary one, so threshold it first".into()));
    }
    let (rows, columns) = match (data.short(tags::ROWS), data.short(tags::COLUMNS)) {
        (Some(rows), Some(columns)) if rows > 0 && columns > 0 => (usize::from(rows), usize::from(columns)),
        _ => return Err(problem("does not say how many rows and columns it has; get the file again".into())),
    };
    if data.short(tags::BITS_ALLOCATED) != Some(1) || head.syntax.packing != Packing::Native {
        return Err(problem(format!("has pixels packed as {}; expected plain bits", head.syntax.name())));
    }
    let count = data.number(tags::FRAMES).unwrap_or(1.0);
    let groups = data.items(tags::FRAME_GROUPS).len();
    if !(1.0..=MAX_FRAMES).contains(&count) || groups < count as usize {
        return Err(problem(format!("says it has {count} frames and places {groups}; get the file again")));
    }
    let count = count as usize;
    let needed = (count as u64 * (rows * columns) as u64).div_ceil(8);
    let held = head.pixels.map_or(0, |pixels| pixels.length.unwrap_or(0).min(pixels.left));
    if held < needed {
        return Err(problem(format!("has {held} bytes of pixels, but needs {needed}; get the file again")));
    }
    let places: Option<Vec<Frame>> = (0..count).map(|index| frame(data, index)).collect();
    let places = places.ok_or_else(|| problem("does not say where its frames lie; get the file again".into()))?;
    let values = values(data, count).map_err(problem)?;
    let (grid, slices) =
        lay_out(data, &places, [rows, columns]).map_err(|problem| VolumeError::geometry(path.display(), problem))?;
    check_size(path, &grid.shape)?;
    let frames = slices.into_iter().zip(values).collect();
    Ok(Opened { header: header(grid), path: path.to_owned(), head, frames })
}

fn header(grid: Grid) -> Header {
    Header {
        format: Format::Dicom,
        grid,
        extra: Vec::new(),
        data_type: DataType::Uint8,
        little_endian: true,
        scaling: None,
        sform_code: None,
        qform_code: None,
        oriented: true,
        warnings: Vec::new(),
        nifti: None,
    }
}

/// The value of each frame's segment: what we wrote it from, else its number.
fn values(data: &DataSet, frames: usize) -> Result<Vec<u8>, String> {
    let mut of_numbers = BTreeMap::new();
    for segment in data.items(tags::SEGMENTS) {
        let Some(number) = segment.short(tags::SEGMENT_NUMBER) else { continue };
        let is_ours = segment.text(tags::PRIVATE_CREATOR).as_deref() == Some(CREATOR);
        let own = segment.short(tags::LABEL_VALUE).filter(|_| is_ours);
        of_numbers.insert(number, own.unwrap_or(number));
    }
    let of_frame = |index: usize| {
        let groups = [data.items(tags::FRAME_GROUPS).get(index), data.items(tags::SHARED_GROUPS).first()];
        let named = groups.iter().flatten().find_map(|group| group.items(tags::SEGMENT_IDENTIFICATION).first());
        let number = named.and_then(|item| item.short(tags::REFERENCED_SEGMENT)).unwrap_or(0);
        let value = of_numbers.get(&number).copied().unwrap_or(number);
        let label = u8::try_from(value).ok().filter(|&label| label > 0);
        label.ok_or_else(|| format!("has segment {value}, which no label map can hold; expected 1 to 255"))
    };
    (0..frames).map(of_frame).collect()
}

/// The grid of the frames, and the slice of it that each one is.
fn lay_out(data: &DataSet, places: &[Frame], [rows, columns]: [usize; 2]) -> Result<(Grid, Vec<usize>), String> {
    let along = normal(&places[0]);
    let heights: Vec<f64> = places.iter().map(|frame| dot(frame.position, along)).collect();
    let (lowest, first) =
        heights.iter().copied().zip(places).min_by(|a, b| a.0.total_cmp(&b.0)).ok_or("has no frames")?;
    let length = heights.iter().copied().fold(lowest, f64::max) - lowest;
    let step = step_mm(data, &heights).unwrap_or_else(|| first.thickness_mm.unwrap_or(1.0));
    let count = (length / step).round() as usize + 1;
    let spacing = if count > 1 { length / (count - 1) as f64 } else { step };
    let mut slices = Vec::with_capacity(places.len());
    for (frame, height) in places.iter().zip(&heights) {
        let at = (height - lowest) / spacing;
        if (at - at.round()).abs() > MOST_DEVIATION {
            return Err("has frames that lie beside even steps; expected a regular stack".into());
        }
        let moved: [f64; 3] = std::array::from_fn(|axis| frame.position[axis] - first.position[axis]);
        let sideways = dot(moved, first.along_row).abs().max(dot(moved, first.along_column).abs());
        if sideways > first.spacing_mm[0].min(first.spacing_mm[1]) / 2.0 {
            return Err("has frames that lie beside each other; expected a straight stack".into());
        }
        slices.push(at.round() as usize);
    }
    let affine = affine(first, along, spacing, 0.0);
    let grid =
        Grid { shape: [count, rows, columns], spacing_mm: [spacing, first.spacing_mm[0], first.spacing_mm[1]], affine };
    Ok((grid, slices))
}

/// Distance of slices: as it is said, else the smallest one between frames.
fn step_mm(data: &DataSet, heights: &[f64]) -> Option<f64> {
    let shared = data.items(tags::SHARED_GROUPS).first();
    let measures = shared.and_then(|group| group.items(tags::PIXEL_MEASURES).first());
    let said = measures.and_then(|item| item.number(tags::SPACING_BETWEEN)).filter(|&mm| mm > SAME_PLACE_MM);
    let smallest = || {
        let mut sorted = heights.to_vec();
        sorted.sort_by(f64::total_cmp);
        let steps = sorted.windows(2).map(|pair| pair[1] - pair[0]);
        steps.filter(|&mm| mm > SAME_PLACE_MM).min_by(f64::total_cmp)
    };
    said.or_else(smallest)
}

impl Opened {
    /// Reads the label map.
    ///
    /// # Errors
    /// `ERR_FORMAT` where segments overlap or pixels are missing, `ERR_IO`, `ERR_MEMORY`, `CANCELLED`.
    pub(in crate::formats) fn read(self, index: Option<usize>, monitor: &dyn Monitor) -> Result<Image, VolumeError> {
        let Self { header, path, head, frames } = self;
        header.volume_index(&path.display().to_string(), index)?;
        let grid = header.grid;
        let memory = |()| VolumeError::Memory { subject: path.display().to_string(), bytes: grid.len() as u64 };
        let mut labels = bytemuck::allocation::try_zeroed_vec::<u8>(grid.len()).map_err(memory)?;
        let plane = grid.shape[1] * grid.shape[2];
        let bytes = (frames.len() as u64 * plane as u64).div_ceil(8);
        let io = |error| VolumeError::io("read", &path, error);
        let packed = at_pixels(&path, &head).and_then(|mut stream| stream.take(bytes)).map_err(io)?;
        for (number, &(slice, value)) in frames.iter().enumerate() {
            monitor.proceed()?;
            let start = number * plane;
            for (offset, label) in labels[slice * plane..][..plane].iter_mut().enumerate() {
                let bit = start + offset;
                if packed[bit / 8] >> (bit % 8) & 1 == 0 {
                    continue;
                }
                if *label != 0 && *label != value {
                    let problem = "has segments that overlap, which a label map cannot; export them one by one";
                    return Err(VolumeError::format(&path, problem));
                }
                *label = value;
            }
            monitor.report("read", number as u64 + 1, frames.len() as u64);
        }
        Ok(Image { voxels: labels.into(), header })
    }
}

/// The file at its pixels.
fn at_pixels(path: &Path, head: &Head) -> io::Result<Stream> {
    let mut stream = Place::File(path.to_owned()).open()?;
    stream.skip_to(head.data_start)?;
    if head.syntax.is_deflated {
        stream = stream.inflate();
    }
    stream.skip_to(head.pixels.map_or(0, |pixels| pixels.start))?;
    Ok(stream)
}
