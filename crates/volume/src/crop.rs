//! Boxes of voxels, and reading a part of a volume in another axis order without copying it.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::volume::{Affine, Grid, Volume};
use crate::voxels::{DataType, Voxel};

/// A box of voxels, half open: `low <= index < high`, `[z, y, x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoxelBox {
    /// First voxel inside.
    pub low: [usize; 3],
    /// First voxel outside.
    pub high: [usize; 3],
}

impl VoxelBox {
    /// The box of a whole volume.
    pub fn whole(shape: [usize; 3]) -> Self {
        Self { low: [0; 3], high: shape }
    }

    /// Voxels along each axis, `[z, y, x]`.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.high[axis].saturating_sub(self.low[axis]))
    }

    /// The smallest box that holds every voxel for which `inside` is true; `None` when there is none.
    ///
    /// # Shapes
    /// `data`: `[z, y, x]` of `shape`.
    pub fn around<T: Copy + Sync>(data: &[T], shape: [usize; 3], inside: impl Fn(T) -> bool + Sync) -> Option<Self> {
        let [depth, height, width] = shape;
        let plane_box = |z: usize| -> Option<Self> {
            let mut found: Option<Self> = None;
            for y in 0..height {
                let row = &data[(z * height + y) * width..][..width];
                let Some(first) = row.iter().position(|&v| inside(v)) else { continue };
                let last = row.iter().rposition(|&v| inside(v)).unwrap_or(first);
                let here = Self { low: [z, y, first], high: [z + 1, y + 1, last + 1] };
                found = Some(found.map_or(here, |b| b.joined(&here)));
            }
            found
        };
        (0..depth).into_par_iter().filter_map(plane_box).reduce_with(|a, b| a.joined(&b))
    }

    /// One of the box's planes along z, the first of which is 0.
    #[must_use]
    pub fn plane(&self, z: usize) -> Self {
        let [_, y, x] = [0, 1, 2].map(|axis| [self.low[axis], self.high[axis]]);
        Self { low: [self.low[0] + z, y[0], x[0]], high: [self.low[0] + z + 1, y[1], x[1]] }
    }

    /// The smallest box that holds both.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        Self {
            low: std::array::from_fn(|axis| self.low[axis].min(other.low[axis])),
            high: std::array::from_fn(|axis| self.high[axis].max(other.high[axis])),
        }
    }

    /// The box grown by `margin_mm` on each side, rounded outwards and cut at the volume's border.
    #[must_use]
    pub fn grown(&self, margin_mm: f64, grid: &Grid) -> Self {
        let margin = |axis: usize| (margin_mm / grid.spacing_mm[axis]).ceil() as usize;
        Self {
            low: std::array::from_fn(|axis| self.low[axis].saturating_sub(margin(axis))),
            high: std::array::from_fn(|axis| (self.high[axis] + margin(axis)).min(grid.shape[axis])),
        }
    }

    /// The grid of the box cut out of `grid`.
    pub fn grid(&self, grid: &Grid) -> Grid {
        let mut affine = grid.affine.0;
        for row in affine.iter_mut().take(3) {
            row[3] += row[0] * self.low[2] as f64 + row[1] * self.low[1] as f64 + row[2] * self.low[0] as f64;
        }
        Grid { shape: self.shape(), spacing_mm: grid.spacing_mm, affine: Affine(affine) }
    }
}

/// The faces of a box that need not lie between voxels, in voxels from the first face of the volume, `[z, y, x]`; it
/// may reach beyond the volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// First faces.
    pub low: [f64; 3],
    /// Last faces.
    pub high: [f64; 3],
}

impl From<&VoxelBox> for Extent {
    fn from(part: &VoxelBox) -> Self {
        Self { low: part.low.map(|at| at as f64), high: part.high.map(|at| at as f64) }
    }
}

impl Extent {
    /// The whole voxels of a volume of `shape` that it touches.
    pub fn voxels(&self, shape: [usize; 3]) -> VoxelBox {
        let within = |at: f64, axis: usize| (at.max(0.0) as usize).min(shape[axis]);
        VoxelBox {
            low: std::array::from_fn(|axis| within(self.low[axis].floor(), axis)),
            high: std::array::from_fn(|axis| within(self.high[axis].ceil(), axis)),
        }
    }

    /// The same faces seen from the first voxel of a box.
    #[must_use]
    pub fn seen_from(&self, part: &VoxelBox) -> Self {
        Self {
            low: std::array::from_fn(|axis| self.low[axis] - part.low[axis] as f64),
            high: std::array::from_fn(|axis| self.high[axis] - part.low[axis] as f64),
        }
    }

    /// The faces of a volume of `shape` voxels in voxels of a grid of `count` voxels that fills this extent.
    #[must_use]
    pub fn inverse(&self, shape: [usize; 3], count: [usize; 3]) -> Self {
        let step = |axis: usize| (self.high[axis] - self.low[axis]) / count[axis] as f64;
        Self {
            low: std::array::from_fn(|axis| -self.low[axis] / step(axis)),
            high: std::array::from_fn(|axis| (shape[axis] as f64 - self.low[axis]) / step(axis)),
        }
    }

    /// The grid of `shape` voxels that fills this extent of `grid`.
    pub fn grid(&self, grid: &Grid, shape: [usize; 3]) -> Grid {
        let ratio: [f64; 3] = std::array::from_fn(|axis| (self.high[axis] - self.low[axis]) / shape[axis] as f64);
        let mut affine = grid.affine.0;
        for row in affine.iter_mut().take(3) {
            for axis in 0..3 {
                // Column 0 of an affine is x, the last array axis.
                let step = row[2 - axis];
                row[3] += step * (self.low[axis] + 0.5 * ratio[axis] - 0.5);
                row[2 - axis] = step * ratio[axis];
            }
        }
        Grid {
            shape,
            spacing_mm: std::array::from_fn(|axis| grid.spacing_mm[axis] * ratio[axis]),
            affine: Affine(affine),
        }
    }
}

/// Cuts the box out of a volume; the grid follows.
pub fn crop<T: Copy>(volume: &Volume<T>, part: &VoxelBox) -> Volume<T> {
    let [_, height, width] = volume.grid.shape;
    let mut data = Vec::with_capacity(part.shape().iter().product());
    for z in part.low[0]..part.high[0] {
        for y in part.low[1]..part.high[1] {
            let row = (z * height + y) * width;
            data.extend_from_slice(&volume.data[row + part.low[2]..row + part.high[2]]);
        }
    }
    Volume { data, grid: part.grid(&volume.grid) }
}

/// A part of an array read in another axis order and direction, without a copy.
///
/// It lets everything after reading work in the canonical frame while the voxels stay as the file had them.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    data: &'a [T],
    origin: isize,
    strides: [isize; 3],
    shape: [usize; 3],
}

impl<'a, T: Copy> View<'a, T> {
    /// An array as it lies in memory, `[z, y, x]` of `shape`.
    pub fn new(data: &'a [T], shape: [usize; 3]) -> Self {
        let strides = [(shape[1] * shape[2]) as isize, shape[2] as isize, 1];
        Self { data, origin: 0, strides, shape }
    }

    /// The same voxels with axis `a` of the result being axis `source[a]` of this one, reversed where `flip[a]`.
    #[must_use]
    pub fn reordered(&self, source: [usize; 3], flip: [bool; 3]) -> Self {
        let mut view = *self;
        for axis in 0..3 {
            let (size, stride) = (self.shape[source[axis]], self.strides[source[axis]]);
            view.shape[axis] = size;
            view.strides[axis] = if flip[axis] { -stride } else { stride };
            if flip[axis] && size > 0 {
                view.origin += stride * (size as isize - 1);
            }
        }
        view
    }

    /// A box of this view.
    #[must_use]
    pub fn part(&self, part: &VoxelBox) -> Self {
        let start: isize = (0..3).map(|axis| part.low[axis] as isize * self.strides[axis]).sum();
        Self { origin: self.origin + start, shape: part.shape(), ..*self }
    }

    /// Voxels along each axis, `[z, y, x]` of the view.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The voxel at `[z, y, x]` of the view.
    #[inline]
    pub fn at(&self, z: usize, y: usize, x: usize) -> T {
        let [sz, sy, sx] = self.strides;
        self.data[(self.origin + z as isize * sz + y as isize * sy + x as isize * sx) as usize]
    }

    /// One row of the view: where it lies if its voxels lie side by side, else copied into `buffer`.
    ///
    /// # Shapes
    /// `buffer`: `[x]`.
    pub fn row<'r>(&'r self, z: usize, y: usize, buffer: &'r mut [T]) -> &'r [T] {
        if let Some((row, false)) = self.lying_row(z, y) {
            return row;
        }
        self.copy_row(z, y, buffer);
        buffer
    }

    /// One row as it lies in memory, from its far end where the second is true; copied into `buffer` where its voxels
    /// do not lie side by side. For work that the order along x does not matter to.
    ///
    /// # Shapes
    /// `buffer`: `[x]`.
    pub fn row_either_way<'r>(&'r self, z: usize, y: usize, buffer: &'r mut [T]) -> (&'r [T], bool) {
        if let Some(row) = self.lying_row(z, y) {
            return row;
        }
        self.copy_row(z, y, buffer);
        (buffer, false)
    }

    /// Copies one row of the view.
    ///
    /// # Shapes
    /// `row`: `[x]`.
    pub fn copy_row(&self, z: usize, y: usize, row: &mut [T]) {
        let [sz, sy, sx] = self.strides;
        let start = self.origin + z as isize * sz + y as isize * sy;
        match sx {
            1 => row.copy_from_slice(&self.data[start as usize..start as usize + row.len()]),
            -1 => {
                let end = start as usize + 1;
                let source = &self.data[end - row.len()..end];
                row.iter_mut().zip(source.iter().rev()).for_each(|(to, &from)| *to = from);
            }
            _ => row.iter_mut().enumerate().for_each(|(x, to)| *to = self.data[(start + x as isize * sx) as usize]),
        }
    }

    /// One row as it lies in memory, if its voxels lie side by side; from its far end where the second is true.
    fn lying_row(&self, z: usize, y: usize) -> Option<(&'a [T], bool)> {
        let [sz, sy, sx] = self.strides;
        let start = self.origin + z as isize * sz + y as isize * sy;
        match sx {
            1 => Some((&self.data[start as usize..][..self.shape[2]], false)),
            -1 if self.shape[2] > 0 => {
                let end = start as usize + 1;
                Some((&self.data[end - self.shape[2]..end], true))
            }
            _ => None,
        }
    }

    /// Copies the view into an array of its own, `[z, y, x]`.
    pub fn to_vec(&self) -> Vec<T> {
        let [depth, height, width] = self.shape;
        let mut data = Vec::with_capacity(depth * height * width);
        for z in 0..depth {
            for y in 0..height {
                data.extend((0..width).map(|x| self.at(z, y, x)));
            }
        }
        data
    }
}

/// Voxels where they lie in memory, for a device that takes them as they are.
#[derive(Debug, Clone)]
pub enum Stored<'a> {
    /// Whole numbers of 16 bits.
    I16(&'a [i16]),
    /// Others, as f32.
    F32(Cow<'a, [f32]>),
}

/// A view as it lies in memory: voxel `[z, y, x]` is value `origin + z · strides[0] + y · strides[1] + x · strides[2]`.
#[derive(Debug, Clone)]
pub struct Lying<'a> {
    /// As few values as hold all of the view's.
    pub values: Stored<'a>,
    /// The first voxel's.
    pub origin: usize,
    /// From one voxel to the next, `[z, y, x]`.
    pub strides: [isize; 3],
    /// Voxels, `[z, y, x]`.
    pub shape: [usize; 3],
}

impl<'a, T: Voxel> View<'a, T> {
    /// The values that hold the view's voxels, and where among them each voxel is.
    pub fn lying(&self) -> Lying<'a> {
        let ends: [isize; 3] = std::array::from_fn(|axis| (self.shape[axis].max(1) as isize - 1) * self.strides[axis]);
        let low = self.origin + ends.iter().filter(|&&end| end < 0).sum::<isize>();
        let high = self.origin + ends.iter().filter(|&&end| end > 0).sum::<isize>();
        let is_empty = self.shape.contains(&0);
        let part = if is_empty { &[] } else { &self.data[low as usize..=high as usize] };
        let values = match (T::DATA_TYPE, as_f32(part)) {
            (DataType::Int16, _) => Stored::I16(bytemuck::cast_slice(part)),
            (_, Some(values)) => Stored::F32(Cow::Borrowed(values)),
            (_, None) => Stored::F32(part.par_iter().with_min_len(1 << 14).map(|value| value.to_f32()).collect()),
        };
        Lying { values, origin: (self.origin - low) as usize, strides: self.strides, shape: self.shape }
    }
}

/// The voxels as f32, whatever type they are held in; those that are f32 already are not copied.
impl<T: Voxel> View<'_, T> {
    /// The voxel at `[z, y, x]` of the view.
    #[inline]
    pub fn value(&self, z: usize, y: usize, x: usize) -> f32 {
        self.at(z, y, x).to_f32()
    }

    /// As [`View::row`].
    pub fn values<'r>(&'r self, z: usize, y: usize, buffer: &'r mut [f32]) -> &'r [f32] {
        if let Some((row, false)) = self.lying_row(z, y)
            && let Some(row) = as_f32(row)
        {
            return row;
        }
        self.copy_values(z, y, buffer);
        buffer
    }

    /// As [`View::row_either_way`].
    pub fn values_either_way<'r>(&'r self, z: usize, y: usize, buffer: &'r mut [f32]) -> (&'r [f32], bool) {
        let Some((row, is_reversed)) = self.lying_row(z, y) else {
            self.copy_values(z, y, buffer);
            return (buffer, false);
        };
        if let Some(row) = as_f32(row) {
            return (row, is_reversed);
        }
        buffer.iter_mut().zip(row).for_each(|(to, from)| *to = from.to_f32());
        (buffer, is_reversed)
    }

    /// As [`View::copy_row`].
    pub fn copy_values(&self, z: usize, y: usize, row: &mut [f32]) {
        match self.lying_row(z, y) {
            Some((from, false)) => row.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f32()),
            Some((from, true)) => row.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = from.to_f32()),
            None => row.iter_mut().enumerate().for_each(|(x, to)| *to = self.value(z, y, x)),
        }
    }

    /// As [`View::to_vec`].
    pub fn to_values(&self) -> Vec<f32> {
        let [depth, height, width] = self.shape;
        let mut data = vec![0f32; depth * height * width];
        for (index, row) in data.chunks_exact_mut(width.max(1)).enumerate() {
            self.copy_values(index / height, index % height, row);
        }
        data
    }
}

/// Voxels that are f32 already.
fn as_f32<T: Voxel>(values: &[T]) -> Option<&[f32]> {
    (T::DATA_TYPE == DataType::Float32).then(|| bytemuck::cast_slice(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_reorders_and_cuts() {
        let data: Vec<u8> = (0..24).collect();
        let view = View::new(&data, [2, 3, 4]).reordered([2, 0, 1], [true, false, true]);
        assert_eq!(view.shape(), [4, 2, 3]);
        assert_eq!(view.at(0, 1, 2), 12 + 3); // x = 3, z = 1, y = 0
        let part = view.part(&VoxelBox { low: [1, 0, 1], high: [3, 2, 3] });
        assert_eq!(part.at(0, 0, 0), view.at(1, 0, 1));
        let mut row = [0; 2];
        part.copy_row(1, 1, &mut row);
        assert_eq!(row, [view.at(2, 1, 1), view.at(2, 1, 2)]);
    }

    #[test]
    fn rows_copy_backwards() {
        let data: Vec<u8> = (0..8).collect();
        let view = View::new(&data, [1, 2, 4]).reordered([0, 1, 2], [false, false, true]);
        let mut row = [0; 3];
        let part = view.part(&VoxelBox { low: [0, 1, 1], high: [1, 2, 4] });
        part.copy_row(0, 0, &mut row);
        assert_eq!(row, [6, 5, 4]);
        assert_eq!(part.row_either_way(0, 0, &mut row), (&[4, 5, 6][..], true));
        assert_eq!(View::new(&data, [1, 2, 4]).row_either_way(0, 1, &mut row), (&[4, 5, 6, 7][..], false));
        let turned = View::new(&data, [1, 2, 4]).reordered([0, 2, 1], [false; 3]);
        assert_eq!(turned.row_either_way(0, 3, &mut [0; 2]), (&[3, 7][..], false));
    }

    #[test]
    fn values_are_those_of_the_voxels() {
        fn check<T: Voxel>(data: &[T]) {
            for source in [[0, 1, 2], [2, 0, 1]] {
                for flipped in [[false; 3], [true, false, true]] {
                    let view = View::new(data, [2, 3, 4]).reordered(source, flipped);
                    let [depth, height, width] = view.shape();
                    let all = view.to_values();
                    for (z, y) in (0..depth).flat_map(|z| (0..height).map(move |y| (z, y))) {
                        let expected: Vec<f32> = (0..width).map(|x| view.at(z, y, x).to_f32()).collect();
                        assert!((0..width).all(|x| view.value(z, y, x) == expected[x]));
                        assert_eq!(view.values(z, y, &mut vec![0.0; width]), expected);
                        assert_eq!(all[(z * height + y) * width..][..width], expected);
                        let mut buffer = vec![0.0; width];
                        let (row, is_reversed) = view.values_either_way(z, y, &mut buffer);
                        let mut row = row.to_vec();
                        if is_reversed {
                            row.reverse();
                        }
                        assert_eq!(row, expected);
                    }
                }
            }
        }
        check(&(0..24).map(|value| value * 100 - 1024).collect::<Vec<i16>>());
        check(&(0..24).map(|value| value as f32 / 3.0).collect::<Vec<f32>>());
    }

    #[test]
    fn a_view_lies_where_its_voxels_are() {
        fn check<T: Voxel>(data: &[T], value: impl Fn(&Stored<'_>, usize) -> f32) {
            for source in [[0, 1, 2], [2, 0, 1]] {
                for flipped in [[false; 3], [true, false, true], [true; 3]] {
                    let view = View::new(data, [2, 3, 4]).reordered(source, flipped);
                    let part = view.part(&VoxelBox { low: [0, 1, 0], high: [1, view.shape()[1], 2] });
                    let lying = part.lying();
                    let [depth, height, width] = lying.shape;
                    for (z, y, x) in
                        (0..depth).flat_map(|z| (0..height).flat_map(move |y| (0..width).map(move |x| (z, y, x))))
                    {
                        let steps: isize =
                            [z, y, x].iter().zip(lying.strides).map(|(&at, step)| at as isize * step).sum();
                        let found = value(&lying.values, (lying.origin as isize + steps) as usize);
                        assert_eq!(found, part.value(z, y, x), "{source:?} {flipped:?} {z} {y} {x}");
                    }
                }
            }
        }
        check(&(0..24).collect::<Vec<i16>>(), |values, at| match values {
            Stored::I16(values) => values[at].into(),
            Stored::F32(_) => f32::NAN,
        });
        let f32s =
            |values: &Stored<'_>, at: usize| if let Stored::F32(values) = values { values[at] } else { f32::NAN };
        check(&(0..24u8).map(f32::from).collect::<Vec<f32>>(), f32s);
        check(&(0..24).collect::<Vec<u8>>(), f32s);
    }

    #[test]
    fn box_surrounds_and_grows() {
        let mut data = vec![0u8; 60];
        data[(2 * 4 + 1) * 5 + 3] = 1;
        data[(4 + 2) * 5 + 1] = 1;
        let found = VoxelBox::around(&data, [3, 4, 5], |v| v > 0);
        assert_eq!(found, Some(VoxelBox { low: [1, 1, 1], high: [3, 3, 4] }));
        assert_eq!(VoxelBox::around(&[0u8; 60], [3, 4, 5], |v| v > 0), None);
    }
}
