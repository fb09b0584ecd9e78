//! Separable Gaussian smoothing of a patch.

/// Smooths in place, `[z, y, x]`, `sigma` in voxels; edges repeat. Widths under 0.05 do nothing.
pub(super) fn gaussian(values: &mut [f32], shape: [usize; 3], sigma: f32) {
    if sigma < 0.05 || values.is_empty() {
        return;
    }
    let kernel = kernel(sigma);
    let [_, height, width] = shape;
    for (axis, stride) in [height * width, width, 1].into_iter().enumerate() {
        smooth_axis(values, shape[axis], stride, &kernel);
    }
}

/// Half of the normalised kernel, centre first, out to 3 sigma.
fn kernel(sigma: f32) -> Vec<f32> {
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
    let mut source = vec![0.0f32; length * stride];
    for block in values.chunks_exact_mut(length * stride) {
        source.copy_from_slice(block);
        for (at, out) in block.chunks_exact_mut(stride).enumerate() {
            for value in out.iter_mut() {
                *value *= kernel[0];
            }
            for (reach, &weight) in kernel.iter().enumerate().skip(1) {
                let before = at.saturating_sub(reach) * stride;
                let after = (at + reach).min(length - 1) * stride;
                let neighbours = source[before..before + stride].iter().zip(&source[after..after + stride]);
                out.iter_mut().zip(neighbours).for_each(|(out, (a, b))| *out += weight * (a + b));
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
        let mut point = vec![0.0f32; 21 * 21 * 21];
        point[(10 * 21 + 10) * 21 + 10] = 1.0;
        gaussian(&mut point, [21; 3], 1.5);
        let sum: f32 = point.iter().sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        let variance: f32 = point.iter().enumerate().map(|(i, v)| v * ((i % 21) as f32 - 10.0).powi(2)).sum();
        assert!((variance.sqrt() - 1.5).abs() < 0.06, "{variance}");
    }
}
