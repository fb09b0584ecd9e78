//! Elementary functions as branch-free f32 arithmetic, so that loops over them vectorise.

/// e^x, relative error below 2e-7; clamped to the normal range of f32 (x in [-87, 88]); NaN stays NaN.
///
/// Cody and Waite's reduction to |r| <= ln 2 / 2, then the Taylor polynomial of degree 7.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    let exponent = (shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127)) << 23;
    p * f32::from_bits(exponent)
}

/// 1 / (1 + e^-x).
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The sum of a slice in 16 fixed lanes: the same bits on every SIMD level.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn lane_sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let chunks = values.chunks_exact(16);
    for (lane, value) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane += value;
    }
    for chunk in chunks {
        for i in 0..16 {
            lanes[i] += chunk[i];
        }
    }
    fold(lanes)
}

/// The dot product of two slices of one length, in 16 fixed lanes.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn lane_dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (a, b) = (a.chunks_exact(16), b.chunks_exact(16));
    for ((lane, x), y) in lanes.iter_mut().zip(a.remainder()).zip(b.remainder()) {
        *lane += x * y;
    }
    for (x, y) in a.zip(b) {
        for i in 0..16 {
            lanes[i] += x[i] * y[i];
        }
    }
    fold(lanes)
}

#[allow(clippy::inline_always)]
#[inline(always)]
fn fold(mut lanes: [f32; 16]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_keeps_its_stated_error() {
        for i in -86_000..=87_000 {
            let x = i as f32 * 1e-3;
            let want = f64::from(x).exp();
            let error = (f64::from(exp(x)) - want).abs() / want;
            assert!(error < 2e-7, "exp({x}): relative error {error}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn lane_sums_count_every_value_once() {
        for len in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            assert_eq!(lane_sum(&values), (len * len.max(1) - len) as f32 / 2.0);
            assert_eq!(lane_dot(&values, &vec![1.0; len]), lane_sum(&values));
        }
    }
}
