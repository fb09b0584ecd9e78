//! Voxels of a box by their number, and steps between them in mm.

/// Shape and spacing of a box of voxels, `[z, y, x]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lattice {
    pub(crate) shape: [usize; 3],
    pub(crate) spacing_mm: [f64; 3],
}

impl Lattice {
    /// Number of a voxel → `[z, y, x]`.
    pub(crate) fn place(&self, voxel: u32) -> [usize; 3] {
        let (voxel, [_, ny, nx]) = (voxel as usize, self.shape);
        [voxel / (ny * nx), voxel / nx % ny, voxel % nx]
    }

    pub(crate) fn voxel(&self, [z, y, x]: [usize; 3]) -> u32 {
        ((z * self.shape[1] + y) * self.shape[2] + x) as u32
    }

    /// The neighbours of a voxel across faces, edges and corners, in scan order, each with the way to it in mm.
    pub(crate) fn neighbours(&self, voxel: u32) -> impl Iterator<Item = (u32, f64)> + '_ {
        let place = self.place(voxel);
        (0..27).filter(|&k| k != 13).filter_map(move |k| {
            let step = [k / 9, k / 3 % 3, k % 3].map(|s| s as isize - 1);
            let mut to = [0; 3];
            let mut squared_mm2 = 0.0;
            for axis in 0..3 {
                let at = place[axis] as isize + step[axis];
                if at < 0 || at >= self.shape[axis] as isize {
                    return None;
                }
                to[axis] = at as usize;
                squared_mm2 += (step[axis] as f64 * self.spacing_mm[axis]).powi(2);
            }
            Some((self.voxel(to), squared_mm2.sqrt()))
        })
    }

    /// Distance of two voxels, mm.
    pub(crate) fn distance_mm(&self, a: u32, b: u32) -> f64 {
        let (a, b) = (self.place(a), self.place(b));
        (0..3).map(|k| ((a[k] as f64 - b[k] as f64) * self.spacing_mm[k]).powi(2)).sum::<f64>().sqrt()
    }

    /// Length of a path of voxels, mm.
    pub(crate) fn length_mm(&self, path: &[u32]) -> f64 {
        path.windows(2).map(|pair| self.distance_mm(pair[0], pair[1])).sum()
    }

    pub(crate) fn voxel_mm3(&self) -> f64 {
        self.spacing_mm.iter().product()
    }

    /// The shortest edge of a voxel, mm.
    pub(crate) fn finest_mm(&self) -> f64 {
        self.spacing_mm.into_iter().fold(f64::INFINITY, f64::min)
    }
}
