//! A volume is voxels plus geometry.

use crate::error::VolumeError;

/// Maps voxel indices `(x, y, z)` to RAS millimetres; row-major, the numbers nibabel gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [[f64; 4]; 4]);

/// Grids whose corners differ by less than this share of the smallest voxel edge are one.
pub const SAME_PLACE: f64 = 0.01;

/// Lengths of steps within this relative difference are the same.
pub const SAME_SPACING: f64 = 1e-3;

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

    /// This grid, or `other` where it has the same voxels and the place of one of both is a guess, since its file does
    /// not say which way the patient lies.
    #[must_use]
    pub fn beside(&self, oriented: bool, other: &Self, other_oriented: bool) -> Self {
        let same = |a: f64, b: f64| (a - b).abs() <= SAME_SPACING * a.max(b);
        let alike = self.shape == other.shape && self.spacing_mm.iter().zip(other.spacing_mm).all(|(&a, b)| same(a, b));
        if alike && !(oriented && other_oriented) { *other } else { *self }
    }

    /// The largest distance between corresponding corners, mm; corners are taken from this grid's shape.
    pub fn corner_distance_mm(&self, other: &Self) -> f64 {
        self.far_corner_mm(&Self { shape: self.shape, ..*other })
    }

    /// The largest distance between corresponding corners, mm, each grid's of its own shape.
    pub fn far_corner_mm(&self, other: &Self) -> f64 {
        let distance_mm = |(a, b): ([f64; 3], [f64; 3])| {
            let squared: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
            squared.sqrt()
        };
        self.corners().into_iter().zip(other.corners()).map(distance_mm).fold(0.0, f64::max)
    }

    /// Centres of the outermost voxels, RAS mm.
    fn corners(&self) -> [[f64; 3]; 8] {
        let [depth, height, width] = self.shape.map(|length| length.saturating_sub(1) as f64);
        std::array::from_fn(|corner| {
            let at = |axis: usize, length: f64| if corner >> axis & 1 == 1 { length } else { 0.0 };
            self.affine.apply([at(0, width), at(1, height), at(2, depth)])
        })
    }

    /// Volume of one voxel in ml: of a sheared grid too, such as one of a tilted gantry.
    pub fn voxel_ml(&self) -> f64 {
        let mm3 = self.affine.determinant().abs();
        // A flat affine has no volume, but its voxels have edges.
        if mm3 > 0.0 { mm3 / 1000.0 } else { self.spacing_mm.iter().product::<f64>() / 1000.0 }
    }

    /// Refuses a spacing that is not the affine's.
    ///
    /// # Errors
    /// `ERR_GEOMETRY` with both.
    pub fn check(&self, subject: &str) -> Result<(), VolumeError> {
        let steps = self.affine.spacing();
        let same = |(&step, &mm): (&f64, &f64)| step == 0.0 || (step - mm).abs() <= SAME_SPACING * step.max(mm);
        if steps.iter().zip(&self.spacing_mm).all(same) {
            return Ok(());
        }
        Err(VolumeError::geometry(
            subject,
            format!(
                "has voxels of {:?} mm, but its affine makes steps of {steps:?} mm; expected the same along [z, y, x], so set \
                 one from the other",
                self.spacing_mm
            ),
        ))
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
