//! A volume is voxels plus geometry.

/// Maps voxel indices `(x, y, z)` to RAS millimetres; row-major, the numbers nibabel gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [[f64; 4]; 4]);

/// Shape and place of a volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Voxels, `[z, y, x]`: file axes k, j, i.
    pub shape: [usize; 3],
    /// Voxel size in mm, `[z, y, x]`.
    pub spacing_mm: [f64; 3],
    /// Voxel `(x, y, z)` to RAS mm.
    pub affine: Affine,
}

impl Grid {
    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Volume of one voxel in ml.
    pub fn voxel_ml(&self) -> f64 {
        self.spacing_mm.iter().product::<f64>() / 1000.0
    }
}

/// Voxels, z slowest and x fastest, with their grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<T> {
    /// `grid.len()` values.
    pub data: Vec<T>,
    /// Shape and place.
    pub grid: Grid,
}

/// 0 or 1 a voxel.
pub type Mask = Volume<u8>;
