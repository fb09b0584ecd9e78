//! Whether two maps lie on one grid, and how one is brought onto another's.

use pulmoav_volume::{Affine, Grid, Mask};
use rayon::prelude::*;

use crate::error::EvaluateError;

/// Whether two grids are one: the same shape, and corners that fall together.
///
/// # Errors
/// `ERR_GEOMETRY` with the corner that is furthest off.
pub(crate) fn same_grid(what: &'static str, grid: &Grid, reference: &Grid) -> Result<(), EvaluateError> {
    if grid.is_at(reference) {
        return Ok(());
    }
    let (corner, distance_mm) = worst_corner(grid, reference);
    if grid.shape != reference.shape {
        return Err(EvaluateError::Shape { what, got: grid.shape, expected: reference.shape, corner, distance_mm });
    }
    Err(EvaluateError::Place { what, corner, distance_mm })
}

/// The corner of the reference's grid, as a voxel `[z, y, x]`, whose counterpart is furthest from it, and how far, mm.
fn worst_corner(grid: &Grid, reference: &Grid) -> ([usize; 3], f64) {
    let mut worst = ([0; 3], 0.0);
    for corner in 0..8 {
        let place =
            |grid: &Grid| -> ([usize; 3], [f64; 3]) {
                let at: [usize; 3] = std::array::from_fn(|axis| {
                    if corner >> (2 - axis) & 1 == 1 { grid.shape[axis].saturating_sub(1) } else { 0 }
                });
                (at, grid.affine.apply([at[2] as f64, at[1] as f64, at[0] as f64]))
            };
        let ((_, a), (at, b)) = (place(grid), place(reference));
        let distance_mm = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        if distance_mm > worst.1 {
            worst = (at, distance_mm);
        }
    }
    worst
}

/// A label map on another grid: each voxel takes the label of the nearest one, and 0 outside. Any two grids will do,
/// oblique ones too.
///
/// # Errors
/// `ERR_GEOMETRY` where the map's affine has no inverse.
pub fn resampled(map: &Mask, onto: &Grid) -> Result<Mask, EvaluateError> {
    let back = inverse(&map.grid.affine).ok_or(EvaluateError::Flat)?;
    let step = back.after(&onto.affine).0;
    let [depth, height, width] = map.grid.shape;
    let [_, rows, columns] = onto.shape;
    let mut data = vec![0; onto.len()];
    data.par_chunks_mut((rows * columns).max(1)).enumerate().for_each(|(z, plane)| {
        for (y, row) in plane.chunks_exact_mut(columns.max(1)).enumerate() {
            for (x, label) in row.iter_mut().enumerate() {
                // Halves go up, so that voxels that lie between two never depend on the sign of their index.
                let at = |axis: usize| {
                    let [a, b, c, d] = step[axis];
                    (a * x as f64 + b * y as f64 + c * z as f64 + d + 0.5).floor()
                };
                let (i, j, k) = (at(0), at(1), at(2));
                if i >= 0.0 && j >= 0.0 && k >= 0.0 {
                    let (i, j, k) = (i as usize, j as usize, k as usize);
                    if i < width && j < height && k < depth {
                        *label = map.data[(k * height + j) * width + i];
                    }
                }
            }
        }
    });
    Ok(Mask { data, grid: *onto })
}

/// The affine back from millimetres to voxels; `None` for one without three directions.
fn inverse(affine: &Affine) -> Option<Affine> {
    let determinant = affine.determinant();
    let m = &affine.0;
    if determinant.abs() <= f64::EPSILON * affine.spacing().iter().product::<f64>() || !determinant.is_finite() {
        return None;
    }
    let cofactor = |row: usize, column: usize| {
        let (r1, r2, c1, c2) = ((row + 1) % 3, (row + 2) % 3, (column + 1) % 3, (column + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let mut back = Affine::IDENTITY;
    for row in 0..3 {
        for column in 0..3 {
            back.0[row][column] = cofactor(column, row) / determinant;
        }
        back.0[row][3] = -(0..3).map(|k| back.0[row][k] * m[k][3]).sum::<f64>();
    }
    Some(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(affine: [[f64; 4]; 3], shape: [usize; 3]) -> Grid {
        let affine = Affine([affine[0], affine[1], affine[2], [0.0, 0.0, 0.0, 1.0]]);
        Grid { shape, spacing_mm: affine.spacing(), affine }
    }

    #[test]
    fn the_worst_corner_is_told() {
        let straight = grid([[0.7, 0.0, 0.0, 3.0], [0.0, 0.7, 0.0, -2.0], [0.0, 0.0, 1.0, 5.0]], [11, 21, 31]);
        let mut stretched = straight;
        stretched.affine.0[2][2] = 1.2;
        let error = same_grid("the prediction", &stretched, &straight).expect_err("refused").to_string();
        assert!(error.contains("2.000 mm") && error.contains("[10, "), "{error}");
        assert!(same_grid("the prediction", &straight, &straight).is_ok());
    }

    #[test]
    fn labels_follow_oblique_grids() {
        let (sine, cosine) = (0.6, 0.8);
        let turned = grid([[cosine, -sine, 0.0, 4.0], [sine, cosine, 0.0, -7.0], [0.0, 0.0, 2.0, 1.0]], [5, 9, 11]);
        let map = Mask { data: (0..turned.len()).map(|at| (at % 251) as u8).collect(), grid: turned };
        assert_eq!(resampled(&map, &turned).expect("same"), map);
        // The same voxels in the reverse order along x.
        let mut flipped = turned;
        for row in 0..3 {
            flipped.affine.0[row][3] += 10.0 * turned.affine.0[row][0];
            flipped.affine.0[row][0] = -turned.affine.0[row][0];
        }
        let found = resampled(&map, &flipped).expect("resampled");
        for (to, from) in found.data.chunks(11).zip(map.data.chunks(11)) {
            assert!(to.iter().eq(from.iter().rev()));
        }
        let far = Grid {
            affine: Affine::from_spacing([1.0; 3]).after(&Affine([
                [1.0, 0.0, 0.0, 500.0],
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, 0.0],
                [0.0, 0.0, 0.0, 1.0],
            ])),
            ..turned
        };
        assert!(resampled(&map, &far).expect("outside").data.iter().all(|&label| label == 0));
    }
}
