//! Tables that say how the voxels of one grid follow from those of another, on a device.

use candle_core::{Device, Result, Tensor, bail};

use crate::device::from_host;

/// How voxels along one axis follow from the sources along it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// First and last source of each voxel.
    ends: Vec<[i32; 2]>,
    /// Weights of these two.
    weights: Vec<[f32; 2]>,
    /// Whether the highest from the first to the last counts instead.
    highest: bool,
}

impl Line {
    /// Sums of two sources, each with its weight.
    pub fn sums(voxels: impl Iterator<Item = ([usize; 2], [f32; 2])>) -> Self {
        let (ends, weights) = voxels.map(|(ends, weights)| (ends.map(|end| end as i32), weights)).unzip();
        Self { ends, weights, highest: false }
    }

    /// The highest from a first source to a last one.
    pub fn highest(voxels: impl Iterator<Item = [usize; 2]>) -> Self {
        let ends: Vec<[i32; 2]> = voxels.map(|ends| ends.map(|end| end as i32)).collect();
        Self { weights: vec![[0.0; 2]; ends.len()], ends, highest: true }
    }
}

/// The lines of three axes `[z, y, x]`, on a device.
#[derive(Debug)]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub struct Lines {
    /// Voxels that are made.
    pub(crate) size: [usize; 3],
    pub(crate) highest: [bool; 3],
    /// Sources that there must be.
    pub(crate) reach: [usize; 3],
    /// `[z + y + x, 2]`, and the weights of the same.
    pub(crate) ends: Tensor,
    pub(crate) weights: Tensor,
}

impl Lines {
    /// Takes the lines to a device.
    ///
    /// # Errors
    /// An axis without voxels; a device without room.
    pub fn new(lines: &[Line; 3], device: &Device) -> Result<Self> {
        let size = [0, 1, 2].map(|axis| lines[axis].ends.len());
        let ends: Vec<i32> = lines.iter().flat_map(|line| line.ends.iter().flatten().copied()).collect();
        let weights: Vec<f32> = lines.iter().flat_map(|line| line.weights.iter().flatten().copied()).collect();
        if size.contains(&0) || ends.iter().any(|&end| end < 0) {
            bail!("resample: lines of {size:?} voxels");
        }
        let reach = [0, 1, 2].map(|axis| lines[axis].ends.iter().flatten().max().map_or(0, |&last| last as usize + 1));
        let count = size.iter().sum::<usize>();
        Ok(Self {
            size,
            highest: [0, 1, 2].map(|axis| lines[axis].highest),
            reach,
            ends: from_host(ends, (count, 2), device)?,
            weights: from_host(weights, (count, 2), device)?,
        })
    }

    /// Voxels that are made, `[z, y, x]`.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }
}

/// A table of bytes on a coarser grid, as the voxels of another one see it, on a device.
#[derive(Debug)]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub struct Table {
    pub(crate) coarse: [usize; 3],
    pub(crate) size: [usize; 3],
    /// `[z, y, x]` of `coarse`.
    pub(crate) values: Tensor,
    /// `[z + y + x]`: the coarse place of each voxel, -1 beyond the table.
    pub(crate) places: Tensor,
}

impl Table {
    /// Takes a table to a device. `places` has the coarse place of each voxel along each axis; beyond the table, where
    /// there is none, 0 is read.
    ///
    /// # Shapes
    /// `values`: `[z, y, x]` of `coarse`.
    ///
    /// # Errors
    /// Another number of values; places that are none; a device without room.
    pub fn new(values: Vec<u8>, coarse: [usize; 3], places: &[Vec<Option<usize>>; 3], device: &Device) -> Result<Self> {
        let size = [0, 1, 2].map(|axis| places[axis].len());
        let fits = (0..3).all(|axis| places[axis].iter().flatten().all(|&place| place < coarse[axis]));
        if values.len() != coarse.iter().product::<usize>() || !fits || size.contains(&0) {
            bail!("resample: a table of {} values for {coarse:?} voxels seen from {size:?}", values.len());
        }
        let places: Vec<i32> = places.iter().flatten().map(|place| place.map_or(-1, |place| place as i32)).collect();
        let (count, voxels) = (places.len(), values.len());
        Ok(Self { coarse, size, values: from_host(values, voxels, device)?, places: from_host(places, count, device)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_lines_that_do_not_fit_are_refused() {
        let line = |voxels: usize| Line::sums((0..voxels).map(|voxel| ([voxel, voxel + 1], [0.5; 2])));
        let lines = Lines::new(&[line(2), line(3), line(1)], &Device::Cpu).unwrap();
        assert_eq!((lines.size(), lines.reach), ([2, 3, 1], [3, 4, 2]));
        assert!(Lines::new(&[line(2), line(0), line(1)], &Device::Cpu).is_err());
        let places = |last: usize| [vec![Some(0)], vec![None], vec![Some(last)]];
        assert!(Table::new(vec![1, 2], [1, 1, 2], &places(1), &Device::Cpu).is_ok());
        assert!(Table::new(vec![1, 2], [1, 1, 2], &places(2), &Device::Cpu).is_err());
        assert!(Table::new(vec![1], [1, 1, 2], &places(1), &Device::Cpu).is_err());
    }
}
