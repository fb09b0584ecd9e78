//! A volume resampled a few planes at a time, so that nothing but those planes lies in memory beside source and result.
//!
//! Each plane of the source that a slab needs is brought to the size of new planes, along x, then along y; then the
//! slab's planes are made of them along z. A spline's coefficients along z are those of the slab's surroundings, as far
//! as rounding can tell them from those of the whole line. Where slabs begin depends on the shapes alone.

use std::ops::Range;

use pulmoav_simd::combine;
use rayon::prelude::*;

use super::filter::Filter;
use super::line::{Line, MAX_TAPS, Real};
use super::rows::{Block, blocks};

/// New planes of a slab: at most so many, and at least two, but no more bytes.
const MOST_PLANES: usize = 16;
const SLAB_BYTES: usize = 64 << 20;

/// What holds new values within those of the source.
#[derive(Debug, Clone)]
pub(super) enum Clip<T> {
    /// Nothing.
    None,
    /// The range of each plane of the source, for the new plane made of it.
    Planes,
    /// A range for each channel.
    Ranges(Vec<[T; 2]>),
}

/// How to resample: a line for each axis `[z, y, x]`, for voxels of `channels` values, channels innermost.
#[derive(Debug, Clone)]
pub(super) struct Slabs<T> {
    pub(super) lines: [Line<T>; 3],
    pub(super) channels: usize,
    pub(super) clip: Clip<T>,
}

/// What a thread works with.
#[derive(Default)]
struct Scratch<T> {
    /// One row of the source, padded.
    line: Vec<T>,
    /// Rows of the source's height and the new width, padded.
    rows: Vec<T>,
}

impl<T: Real> Slabs<T> {
    /// Hands the new planes over, slab after slab: `sink(first plane, planes)`, `[z, y, x, c]`.
    ///
    /// `read(z, y, row)` gives a row of the source, `[x, c]`.
    ///
    /// # Errors
    /// What `sink` returns; nothing is read after that.
    pub(super) fn run<E>(
        &self,
        read: &(impl Fn(usize, usize, &mut [T]) + Sync),
        mut sink: impl FnMut(usize, &[T]) -> Result<(), E>,
    ) -> Result<(), E> {
        let depth = self.lines[0].from.len();
        let plane = self.plane_len();
        let count = (SLAB_BYTES / (plane * size_of::<T>()).max(1)).clamp(2, MOST_PLANES).min(depth.max(1));
        let mut planes: Vec<Option<Vec<T>>> = (0..self.lines[0].size).map(|_| None).collect();
        let mut slab = vec![T::default(); count * plane];
        for first in (0..depth).step_by(count) {
            let new = first..(first + count).min(depth);
            let window = self.window(&new);
            self.provide(&window, &new, read, &mut planes);
            let slab = &mut slab[..new.len() * plane];
            self.across(&planes, &window, &new, slab);
            sink(first, slab)?;
        }
        Ok(())
    }

    /// Values of a row and of a plane of the result.
    fn row_len(&self) -> usize {
        self.lines[2].from.len() * self.channels
    }

    fn plane_len(&self) -> usize {
        self.lines[1].from.len() * self.row_len()
    }

    /// The part of the padded line along z that new planes look at, with what its filter needs around it.
    fn window(&self, new: &Range<usize>) -> Range<usize> {
        let line = &self.lines[0];
        let first = line.from[new.clone()].iter().copied().min().unwrap_or(0);
        let last = line.from[new.clone()].iter().copied().max().unwrap_or(0) + line.taps;
        let reach = if line.filter.is_some() { Filter::REACH } else { 0 };
        first.saturating_sub(reach)..(last + reach).min(line.padded())
    }

    /// Sees to it that the planes of a window are there, and that those before it no longer are.
    fn provide(
        &self,
        window: &Range<usize>,
        new: &Range<usize>,
        read: &(impl Fn(usize, usize, &mut [T]) + Sync),
        planes: &mut [Option<Vec<T>>],
    ) {
        let line = &self.lines[0];
        let mut spare: Vec<Vec<T>> = planes[..line.voxel(window.start)].iter_mut().filter_map(Option::take).collect();
        let mut needed: Vec<usize> = if line.filter.is_some() {
            window.clone().map(|place| line.voxel(place)).collect()
        } else {
            line.from[new.clone()].iter().flat_map(|&from| (from..from + line.taps).map(|at| line.voxel(at))).collect()
        };
        needed.sort_unstable();
        needed.dedup();
        needed.retain(|&z| planes[z].is_none());
        let room: Vec<Vec<T>> =
            needed.iter().map(|_| spare.pop().unwrap_or_else(|| vec![T::default(); self.plane_len()])).collect();
        let made: Vec<Vec<T>> = needed
            .par_iter()
            .zip(room)
            .map_init(Scratch::default, |scratch, (&z, mut plane)| {
                self.resize_plane(z, read, scratch, &mut plane);
                plane
            })
            .collect();
        for (z, plane) in needed.into_iter().zip(made) {
            planes[z] = Some(plane);
        }
    }

    /// One plane of the source at the size of new ones.
    fn resize_plane(
        &self,
        z: usize,
        read: &(impl Fn(usize, usize, &mut [T]) + Sync),
        scratch: &mut Scratch<T>,
        to: &mut [T],
    ) {
        let [_, along_y, along_x] = &self.lines;
        let (channels, width) = (self.channels, self.row_len());
        scratch.line.resize(along_x.padded() * channels, T::default());
        scratch.rows.resize(along_y.padded() * width, T::default());
        let mut ranges = Ranges::new(channels);
        let inner = along_x.pad[0] * channels..(along_x.pad[0] + along_x.size) * channels;
        for y in 0..along_y.size {
            read(z, y, &mut scratch.line[inner.clone()]);
            if matches!(self.clip, Clip::Planes) {
                ranges.take(&scratch.line[inner.clone()]);
            }
            pad(&mut scratch.line, along_x, channels);
            if let Some(filter) = along_x.filter {
                filter.run(&mut scratch.line, channels, true);
            }
            along_row(along_x, &scratch.line, channels, &mut scratch.rows[(along_y.pad[0] + y) * width..][..width]);
        }
        pad(&mut scratch.rows, along_y, width);
        if let Some(filter) = along_y.filter {
            filter.run(&mut scratch.rows, width, true);
        }
        for (y, row) in to.chunks_exact_mut(width.max(1)).enumerate() {
            blend(along_y, y, |at| &scratch.rows[at * width..][..width], row);
        }
        if matches!(self.clip, Clip::Planes) {
            ranges.clip(to);
        }
    }

    /// The slab's planes, made of those of the source along z.
    fn across(&self, planes: &[Option<Vec<T>>], window: &Range<usize>, new: &Range<usize>, slab: &mut [T]) {
        let (line, width) = (&self.lines[0], self.row_len());
        let source = |place: usize, y: usize| -> &[T] {
            planes[line.voxel(place)].as_deref().map_or(&[][..], |plane| &plane[y * width..][..width])
        };
        let columns = blocks(slab, [new.len(), self.lines[1].from.len(), width], Block::Column);
        columns.into_par_iter().enumerate().for_each_init(Vec::new, |buffer: &mut Vec<T>, (y, rows)| {
            if let Some(filter) = line.filter {
                buffer.clear();
                window.clone().for_each(|place| buffer.extend_from_slice(source(place, y)));
                filter.run(buffer, width, window.start == 0);
            }
            for (z, row) in new.clone().zip(rows) {
                match line.filter {
                    Some(_) => blend(line, z, |at| &buffer[(at - window.start) * width..][..width], row),
                    None => blend(line, z, |at| source(at, y), row),
                }
                if let Clip::Ranges(ranges) = &self.clip {
                    clip(ranges, row);
                }
            }
        });
    }
}

/// Least and greatest value of each channel.
pub(super) struct Ranges<T>(pub(super) Vec<Option<[T; 2]>>);

impl<T: Real> Ranges<T> {
    pub(super) fn new(channels: usize) -> Self {
        Self(vec![None; channels])
    }

    /// Takes the values of a row in, `[x, c]`.
    pub(super) fn take(&mut self, row: &[T]) {
        let channels = self.0.len();
        for (channel, range) in self.0.iter_mut().enumerate() {
            for &value in row.iter().skip(channel).step_by(channels) {
                let [least, greatest] = range.unwrap_or([value; 2]);
                *range =
                    Some([if value < least { value } else { least }, if value > greatest { value } else { greatest }]);
            }
        }
    }

    /// Both together.
    pub(super) fn joined(mut self, other: &Self) -> Self {
        for (to, from) in self.0.iter_mut().zip(&other.0) {
            *to = match (*to, *from) {
                (Some([a, b]), Some([c, d])) => Some([if c < a { c } else { a }, if d > b { d } else { b }]),
                (one, other) => one.or(other),
            };
        }
        self
    }

    fn clip(&self, values: &mut [T]) {
        let ranges: Vec<[T; 2]> = self.0.iter().map(|range| range.unwrap_or([T::default(); 2])).collect();
        clip(&ranges, values);
    }
}

/// Holds values within the range of their channel.
fn clip<T: Real>(ranges: &[[T; 2]], values: &mut [T]) {
    for voxel in values.chunks_exact_mut(ranges.len()) {
        for (value, &[least, greatest]) in voxel.iter_mut().zip(ranges) {
            if *value < least {
                *value = least;
            } else if *value > greatest {
                *value = greatest;
            }
        }
    }
}

/// Fills what lies before and behind the source's voxels, which are rows of `width` values, with the nearest of them.
fn pad<T: Real>(values: &mut [T], line: &Line<T>, width: usize) {
    let [before, behind] = line.pad;
    for row in 0..before {
        values.copy_within(before * width..(before + 1) * width, row * width);
    }
    let last = before + line.size - 1;
    for row in last + 1..=last + behind {
        values.copy_within(last * width..(last + 1) * width, row * width);
    }
}

/// A new row along x: each voxel of `channels` values from its own neighbours.
fn along_row<T: Real>(line: &Line<T>, values: &[T], channels: usize, to: &mut [T]) {
    if line.is_identity() {
        to.copy_from_slice(values);
        return;
    }
    match line.taps {
        1 => along_row_of::<T, 1>(line, values, channels, to),
        2 => along_row_of::<T, 2>(line, values, channels, to),
        3 => along_row_of::<T, 3>(line, values, channels, to),
        _ => along_row_of::<T, MAX_TAPS>(line, values, channels, to),
    }
}

fn along_row_of<T: Real, const TAPS: usize>(line: &Line<T>, values: &[T], channels: usize, to: &mut [T]) {
    let places = line.from.iter().zip(&line.weights);
    for (voxel, (&from, weights)) in to.chunks_exact_mut(channels).zip(places) {
        let from = &values[from * channels..][..TAPS * channels];
        for (channel, to) in voxel.iter_mut().enumerate() {
            let mut sum = weights[0] * from[channel];
            for tap in 1..TAPS {
                sum = sum + weights[tap] * from[tap * channels + channel];
            }
            *to = sum;
        }
    }
}

/// New row `index` along an axis on which voxels are rows: `row(place)` is one of the padded line.
fn blend<'r, T: Real + 'r>(line: &Line<T>, index: usize, row: impl Fn(usize) -> &'r [T], to: &mut [T]) {
    let (from, [a, b, c, d]) = (line.from[index], line.weights[index]);
    match line.taps {
        1 => to.copy_from_slice(row(from)),
        2 => combine([row(from), row(from + 1)], to, |[first, second], _| a * first + b * second),
        3 => combine([row(from), row(from + 1), row(from + 2)], to, |[first, second, third], _| {
            a * first + b * second + c * third
        }),
        _ => {
            let rows = [row(from), row(from + 1), row(from + 2), row(from + 3)];
            combine(rows, to, |[first, second, third, fourth], _| a * first + b * second + c * third + d * fourth);
        }
    }
}
