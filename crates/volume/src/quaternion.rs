//! Unit quaternions, in which NIfTI's qform keeps its rotation.

use crate::geometry::nearest_rotation;
use crate::volume::Affine;

/// The rotation matrix of quaternion `[a, b, c, d]` (a real); its length is divided out.
pub(crate) fn to_matrix([a, b, c, d]: [f64; 4]) -> [[f64; 3]; 3] {
    let norm = a * a + b * b + c * c + d * d;
    if norm < f64::EPSILON {
        return [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    }
    let scale = 2.0 / norm;
    let (bs, cs, ds) = (b * scale, c * scale, d * scale);
    [
        [1.0 - (c * cs + d * ds), b * cs - a * ds, b * ds + a * cs],
        [b * cs + a * ds, 1.0 - (b * bs + d * ds), c * ds - a * bs],
        [b * ds - a * cs, c * ds + a * bs, 1.0 - (b * bs + c * cs)],
    ]
}

/// The quaternion (real part ≥ 0) of the rotation nearest to an affine, and NIfTI's qfac: −1 where the affine mirrors,
/// in which case its z axis was turned around first. `None` where the affine has no inverse.
pub(crate) fn of_affine(affine: &Affine) -> (Option<[f64; 4]>, f64) {
    let determinant = affine.determinant();
    let handedness = if determinant < 0.0 { -1.0 } else { 1.0 };
    if determinant == 0.0 || !determinant.is_finite() {
        return (None, handedness);
    }
    let mut proper = *affine;
    for row in 0..3 {
        proper.0[row][2] *= handedness;
    }
    (Some(of_matrix(&nearest_rotation(&proper))), handedness)
}

/// Shepperd's method: the largest of the four parts is taken from the diagonal, the others from sums and differences.
fn of_matrix(m: &[[f64; 3]; 3]) -> [f64; 4] {
    let squares = [
        1.0 + m[0][0] + m[1][1] + m[2][2],
        1.0 + m[0][0] - m[1][1] - m[2][2],
        1.0 - m[0][0] + m[1][1] - m[2][2],
        1.0 - m[0][0] - m[1][1] + m[2][2],
    ];
    let largest = (0..4).fold(0, |best, k| if squares[k] > squares[best] { k } else { best });
    let double = squares[largest].max(0.0).sqrt();
    let (yz, zx, xy) = (m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]);
    let (ys, zs, xs) = (m[1][0] + m[0][1], m[0][2] + m[2][0], m[2][1] + m[1][2]);
    let parts = match largest {
        0 => [double * double, yz, zx, xy],
        1 => [yz, double * double, ys, zs],
        2 => [zx, ys, double * double, xs],
        _ => [xy, zs, xs, double * double],
    };
    let sign = if parts[0] < 0.0 { -1.0 } else { 1.0 };
    parts.map(|part| sign * part / (2.0 * double))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_comes_back_from_its_quaternion() {
        for parts in [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, -0.5, 0.5], [0.1, -0.7, 0.2, 0.6], [0.0, 0.0, 1.0, 0.0]] {
            let norm = parts.iter().map(|part: &f64| part * part).sum::<f64>().sqrt();
            let unit = parts.map(|part| part / norm);
            let back = of_matrix(&to_matrix(unit));
            for (a, b) in unit.iter().zip(back) {
                assert!((a - b).abs() < 1e-14, "{unit:?} came back as {back:?}");
            }
        }
    }
}
