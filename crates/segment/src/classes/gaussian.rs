//! How much each voxel of a window counts.

use half::f16;

/// Weight of the centre.
const PEAK: f64 = 10.0;
/// σ, as a share of an edge.
const SIGMA: f64 = 1.0 / 8.0;
/// Where the bell is cut off, in σ.
const TRUNCATE: f64 = 4.0;

/// nnunetv2's weights: scipy's Gaussian filter of one voxel amid the window, scaled to 10, rounded to f16; where that
/// is 0, the smallest weight above.
///
/// # Shapes
/// → `[z, y, x]` of `patch`.
pub(super) fn gaussian(patch: [usize; 3]) -> Vec<f16> {
    let [zs, ys, xs] = patch.map(bell);
    let peak = zs[patch[0] / 2] * ys[patch[1] / 2] * xs[patch[2] / 2];
    let scale = peak / PEAK;
    let mut weights = Vec::with_capacity(patch.iter().product());
    for z in &zs {
        for y in &ys {
            // PyTorch rounds to f32 first.
            weights.extend(xs.iter().map(|x| f16::from_f32((z * y * x / scale) as f32)));
        }
    }
    let least = weights.iter().copied().filter(|&weight| weight > f16::ZERO).fold(f16::MAX, f16::min);
    weights.iter_mut().filter(|weight| **weight == f16::ZERO).for_each(|weight| *weight = least);
    weights
}

/// One axis of the filter's answer.
fn bell(size: usize) -> Vec<f64> {
    let sigma = size as f64 * SIGMA;
    let reach = (TRUNCATE * sigma + 0.5) as usize;
    let height = |away: usize| (-0.5 / (sigma * sigma) * (away * away) as f64).exp();
    let sum: f64 = 1.0 + 2.0 * (1..=reach).map(height).sum::<f64>();
    let weight = |at: usize| {
        let away = at.abs_diff(size / 2);
        if away <= reach { height(away) / sum } else { 0.0 }
    };
    (0..size).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::fixture::golden;

    /// Expected values: `compute_gaussian` of nnunetv2, made by `crates/testing/goldens/classes.py`.
    #[test]
    fn equals_nnunets() {
        for case in golden()["gaussians"].as_array().unwrap() {
            let patch: [usize; 3] = serde_json::from_value(case["patch"].clone()).unwrap();
            let bits: Vec<u16> = serde_json::from_value(case["bits"].clone()).unwrap();
            let found: Vec<u16> = gaussian(patch).into_iter().map(f16::to_bits).collect();
            assert_eq!(found, bits, "{patch:?}");
        }
    }
}
