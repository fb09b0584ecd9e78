//! Separable Gaussian smoothing of a patch.

/// Smooths in place, `[z, y, x]`, `sigma` in voxels; edges repeat. Widths under 0.05 do nothing.
pub(super) fn gaussian(values: &mut [f32], shape: [usize; 3], sigma: f32) {
    let kernel = half_kernel(sigma);
    if kernel.is_empty() || values.is_empty() {
        return;
    }
    let [_, height, width] = shape;
    for (axis, stride) in [height * width, width, 1].into_iter().enumerate() {
        smooth_axis(values, shape[axis], stride, &kernel);
    }
}

/// Values that all taps pass over while they are in the first-level cache.
const PART: usize = 2048;

/// Half of the normalised kernel, centre first, out to 3 sigma; empty where it would do nothing.
pub(super) fn half_kernel(sigma: f32) -> Vec<f32> {
    if sigma < 0.05 {
        return Vec::new();
    }
    let reach = (3.0 * sigma).ceil() as usize;
    let mut half: Vec<f32> = (0..=reach).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
    let sum = half[0] + 2.0 * half[1..].iter().sum::<f32>();
    for weight in &mut half {
        *weight /= sum;
    }
    half
}

/// Smooths along one axis: `length` runs of `stride` values make a block.
fn smooth_axis(values: &mut [f32], length: usize, stride: usize, kernel: &[f32]) {
    let margin = (kernel.len() - 1) * stride;
    let size = length * stride;
    // The block between repeats of its ends: then every tap is the same shift for all of its values.
    let mut source = vec![0.0f32; size + 2 * margin];
    for block in values.chunks_exact_mut(size) {
        source[margin..][..size].copy_from_slice(block);
        for reach in (0..margin).step_by(stride) {
            source[reach..][..stride].copy_from_slice(&block[..stride]);
            source[margin + size + reach..][..stride].copy_from_slice(&block[size - stride..]);
        }
        for (part, out) in block.chunks_mut(PART).enumerate() {
            let centre = margin + part * PART;
            for value in out.iter_mut() {
                *value *= kernel[0];
            }
            for (reach, &weight) in kernel.iter().enumerate().skip(1) {
                let before = &source[centre - reach * stride..];
                let after = &source[centre + reach * stride..];
                out.iter_mut().zip(before.iter().zip(after)).for_each(|(out, (a, b))| *out += weight * (a + b));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_constants_and_mass_and_widens_by_sigma() {
        let mut flat = vec![3.0f32; 5 * 6 * 7];
        gaussian(&mut flat, [5, 6, 7], 0.8);
        assert!(flat.iter().all(|v| (v - 3.0).abs() < 1e-5));
        let mut ends = vec![1.0f32, 0.0, 0.0, 0.0];
        gaussian(&mut ends, [1, 1, 4], 0.6);
        let half = half_kernel(0.6);
        // Edges repeat: what lies before the first voxel is the first voxel.
        assert!((ends[0] - (half[0] + half[1] + half[2])).abs() < 1e-6, "{ends:?}");
        let mut point = vec![0.0f32; 21 * 21 * 21];
        point[(10 * 21 + 10) * 21 + 10] = 1.0;
        gaussian(&mut point, [21; 3], 1.5);
        let sum: f32 = point.iter().sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        let variance: f32 = point.iter().enumerate().map(|(i, v)| v * ((i % 21) as f32 - 10.0).powi(2)).sum();
        assert!((variance.sqrt() - 1.5).abs() < 0.06, "{variance}");
    }
}
