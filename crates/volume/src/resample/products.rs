//! Nearest and linear resampling with scipy's own order of operations.
//!
//! A new value is the sum of up to eight products `((value · w_z) · w_y) · w_x`, x changing fastest. That rounds
//! differently from blending axis by axis: where a value lies in the middle of two that f16 can hold, and sizes are
//! whole multiples of each other, such are not rare, the last bit of an f64 decides.

use std::ops::Range;

use rayon::prelude::*;

use super::line::Line;

/// New planes handed over at a time: at most so many, and at least one, but no more bytes.
const MOST_PLANES: usize = 16;
const SLAB_BYTES: usize = 64 << 20;

/// Hands the new planes over, slab after slab: `sink(first plane, planes)`, `[z, y, x, c]`.
///
/// `read(z, y, row)` gives a row of the source, `[x, c]`. No line has a filter.
///
/// # Errors
/// What `sink` returns; nothing is read after that.
pub(super) fn run<E>(
    lines: &[Line<f64>; 3],
    channels: usize,
    read: &(impl Fn(usize, usize, &mut [f64]) + Sync),
    mut sink: impl FnMut(usize, &[f64]) -> Result<(), E>,
) -> Result<(), E> {
    let [along_z, along_y, along_x] = lines;
    let (depth, height, width) = (along_z.from.len(), along_y.from.len(), along_x.from.len() * channels);
    let inner = along_x.pad[0]..along_x.pad[0] + along_x.size;
    let plane = height * width;
    let count = (SLAB_BYTES / (plane * size_of::<f64>()).max(1)).clamp(1, MOST_PLANES);
    let mut slab = vec![0f64; count.min(depth) * plane];
    for first in (0..depth).step_by(count) {
        let slab = &mut slab[..count.min(depth - first) * plane];
        let rows = slab.par_chunks_exact_mut(width.max(1)).enumerate();
        rows.for_each_init(Vec::new, |buffer, (index, row)| {
            let (z, y) = (first + index / height, index % height);
            row.fill(0.0);
            buffer.resize(along_x.padded() * channels, 0.0);
            for tap_z in 0..along_z.taps {
                for tap_y in 0..along_y.taps {
                    let source = [along_z.voxel(along_z.from[z] + tap_z), along_y.voxel(along_y.from[y] + tap_y)];
                    let weights = [along_z.weights[z][tap_z], along_y.weights[y][tap_y]];
                    read_weighted(read, source, weights, inner.clone(), channels, buffer);
                    add(along_x, channels, buffer, row);
                }
            }
        });
        sink(first, slab)?;
    }
    Ok(())
}

/// A row of the source times two weights, its edge voxels repeated where taps may look beyond it.
///
/// # Shapes
/// `buffer`: `[x, c]` with edge voxels; those of the source stand at `inner`.
fn read_weighted(
    read: &(impl Fn(usize, usize, &mut [f64]) + Sync),
    [z, y]: [usize; 2],
    [to_z, to_y]: [f64; 2],
    inner: Range<usize>,
    channels: usize,
    buffer: &mut [f64],
) {
    let row = &mut buffer[inner.start * channels..inner.end * channels];
    read(z, y, row);
    for value in row.iter_mut() {
        *value = *value * to_z * to_y;
    }
    let padded = buffer.len() / channels;
    for at in (0..inner.start).chain(inner.end..padded) {
        let edge = at.clamp(inner.start, inner.end - 1) * channels;
        buffer.copy_within(edge..edge + channels, at * channels);
    }
}

/// Adds a row's products to the new row.
fn add(line: &Line<f64>, channels: usize, values: &[f64], to: &mut [f64]) {
    if line.is_identity() {
        to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
        return;
    }
    let places = line.from.iter().zip(&line.weights);
    for (voxel, (&from, weights)) in to.chunks_exact_mut(channels).zip(places) {
        for (values, &weight) in values[from * channels..].chunks_exact(channels).zip(&weights[..line.taps]) {
            voxel.iter_mut().zip(values).for_each(|(to, value)| *to += value * weight);
        }
    }
}
