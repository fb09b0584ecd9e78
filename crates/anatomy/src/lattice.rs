//! Looking things up on the coarse grid from the scan's own.

use pulmoav_volume::crop::Extent;
use rayon::prelude::*;

/// The coarse grid as the scan's voxels see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lattice {
    /// Whole voxels of the scan in one coarse voxel, `[z, y, x]`.
    pub(crate) factor: [usize; 3],
    /// Coarse voxels, `[z, y, x]`.
    pub(crate) shape: [usize; 3],
}

impl Lattice {
    /// Values of a coarse table on `shape` voxels that fill a part of the scan; beyond the scan 0.
    ///
    /// # Shapes
    /// `table`: `[z, y, x]` of the lattice → `[z, y, x]` of `shape`.
    pub(crate) fn look_up(&self, table: &[u8], part: &Extent, shape: [usize; 3]) -> Vec<u8> {
        let places = self.places(part, shape);
        let mut found = vec![0; shape.iter().product()];
        let plane = (shape[1] * shape[2]).max(1);
        found.par_chunks_mut(plane).zip(&places[0]).for_each(|(slice, &z)| {
            for (row, &y) in slice.chunks_exact_mut(shape[2]).zip(&places[1]) {
                let (Some(z), Some(y)) = (z, y) else { continue };
                let line = self.row(table, z, y);
                for (to, &x) in row.iter_mut().zip(&places[2]) {
                    *to = x.map_or(0, |x| line[x]);
                }
            }
        });
        found
    }

    /// The coarse place along each axis of each of `shape` voxels that fill a part of the scan; `None` beyond it.
    pub(crate) fn places(&self, part: &Extent, shape: [usize; 3]) -> [Vec<Option<usize>>; 3] {
        std::array::from_fn(|axis| {
            let step = (part.high[axis] - part.low[axis]) / shape[axis] as f64;
            (0..shape[axis])
                .map(|voxel| {
                    let at = (part.low[axis] + (voxel as f64 + 0.5) * step) / self.factor[axis] as f64;
                    (at >= 0.0 && (at as usize) < self.shape[axis]).then_some(at as usize)
                })
                .collect()
        })
    }

    /// One row of a coarse table.
    pub(crate) fn row<'t>(&self, table: &'t [u8], z: usize, y: usize) -> &'t [u8] {
        &table[(z * self.shape[1] + y) * self.shape[2]..][..self.shape[2]]
    }
}
