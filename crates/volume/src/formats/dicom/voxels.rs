//! The slices of a layout as one array of Hounsfield units.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use pulmoav_task::{Monitor, Warning};
use rayon::prelude::*;

use super::codec::decode;
use super::fragments::read_frames;
use super::instance::Instance;
use super::layout::{Layout, Slot};
use crate::error::VolumeError;
use crate::hounsfield::AIR_HU;
use crate::voxels::{DataType, Voxel, Voxels};

/// The type that holds a volume's values: whole numbers where slopes and intercepts are.
pub(super) fn data_type(layout: &Layout) -> DataType {
    let is_whole = |slot: &Slot| slot.slice.facts.slope.fract() == 0.0 && slot.slice.facts.intercept.fract() == 0.0;
    if layout.slots.iter().flatten().all(is_whole) { DataType::Int16 } else { DataType::Float32 }
}

/// Reads every slice, and makes those that are missing.
///
/// # Errors
/// `ERR_FORMAT` for a damaged file, `ERR_IO`, `ERR_MEMORY`, `CANCELLED`.
pub(super) fn read(
    instances: &[Instance],
    layout: &Layout,
    monitor: &dyn Monitor,
) -> Result<(Voxels, Option<Warning>), VolumeError> {
    let clipped = AtomicU64::new(0);
    let voxels = match data_type(layout) {
        DataType::Int16 => {
            let nearest = |value: f64| {
                let rounded = value.round();
                if rounded < f64::from(i16::MIN) || rounded > f64::from(i16::MAX) {
                    clipped.fetch_add(1, Ordering::Relaxed);
                }
                rounded as i16
            };
            typed(instances, layout, nearest, monitor)?.into()
        }
        _ => typed(instances, layout, |value| value as f32, monitor)?.into(),
    };
    let clipped = clipped.into_inner();
    let warning = (clipped > 0).then(|| {
        let message = format!("{clipped} voxel(s) lay outside of -32768 to 32767 HU and were set to those");
        Warning::new("HU_CLIPPED", message)
    });
    Ok((voxels, warning))
}

/// A frame of a file, and the slice that it becomes.
struct Target<'a, T> {
    frame: usize,
    slot: Slot,
    out: &'a mut [T],
}

fn typed<T: Voxel>(
    instances: &[Instance],
    layout: &Layout,
    convert: impl Fn(f64) -> T + Sync,
    monitor: &dyn Monitor,
) -> Result<Vec<T>, VolumeError> {
    let grid = &layout.grid;
    let plane = grid.shape[1] * grid.shape[2];
    let bytes = (grid.len() * size_of::<T>()) as u64;
    let path = instances.first().map(|instance| instance.place.path()).unwrap_or_default();
    let mut voxels = bytemuck::allocation::try_zeroed_vec::<T>(grid.len())
        .map_err(|()| VolumeError::Memory { subject: path.display().to_string(), bytes })?;
    let mut of_files: Vec<Vec<Target<'_, T>>> = instances.iter().map(|_| Vec::new()).collect();
    for (slot, out) in layout.slots.iter().zip(voxels.chunks_exact_mut(plane)) {
        if let Some(slot) = *slot {
            of_files[slot.slice.instance].push(Target { frame: slot.slice.frame, slot, out });
        }
    }
    let done = AtomicU64::new(0);
    let slices = layout.slots.iter().flatten().count() as u64;
    of_files.into_par_iter().zip(instances).try_for_each(|(mut targets, instance)| {
        // Files of other series.
        if targets.is_empty() {
            return Ok(());
        }
        targets.sort_by_key(|target| target.frame);
        read_file(instance, targets, &convert, monitor, || {
            monitor.report("read", done.fetch_add(1, Ordering::Relaxed) + 1, slices);
        })
    })?;
    fill_gaps(layout, plane, &mut voxels, &convert);
    Ok(voxels)
}

/// Why a file's frames were not read.
enum Trouble {
    Io(io::Error),
    Frame(usize, String),
    Cancelled,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the frames of one file: several of them are unpacked side by side.
fn read_file<T: Voxel>(
    instance: &Instance,
    targets: Vec<Target<'_, T>>,
    convert: &(impl Fn(f64) -> T + Sync),
    monitor: &dyn Monitor,
    count: impl Fn() + Sync,
) -> Result<(), VolumeError> {
    let columns = instance.pixels.columns;
    let wanted: Vec<usize> = targets.iter().map(|target| target.frame).collect();
    let mut targets = targets.into_iter();
    let mut waiting: Vec<(Target<'_, T>, Vec<u8>)> = Vec::new();
    let most = rayon::current_num_threads();
    let unpack = |waiting: Vec<(Target<'_, T>, Vec<u8>)>| {
        waiting.into_par_iter().try_for_each(|(target, bytes)| {
            if monitor.cancelled() {
                return Err(Trouble::Cancelled);
            }
            let stored = decode(&bytes, &instance.pixels).map_err(|problem| Trouble::Frame(target.frame, problem))?;
            place(&stored, instance, columns, &target.slot, target.out, convert);
            count();
            Ok(())
        })
    };
    let read = read_frames(instance, &wanted, |_, bytes| {
        if let Some(target) = targets.next() {
            waiting.push((target, bytes));
        }
        if waiting.len() < most { Ok(()) } else { unpack(std::mem::take(&mut waiting)) }
    });
    read.and_then(|()| unpack(waiting)).map_err(|trouble| told(instance, trouble))
}

fn told(instance: &Instance, trouble: Trouble) -> VolumeError {
    let path: PathBuf = instance.place.path();
    let damaged = |problem: String| {
        let packing = instance.pixels.syntax.name();
        VolumeError::format(&path, format!("cannot be read as {packing}: {problem}; get the file again"))
    };
    match trouble {
        Trouble::Cancelled => VolumeError::Cancelled,
        Trouble::Frame(_, problem) if instance.pixels.frames == 1 => damaged(problem),
        Trouble::Frame(frame, problem) => damaged(format!("{problem} (frame {})", frame + 1)),
        Trouble::Io(error) if error.raw_os_error().is_some() => VolumeError::io("read", &path, error),
        Trouble::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            damaged("it ends within its pixels".into())
        }
        Trouble::Io(error) => damaged(error.to_string()),
    }
}

/// Writes stored values as HU into a slice of the grid.
fn place<T: Voxel>(
    stored: &[i32],
    instance: &Instance,
    columns: usize,
    slot: &Slot,
    out: &mut [T],
    convert: &impl Fn(f64) -> T,
) {
    let facts = &slot.slice.facts;
    let scaled = |value: i32| f64::from(value) * facts.slope + facts.intercept;
    let (padding, air) = (instance.pixels.padding, f64::from(AIR_HU));
    // Lossy packing moves padding a little: what is nearer to it than to air, below air, is padding too.
    let darkest = padding.map(|(first, _)| scaled(first)).filter(|&hu| hu < air);
    let limit = darkest.map_or(f64::NEG_INFINITY, |hu| f64::midpoint(hu, air));
    let hu = |value: i32| {
        let hu = scaled(value);
        let is_padding = hu < limit || padding.is_some_and(|(first, last)| (first..=last).contains(&value));
        if is_padding { air } else { hu }
    };
    let rows = stored.len() / columns;
    if out.len() == stored.len() && slot.rows_before == 0.0 {
        for (out, &value) in out.iter_mut().zip(stored) {
            *out = convert(hu(value));
        }
        return;
    }
    let row = |index: i64| {
        usize::try_from(index).ok().filter(|&row| row < rows).map(|row| &stored[row * columns..][..columns])
    };
    for (index, out) in out.chunks_exact_mut(columns).enumerate() {
        let at = index as f64 - slot.rows_before;
        let (above, share) = (at.floor(), at - at.floor());
        let (above, below) = (row(above as i64), row(above as i64 + 1));
        for (column, out) in out.iter_mut().enumerate() {
            let value = |row: Option<&[i32]>| row.map_or(f64::from(AIR_HU), |row| hu(row[column]));
            // A neighbour that has no share must not count, not even one outside of the slice.
            let mixed = if share == 0.0 { value(above) } else { value(above) * (1.0 - share) + value(below) * share };
            *out = convert(mixed);
        }
    }
}

/// Makes missing slices from the nearest ones, by their distances.
fn fill_gaps<T: Voxel>(layout: &Layout, plane: usize, voxels: &mut [T], convert: &impl Fn(f64) -> T) {
    let count = layout.slots.len();
    for index in (0..count).filter(|&index| layout.slots[index].is_none()) {
        // The first and last place are never missing.
        let Some(before) = (0..index).rev().find(|&other| layout.slots[other].is_some()) else { continue };
        let Some(after) = (index..count).find(|&other| layout.slots[other].is_some()) else { continue };
        let share = (index - before) as f64 / (after - before) as f64;
        for pixel in 0..plane {
            let (a, b) = (voxels[before * plane + pixel].to_f64(), voxels[after * plane + pixel].to_f64());
            voxels[index * plane + pixel] = convert(a * (1.0 - share) + b * share);
        }
    }
}
