//! Rows of f16 values computed with as f32, and f64 values rounded to f16 once.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Bits of an f64's fraction that an f32 does not have.
const LOST: u64 = (1 << 29) - 1;

/// Changes f16 values as f32 and rounds them back; `buffer` is working space.
///
/// # Shapes
/// `halves` and what `change` sees: one row.
pub(super) fn update(halves: &mut [f16], buffer: &mut Vec<f32>, change: impl FnOnce(&mut [f32])) {
    buffer.resize(halves.len(), 0.0);
    halves.convert_to_f32_slice(buffer);
    change(buffer);
    halves.convert_from_f32_slice(buffer);
}

/// Rounds f64 values to the nearest f16, halves to even, told as f32.
///
/// By way of f32 twice rounded values would move; so what an f32 cannot hold leaves a mark in its last bit, which is
/// far below f16's.
///
/// # Shapes
/// `values`, `singles` and `halves`: one row.
pub(super) fn to_halves(values: &[f64], singles: &mut [f32], halves: &mut [f16]) {
    for (to, value) in singles.iter_mut().zip(values) {
        let bits = value.to_bits();
        *to = f64::from_bits((bits & !LOST) | (u64::from(bits & LOST != 0) << 29)) as f32;
    }
    halves.convert_from_f32_slice(singles);
    halves.convert_to_f32_slice(singles);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f64_is_rounded_once() {
        // Just above and below the middle of two f16 values, and on it.
        let middle = 1.0 + 1.5 / 1024.0;
        let values = [
            middle,
            middle + 1e-12,
            middle - 1e-12,
            1.0 + 0.5 / 1024.0,
            -middle,
            65_519.999,
            65_520.0,
            2e-8,
            3.1e-8,
            0.0,
        ];
        let expected = [
            1.0 + 2.0 / 1024.0,
            1.0 + 2.0 / 1024.0,
            1.0 + 1.0 / 1024.0,
            1.0,
            -(1.0 + 2.0 / 1024.0),
            65_504.0,
            f32::INFINITY,
            0.0,
            5.960_464_5e-8,
            0.0,
        ];
        let (mut singles, mut halves) = ([0f32; 10], [f16::ZERO; 10]);
        to_halves(&values, &mut singles, &mut halves);
        assert_eq!(singles, expected);
    }

    #[test]
    fn sums_round_after_each_step() {
        let mut halves = [f16::from_f32(2048.0), f16::from_f32(0.1)];
        update(&mut halves, &mut Vec::new(), |row| row.iter_mut().for_each(|value| *value += 1.0));
        assert_eq!(halves, [f16::from_f32(2048.0), f16::from_f32(1.1)]);
    }
}
