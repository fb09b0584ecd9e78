//! The voxel grid of a phantom and its place in the body.

use pulmoav_volume::{Affine, Grid};

use crate::chest::Chest;
use crate::config::Size;
use crate::point::{Point, at};
use crate::random::Random;

/// Most voxels of a small phantom.
pub(crate) const SMALL_VOXELS: f32 = 19.0e6;

/// Voxels whose axes run with the body's, RAS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lattice {
    /// `[z, y, x]`.
    pub(crate) shape: [usize; 3],
    /// `[z, y, x]`.
    pub(crate) spacing_mm: [f32; 3],
    /// Centre of the first voxel.
    pub(crate) origin: Point,
}

impl Lattice {
    /// A field of view round the lungs; slices and pixels differ from scan to scan as they do in hospitals.
    pub(crate) fn new(chest: &Chest, size: Size, seed: u64) -> Self {
        let mut random = Random::new(seed, 7);
        let (low, high) = chest.lung_box_mm();
        let margin = at(random.within(6.0, 30.0), random.within(6.0, 26.0), 0.0);
        let low = low - margin - at(0.0, 0.0, random.within(0.0, 10.0));
        let high = high + margin + at(0.0, 0.0, random.within(0.0, 12.0));
        let extent = high - low;
        let kind = random.unit();
        let thickness = random.unit();
        let spacing_mm = match size {
            Size::Small => {
                let slice = match kind {
                    k if k < 0.45 => 0.8 + 0.7 * thickness,
                    k if k < 0.75 => 1.5 + 1.0 * thickness,
                    _ => 2.5 + 2.5 * thickness,
                };
                let finest = (extent.x * extent.y * extent.z / (slice * SMALL_VOXELS)).sqrt();
                let pixel = finest.max(random.within(0.65, 0.95));
                [slice, pixel, pixel]
            }
            Size::Full => {
                let pixel = extent.x.max(extent.y) / 511.0;
                [0.6 + 0.4 * thickness, pixel, pixel]
            }
        };
        let mut shape = [extent.z, extent.y, extent.x];
        for (n, s) in shape.iter_mut().zip(spacing_mm) {
            *n = (*n / s).floor().max(8.0);
        }
        let mut shape = shape.map(|n| n as usize);
        let mut origin = low;
        if size == Size::Full {
            origin.y -= (512 - shape[1]) as f32 * 0.5 * spacing_mm[1];
            origin.x -= (512 - shape[2]) as f32 * 0.5 * spacing_mm[2];
            shape[1] = 512;
            shape[2] = 512;
        }
        Self { shape, spacing_mm, origin }
    }

    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Voxels of one slice.
    pub(crate) fn slice_len(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    /// Centre of a voxel.
    pub(crate) fn centre(&self, z: usize, y: usize, x: usize) -> Point {
        let [sz, sy, sx] = self.spacing_mm;
        self.origin + at(x as f32 * sx, y as f32 * sy, z as f32 * sz)
    }

    pub(crate) fn grid(&self) -> Grid {
        let [sz, sy, sx] = self.spacing_mm.map(f64::from);
        let o = self.origin;
        Grid {
            shape: self.shape,
            spacing_mm: [sz, sy, sx],
            affine: Affine([
                [sx, 0.0, 0.0, f64::from(o.x)],
                [0.0, sy, 0.0, f64::from(o.y)],
                [0.0, 0.0, sz, f64::from(o.z)],
                [0.0, 0.0, 0.0, 1.0],
            ]),
        }
    }
}
