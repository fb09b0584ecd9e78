//! PyTorch's `interpolate(align_corners = False)` in f32, slab by slab, and the way nnU-Net uses it on anisotropic
//! scans.

use super::line::Line;
use super::skimage::Resize;
use super::slabs::{Clip, Slabs};

/// Resizes what `read(z, y, row)` gives, row by row, `[x, c]`, and hands it to `sink(first plane, planes)`, slab by
/// slab.
///
/// Linear along all axes; where planes are resized apart, nearest along z. `how.order` and the order along z count for
/// nothing.
///
/// # Shapes
/// `[z, y, x, c]` of `how.shape` → slabs `[z, y, x, c]` of `how.new_shape`, in order.
///
/// # Errors
/// What `sink` returns; nothing is read after that.
pub fn interpolate<E>(
    how: &Resize,
    read: impl Fn(usize, usize, &mut [f32]) + Sync,
    sink: impl FnMut(usize, &[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let linear = |axis: usize| Line::torch_linear(how.shape[axis], how.new_shape[axis]);
    let along_z = if how.apart.is_some() { Line::torch_nearest(how.shape[0], how.new_shape[0]) } else { linear(0) };
    Slabs { lines: [along_z, linear(1), linear(2)], channels: how.channels, clip: Clip::None }.run(&read, sink)
}
