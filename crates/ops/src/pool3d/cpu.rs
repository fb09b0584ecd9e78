//! Pooling on the CPU: one task a plane of the result (or of the input, in gradients); channels are innermost and
//! vectorise.

use rayon::prelude::*;

use super::Windows;

/// The largest value of each window.
pub(super) fn max(windows: &Windows, x: &[f32]) -> Vec<f32> {
    pooled(
        windows,
        x,
        |best, row| {
            for (best, &value) in best.iter_mut().zip(row) {
                *best = if wins(value, *best) { value } else { *best };
            }
        },
        f32::NEG_INFINITY,
        1.0,
    )
}

/// The mean of each window.
pub(super) fn mean(windows: &Windows, x: &[f32]) -> Vec<f32> {
    let scale = 1.0 / windows.kernel.iter().product::<usize>() as f32;
    pooled(
        windows,
        x,
        |sum, row| {
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        },
        0.0,
        scale,
    )
}

/// Channels whose maxima are sought together.
const CHANNELS: usize = 32;

/// The gradient of [`max`]: each window's gradient goes to its first maximum.
pub(super) fn max_gradient(windows: &Windows, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let channels = windows.channels;
    spread(windows, grad, |first_voxel, into, grad_row, base| {
        let window = Offsets::new(windows, first_voxel);
        for first in (0..channels).step_by(CHANNELS) {
            let count = CHANNELS.min(channels - first);
            let (mut best, mut best_at) = ([f32::NEG_INFINITY; CHANNELS], [window.first; CHANNELS]);
            for at in window.iter() {
                let row = &x[base + at * channels + first..][..count];
                for ((best, best_at), &value) in best.iter_mut().zip(&mut best_at).zip(row) {
                    if wins(value, *best) {
                        (*best, *best_at) = (value, at);
                    }
                }
            }
            for (channel, &at) in best_at[..count].iter().enumerate() {
                into[at * channels + first + channel] = grad_row[first + channel];
            }
        }
    })
}

/// The gradient of [`mean`]: each window's gradient is shared evenly.
pub(super) fn mean_gradient(windows: &Windows, grad: &[f32]) -> Vec<f32> {
    let channels = windows.channels;
    let scale = 1.0 / windows.kernel.iter().product::<usize>() as f32;
    spread(windows, grad, |first_voxel, into, grad_row, _| {
        for at in Offsets::new(windows, first_voxel).iter() {
            for (value, &grad) in into[at * channels..][..channels].iter_mut().zip(grad_row) {
                *value = grad * scale;
            }
        }
    })
}

/// As PyTorch: a NaN is the largest value.
fn wins(value: f32, best: f32) -> bool {
    value > best || value.is_nan()
}

/// Voxels of one window, counted from the start of its slab of input planes.
struct Offsets {
    first: usize,
    kernel: [usize; 3],
    plane: usize,
    width: usize,
}

impl Offsets {
    fn new(windows: &Windows, first: usize) -> Self {
        Self { first, kernel: windows.kernel, plane: windows.input[1] * windows.input[2], width: windows.input[2] }
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let [kd, kh, kw] = self.kernel;
        (0..kd).flat_map(move |z| {
            (0..kh).flat_map(move |y| (0..kw).map(move |x| self.first + z * self.plane + y * self.width + x))
        })
    }
}

fn pooled(windows: &Windows, x: &[f32], fold: impl Fn(&mut [f32], &[f32]) + Sync, start: f32, scale: f32) -> Vec<f32> {
    let [d, h, w] = windows.input;
    let [od, oh, ow] = windows.output;
    let channels = windows.channels;
    let mut y = vec![start; windows.batch * od * oh * ow * channels];
    y.par_chunks_mut(oh * ow * channels).enumerate().for_each(|(plane, out)| {
        let base = (plane / od * d + plane % od * windows.kernel[0]) * h * w;
        for (voxel, out) in out.chunks_exact_mut(channels).enumerate() {
            let first = voxel / ow * windows.kernel[1] * w + voxel % ow * windows.kernel[2];
            for at in Offsets::new(windows, first).iter() {
                fold(out, &x[(base + at) * channels..][..channels]);
            }
            if scale != 1.0 {
                for value in out {
                    *value *= scale;
                }
            }
        }
    });
    y
}

/// Calls `place(first voxel of the window, slab of the gradient, the window's gradient, start of the slab in x)` for
/// every window.
fn spread(windows: &Windows, grad: &[f32], place: impl Fn(usize, &mut [f32], &[f32], usize) + Sync) -> Vec<f32> {
    let [d, h, w] = windows.input;
    let [od, oh, ow] = windows.output;
    let channels = windows.channels;
    let mut gradient = vec![0f32; windows.batch * d * h * w * channels];
    let (sample, slab) = (d * h * w * channels, windows.kernel[0] * h * w * channels);
    let slabs = gradient.chunks_mut(sample).flat_map(|sample| sample.chunks_exact_mut(slab)).collect::<Vec<_>>();
    slabs.into_par_iter().enumerate().for_each(|(plane, into)| {
        let base = plane / od * sample + plane % od * slab;
        let grad = &grad[plane * oh * ow * channels..][..oh * ow * channels];
        for (voxel, grad_row) in grad.chunks_exact(channels).enumerate() {
            let first = voxel / ow * windows.kernel[1] * w + voxel % ow * windows.kernel[2];
            place(first, into, grad_row, base);
        }
    });
    gradient
}
