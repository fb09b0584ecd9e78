//! Elastic deformation: cubic B-splines through random shifts of a coarse grid's points.
//!
//! Rueckert et al., "Nonrigid registration using free-form deformations", IEEE TMI 1999. Such a field never folds while
//! no shift exceeds the grid's spacing / 2.4795 along an axis (Choi and Lee, "Injectivity conditions of 2D and 3D uniform
//! cubic B-spline functions", Graphical Models 2000), so that no vessel is torn or doubled.

use pulmoav_ops::augment;
use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use super::warp::{Warp, Warping};
use crate::error::TrainError;
use crate::range::within;

/// Largest shift as a share of the grid's spacing.
const MAX_SHARE: f64 = 0.403;

/// Shifts the points of a grid of `grid_mm` by uniform numbers from ±`amount_mm` along each axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Elastic {
    /// How often.
    pub probability: f32,
    /// Largest shift along an axis.
    pub amount_mm: f32,
    /// Distance of the grid's points.
    pub grid_mm: f32,
}

impl Warping for Elastic {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        within("augment.elastic.gridMm", f64::from(self.grid_mm), 4.0, 500.0)?;
        within("augment.elastic.amountMm", f64::from(self.amount_mm), 0.0, MAX_SHARE * f64::from(self.grid_mm))
    }

    fn add_to(&self, warp: &mut Warp, choice: &mut Philox) {
        let points = warp.extent_mm().map(|extent_mm| (extent_mm / self.grid_mm) as usize + 4);
        let count = points.iter().product();
        let shifts =
            (0..count).map(|_| [0; 3].map(|_| choice.between(-self.amount_mm, self.amount_mm))).collect::<Vec<_>>();
        warp.bend(Field { points, grid_mm: self.grid_mm, amount_mm: self.amount_mm, shifts });
    }
}

/// A field of shifts. Its first patch voxel lies in the grid's first cell that has a point before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    points: [usize; 3],
    grid_mm: f32,
    amount_mm: f32,
    /// Of every point, `[z, y, x]`, mm along each axis.
    shifts: Vec<[f32; 3]>,
}

impl Field {
    /// No shift is larger along an axis.
    pub(super) fn amount_mm(&self) -> f32 {
        self.amount_mm
    }

    /// As a card takes it.
    pub(super) fn for_card(&self) -> augment::Field<'_> {
        augment::Field { points: self.points, grid_mm: self.grid_mm, shifts: &self.shifts }
    }

    /// The field along the row of voxels through `z_mm` and `y_mm`, as shifts of the points along x.
    pub(super) fn row(&self, z_mm: f32, y_mm: f32) -> Row {
        let [_, rows, columns] = self.points;
        let (z, z_weights) = self.place(z_mm, 0);
        let (y, y_weights) = self.place(y_mm, 1);
        let mut shifts = vec![[0.0f32; 3]; columns];
        for (dz, z_weight) in z_weights.into_iter().enumerate() {
            for (dy, y_weight) in y_weights.into_iter().enumerate() {
                let line = &self.shifts[((z + dz) * rows + y + dy) * columns..][..columns];
                for (sum, shift) in shifts.iter_mut().zip(line) {
                    sum.iter_mut().zip(shift).for_each(|(sum, shift)| *sum += z_weight * y_weight * shift);
                }
            }
        }
        Row { shifts }
    }

    /// The shift at `x_mm` of a row.
    pub(super) fn at(&self, row: &Row, x_mm: f32) -> [f32; 3] {
        let (x, weights) = self.place(x_mm, 2);
        let mut shift = [0.0; 3];
        for (weight, point) in weights.into_iter().zip(&row.shifts[x..]) {
            shift.iter_mut().zip(point).for_each(|(sum, along)| *sum += weight * along);
        }
        shift
    }

    /// The first of the four points that a place feels, and their weights.
    fn place(&self, at_mm: f32, axis: usize) -> (usize, [f32; 4]) {
        let at = at_mm / self.grid_mm;
        let cell = (at as usize).min(self.points[axis] - 4);
        let t = at - cell as f32;
        let rest = 1.0 - t;
        let weights = [
            rest * rest * rest / 6.0,
            (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
            (3.0 * rest * rest * rest - 6.0 * rest * rest + 4.0) / 6.0,
            t * t * t / 6.0,
        ];
        (cell, weights)
    }
}

/// The shifts that a row of voxels feels.
pub(super) struct Row {
    shifts: Vec<[f32; 3]>,
}
