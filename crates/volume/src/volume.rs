//! A volume is voxels plus geometry.

/// Maps voxel indices `(x, y, z)` to RAS millimetres; row-major, the numbers nibabel gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [[f64; 4]; 4]);

/// Grids whose corners differ by less than this share of the smallest voxel edge are one.
pub const SAME_PLACE: f64 = 0.01;

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

    /// Whether the two are one grid: the same shape, and corners that fall together within [`SAME_PLACE`] of a voxel.
    pub fn is_at(&self, other: &Self) -> bool {
        let step = other.affine.spacing().into_iter().fold(f64::INFINITY, f64::min);
        self.shape == other.shape && self.corner_distance_mm(other) <= SAME_PLACE * step
    }

    /// The largest distance between corresponding corners, mm; corners are taken from this grid's shape.
    pub fn corner_distance_mm(&self, other: &Self) -> f64 {
        let [depth, height, width] = self.shape.map(|length| length.saturating_sub(1) as f64);
        let mut distance_mm: f64 = 0.0;
        for corner in 0..8 {
            let at = |axis: usize, length: f64| if corner >> axis & 1 == 1 { length } else { 0.0 };
            let voxel = [at(0, width), at(1, height), at(2, depth)];
            let (a, b) = (self.affine.apply(voxel), other.affine.apply(voxel));
            let squared: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
            distance_mm = distance_mm.max(squared.sqrt());
        }
        distance_mm
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
