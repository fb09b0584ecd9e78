//! Looking things up on the coarse grid from the scan's own.

use pulmoav_volume::crop::VoxelBox;
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
    /// Values of a coarse table on `shape` voxels that fill the box `part` of the scan.
    ///
    /// # Shapes
    /// `table`: `[z, y, x]` of the lattice → `[z, y, x]` of `shape`.
    pub(crate) fn look_up(&self, table: &[u8], part: &VoxelBox, shape: [usize; 3]) -> Vec<u8> {
        let places = self.places(part, shape);
        let mut found = vec![0; shape.iter().product()];
        let plane = (shape[1] * shape[2]).max(1);
        found.par_chunks_mut(plane).zip(&places[0]).for_each(|(slice, &z)| {
            for (row, &y) in slice.chunks_exact_mut(shape[2]).zip(&places[1]) {
                let line = self.row(table, z, y);
                for (to, &x) in row.iter_mut().zip(&places[2]) {
                    *to = line[x];
                }
            }
        });
        found
    }

    /// The coarse place along each axis of each of `shape` voxels that fill the box `part`.
    pub(crate) fn places(&self, part: &VoxelBox, shape: [usize; 3]) -> [Vec<usize>; 3] {
        std::array::from_fn(|axis| {
            let step = part.shape()[axis] as f64 / shape[axis] as f64;
            (0..shape[axis])
                .map(|voxel| {
                    let at = part.low[axis] as f64 + (voxel as f64 + 0.5) * step;
                    ((at / self.factor[axis] as f64) as usize).min(self.shape[axis] - 1)
                })
                .collect()
        })
    }

    /// One row of a coarse table.
    pub(crate) fn row<'t>(&self, table: &'t [u8], z: usize, y: usize) -> &'t [u8] {
        &table[(z * self.shape[1] + y) * self.shape[2]..][..self.shape[2]]
    }
}
