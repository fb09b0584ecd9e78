//! Where voxels are in the body: affine maps, axis names and the canonical orientation.

use rayon::prelude::*;

use crate::error::VolumeError;
use crate::volume::{Affine, Grid, Volume};

/// Side of the cubes that [`Orientation::orient`] moves at a time, so that both ends of a transposition stay in cache.
const BLOCK: usize = 16;

/// Voxels flatter than this share of their steps' product have no direction of their own.
const SINGULAR: f64 = 1e-6;

impl Affine {
    /// Voxel indices are millimetres.
    pub const IDENTITY: Self =
        Self([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]);

    /// Axes along R, A and S with voxels of `spacing_mm` `[z, y, x]`, the first voxel at the origin.
    pub fn from_spacing(spacing_mm: [f64; 3]) -> Self {
        let mut affine = Self::IDENTITY;
        for axis in 0..3 {
            affine.0[axis][axis] = spacing_mm[2 - axis];
        }
        affine
    }

    /// Length of one voxel step along each axis in the affine's unit, `[z, y, x]`.
    pub fn spacing(&self) -> [f64; 3] {
        [2, 1, 0].map(|column| (0..3).map(|row| self.0[row][column] * self.0[row][column]).sum::<f64>().sqrt())
    }

    /// World position of voxel `(x, y, z)`.
    pub fn apply(&self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|row| {
            let r = &self.0[row];
            r[0] * x + r[1] * y + r[2] * z + r[3]
        })
    }

    /// `self` after `first`.
    #[must_use]
    pub fn after(&self, first: &Self) -> Self {
        let mut product = [[0.0; 4]; 4];
        for (row, out) in product.iter_mut().enumerate() {
            for (column, value) in out.iter_mut().enumerate() {
                *value = (0..4).map(|k| self.0[row][k] * first.0[k][column]).sum();
            }
        }
        Self(product)
    }

    /// Determinant of the 3 × 3 part.
    pub fn determinant(&self) -> f64 {
        let m = &self.0;
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    }

    /// Whether every entry is finite.
    pub fn is_finite(&self) -> bool {
        self.0.iter().flatten().all(|value| value.is_finite())
    }

    /// The 16 numbers, row-major.
    pub fn to_array(&self) -> [f64; 16] {
        let mut numbers = [0.0; 16];
        for (row, values) in self.0.iter().enumerate() {
            numbers[row * 4..row * 4 + 4].copy_from_slice(values);
        }
        numbers
    }

    /// From 16 numbers, row-major.
    pub fn from_array(numbers: &[f64; 16]) -> Self {
        let mut rows = [[0.0; 4]; 4];
        for (row, values) in rows.iter_mut().enumerate() {
            values.copy_from_slice(&numbers[row * 4..row * 4 + 4]);
        }
        Self(rows)
    }

    /// For each voxel axis x, y, z the world axis (0 = R, 1 = A, 2 = S) nearest to it and whether it runs against it;
    /// `None` for an axis without a direction of its own. The rule is nibabel's `io_orientation`.
    pub fn nearest_axes(&self) -> [Option<(usize, bool)>; 3] {
        let mut rotation = nearest_rotation(self);
        let mut order = [0, 1, 2];
        let best = |axis: usize| (0..3).map(|row| rotation[row][axis] * rotation[row][axis]).fold(0.0, f64::max);
        let strength = [best(0), best(1), best(2)];
        order.sort_by(|&a, &b| strength[b].total_cmp(&strength[a]));
        let mut nearest = [None; 3];
        for axis in order {
            let column = [0, 1, 2].map(|row| rotation[row][axis]);
            let mut world = 0;
            for row in 1..3 {
                if column[row].abs() > column[world].abs() {
                    world = row;
                }
            }
            if column[world].abs() > 1e-8 {
                nearest[axis] = Some((world, column[world] < 0.0));
                rotation[world] = [0.0; 3];
            }
        }
        nearest
    }

    /// nibabel's axis codes, such as `LPS`: the end of the body that voxel axes x, y, z grow towards (`?` for none).
    pub fn axcodes(&self) -> String {
        self.nearest_axes()
            .map(|nearest| match nearest {
                Some((world, false)) => ['R', 'A', 'S'][world],
                Some((world, true)) => ['L', 'P', 'I'][world],
                None => '?',
            })
            .iter()
            .collect()
    }
}

/// The exact index moves between a grid and the canonical frame, in which x, y, z grow towards R, A, S as nearly as
/// whole axes can. Nothing is interpolated and an oblique grid stays oblique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation {
    /// For each canonical array axis `[z, y, x]` the array axis of the original grid.
    pub source: [usize; 3],
    /// For each canonical array axis whether it runs against its source.
    pub flipped: [bool; 3],
}

impl Orientation {
    /// No move at all.
    pub const IDENTITY: Self = Self { source: [0, 1, 2], flipped: [false; 3] };

    /// The moves that bring a grid with this affine to the canonical frame.
    ///
    /// # Errors
    /// `ERR_GEOMETRY` when the voxel axes are not three independent directions, so that no canonical frame exists.
    pub fn of(affine: &Affine) -> Result<Self, VolumeError> {
        let singular = || {
            VolumeError::geometry(
                "affine",
                format!(
                    "the voxel axes of {:?} are not three independent directions; set a valid sform or qform",
                    affine.0
                ),
            )
        };
        let cell: f64 = affine.spacing().iter().product();
        if !affine.is_finite() || affine.determinant().abs() <= SINGULAR * cell {
            return Err(singular());
        }
        let mut orientation = Self::IDENTITY;
        for (axis, nearest) in affine.nearest_axes().into_iter().enumerate() {
            let (world, against) = nearest.ok_or_else(singular)?;
            orientation.source[2 - world] = 2 - axis;
            orientation.flipped[2 - world] = against;
        }
        Ok(orientation)
    }

    /// Whether nothing moves.
    pub fn is_identity(&self) -> bool {
        *self == Self::IDENTITY
    }

    /// The canonical grid of `grid`. World positions stay what they were.
    pub fn orient_grid(&self, grid: &Grid) -> Grid {
        let mut affine = grid.affine;
        for canonical in 0..3 {
            let source = self.source[canonical];
            let (to, from) = (2 - canonical, 2 - source);
            let last = grid.shape[source].saturating_sub(1) as f64;
            for row in 0..3 {
                let step = grid.affine.0[row][from];
                affine.0[row][to] = if self.flipped[canonical] { -step } else { step };
                if self.flipped[canonical] {
                    affine.0[row][3] += step * last;
                }
            }
        }
        Grid {
            shape: self.source.map(|axis| grid.shape[axis]),
            spacing_mm: self.source.map(|axis| grid.spacing_mm[axis]),
            affine,
        }
    }

    /// `volume` in the canonical frame.
    pub fn orient<T: Copy + Default + Send + Sync>(&self, volume: &Volume<T>) -> Volume<T> {
        Volume { data: self.orient_data(&volume.data, volume.grid.shape, 1), grid: self.orient_grid(&volume.grid) }
    }

    /// A canonical volume back on the grid it came from.
    ///
    /// # Errors
    /// `ERR_GEOMETRY` when the volume's shape is not the canonical shape of `original`.
    pub fn unorient<T: Copy + Default + Send + Sync>(
        &self,
        canonical: &Volume<T>,
        original: &Grid,
    ) -> Result<Volume<T>, VolumeError> {
        let expected = self.source.map(|axis| original.shape[axis]);
        if canonical.grid.shape != expected {
            return Err(VolumeError::geometry(
                "canonical volume",
                format!("has shape {:?}, expected {expected:?} for the inverse transform", canonical.grid.shape),
            ));
        }
        Ok(Volume { data: self.inverse().orient_data(&canonical.data, expected, 1), grid: *original })
    }

    /// The moves back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut back = Self::IDENTITY;
        for canonical in 0..3 {
            back.source[self.source[canonical]] = canonical;
            back.flipped[self.source[canonical]] = self.flipped[canonical];
        }
        back
    }

    /// Moves plain voxels of `shape` `[z, y, x]` with `channels` values each (channels innermost).
    pub fn orient_data<T: Copy + Default + Send + Sync>(
        &self,
        data: &[T],
        shape: [usize; 3],
        channels: usize,
    ) -> Vec<T> {
        if self.is_identity() {
            return data.to_vec();
        }
        let strides = [shape[1] * shape[2], shape[2], 1];
        let walk = Walk {
            shape: self.source.map(|axis| shape[axis]),
            strides: self.source.map(|axis| strides[axis]),
            flipped: self.flipped,
            channels,
        };
        let mut moved = vec![T::default(); data.len()];
        let slab = walk.shape[1] * walk.shape[2] * channels * BLOCK;
        if slab > 0 {
            moved.par_chunks_mut(slab).enumerate().for_each(|(index, out)| walk.fill_slab(data, index * BLOCK, out));
        }
        moved
    }
}

/// How to find the source of each voxel of a moved volume.
struct Walk {
    shape: [usize; 3],
    strides: [usize; 3],
    flipped: [bool; 3],
    channels: usize,
}

impl Walk {
    fn fill_slab<T: Copy>(&self, data: &[T], first: usize, out: &mut [T]) {
        let [_, height, width] = self.shape;
        let depth = out.len() / (height * width * self.channels);
        for y0 in (0..height).step_by(BLOCK) {
            for x0 in (0..width).step_by(BLOCK) {
                for z in 0..depth {
                    for y in y0..height.min(y0 + BLOCK) {
                        let from = self.offset(0, first + z) + self.offset(1, y);
                        let to = (z * height + y) * width;
                        let row = x0..width.min(x0 + BLOCK);
                        if self.channels == 1 {
                            for (out, x) in out[to + row.start..to + row.end].iter_mut().zip(row) {
                                *out = data[from + self.offset(2, x)];
                            }
                            continue;
                        }
                        for x in row {
                            let source = (from + self.offset(2, x)) * self.channels;
                            let target = (to + x) * self.channels;
                            out[target..target + self.channels].copy_from_slice(&data[source..source + self.channels]);
                        }
                    }
                }
            }
        }
    }

    fn offset(&self, axis: usize, index: usize) -> usize {
        let index = if self.flipped[axis] { self.shape[axis] - 1 - index } else { index };
        index * self.strides[axis]
    }
}

/// The orthogonal factor of the affine's unit columns, by one-sided Jacobi rotations; directions that vanish stay zero.
pub(crate) fn nearest_rotation(affine: &Affine) -> [[f64; 3]; 3] {
    let mut columns = [[0.0; 3]; 3];
    for (axis, column) in columns.iter_mut().enumerate() {
        *column = [0, 1, 2].map(|row| affine.0[row][axis]);
        let length = dot(column, column).sqrt();
        if length > 0.0 {
            *column = column.map(|value| value / length);
        }
    }
    // After the loop: columns = U S, turns = V, both as lists of columns.
    let mut turns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for _ in 0..60 {
        let mut turned = false;
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            let (a, b) = (dot(&columns[p], &columns[p]), dot(&columns[q], &columns[q]));
            let c = dot(&columns[p], &columns[q]);
            if c.abs() <= f64::EPSILON * (a * b).sqrt() || c == 0.0 {
                continue;
            }
            turned = true;
            let zeta = (b - a) / (2.0 * c);
            let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
            let cosine = 1.0 / tangent.hypot(1.0);
            for matrix in [&mut columns, &mut turns] {
                turn(matrix, p, q, cosine, cosine * tangent);
            }
        }
        if !turned {
            break;
        }
    }
    let values = columns.map(|column| dot(&column, &column).sqrt());
    let tolerance = values.iter().copied().fold(0.0, f64::max) * 3.0 * f64::EPSILON;
    let mut rotation = [[0.0; 3]; 3];
    for (k, &value) in values.iter().enumerate() {
        if value > tolerance {
            for row in 0..3 {
                for column in 0..3 {
                    rotation[row][column] += columns[k][row] / value * turns[k][column];
                }
            }
        }
    }
    rotation
}

fn turn(columns: &mut [[f64; 3]; 3], p: usize, q: usize, cosine: f64, sine: f64) {
    for row in 0..3 {
        let (a, b) = (columns[p][row], columns[q][row]);
        columns[p][row] = cosine * a - sine * b;
        columns[q][row] = sine * a + cosine * b;
    }
}

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
