//! scikit-image's `resize(order = k, mode = "edge", anti_aliasing = False)` in f64, slab by slab, and the way nnU-Net
//! uses it on anisotropic scans.
//!
//! The interpolation is scipy's zoom; new values are held within those of the source.

use std::ops::Range;

use rayon::prelude::*;

use super::line::Line;
use super::products;
use super::slabs::{Clip, Ranges, Slabs};

/// What to resize, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// Voxels of the source, `[z, y, x]`.
    pub shape: [usize; 3],
    /// Voxels of the result, `[z, y, x]`.
    pub new_shape: [usize; 3],
    /// Values of a voxel, innermost.
    pub channels: usize,
    /// Order of the spline, 0 to 3.
    pub order: u8,
    /// Where each plane `[y, x]` is resized apart: the order along z, 0 to 3. New values are held within their plane's
    /// then.
    pub apart: Option<u8>,
}

/// Resizes what `read(z, y, row)` gives, row by row, `[x, c]`, and hands it to `sink(first plane, planes)`, slab by
/// slab.
///
/// # Shapes
/// `[z, y, x, c]` of `how.shape` → slabs `[z, y, x, c]` of `how.new_shape`, in order. Memory: the planes that a slab is
/// made of, at most about 80 in f64, at the size of new ones.
///
/// # Errors
/// What `sink` returns; nothing is read after that.
pub fn resize<E>(
    how: &Resize,
    read: impl Fn(usize, usize, &mut [f64]) + Sync,
    sink: impl FnMut(usize, &[f64]) -> Result<(), E>,
) -> Result<(), E> {
    let orders = [how.apart.unwrap_or(how.order), how.order, how.order];
    let lines = [0, 1, 2].map(|axis| Line::spline(how.shape[axis], how.new_shape[axis], orders[axis]));
    // Weights of orders 0 and 1 leave nothing to hold back.
    let clip = match (how.order, how.apart) {
        (0 | 1, None | Some(0)) => return products::run(&lines, how.channels, &read, sink),
        (0 | 1, Some(_)) => Clip::None,
        (_, Some(_)) => Clip::Planes,
        (_, None) => Clip::Ranges(ranges(how, &read)),
    };
    Slabs { lines, channels: how.channels, clip }.run(&read, sink)
}

/// The range of each channel.
fn ranges(how: &Resize, read: &(impl Fn(usize, usize, &mut [f64]) + Sync)) -> Vec<[f64; 2]> {
    let [depth, height, width] = how.shape;
    let all: Range<usize> = 0..depth;
    let found = all
        .into_par_iter()
        .map_init(
            || vec![0.0; width * how.channels],
            |row, z| {
                let mut ranges = Ranges::new(how.channels);
                for y in 0..height {
                    read(z, y, row);
                    ranges.take(row);
                }
                ranges
            },
        )
        .reduce(|| Ranges::new(how.channels), |a, b| a.joined(&b));
    found.0.into_iter().map(Option::unwrap_or_default).collect()
}
