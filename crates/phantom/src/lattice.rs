//! The voxel grid of a phantom and its place in the body.

use pulmoav_volume::{Affine, Grid};

use crate::chest::Chest;
use crate::config::{Size, Style};
use crate::field::Field;
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
    /// The lattice of a phantom.
    pub(crate) fn new(chest: &Chest, field: &Field, size: Size, seed: u64, style: Style) -> Self {
        match style {
            Style::Plain => Self::round_lungs(chest, size, seed),
            Style::Hospital => Self::of_field(chest, field, size, seed),
        }
    }

    /// The whole field of view, or in small phantoms what of it the body and its table fill; slices of 0.6 to 5 mm.
    fn of_field(chest: &Chest, field: &Field, size: Size, seed: u64) -> Self {
        let mut random = Random::new(seed, 37);
        let (low, high) = chest.lung_box_mm();
        let radius = at(0.5 * field.diameter_mm, 0.5 * field.diameter_mm, 0.0);
        let (mut least, mut most) = (field.centre - radius, field.centre + radius);
        // The lungs' lowest rim; one scan in eight ends above it.
        let whole = random.chance(0.875);
        least.z = low.z - random.within(0.0, 25.0) - if whole { 45.0 * chest.scale.z } else { 0.0 };
        most.z = high.z + random.within(2.0, 25.0);
        let kind = random.unit();
        let thickness = random.unit();
        let sharpest = random.within(0.6, 0.95);
        if size == Size::Full {
            let pixel = field.diameter_mm / 512.0;
            let slice = 0.6 + 0.4 * thickness;
            return Self::between(least, most, [slice, pixel, pixel]);
        }
        let room = random.within(25.0, 70.0);
        let wall = chest.fat_mm + chest.muscle_mm;
        least.y = least.y.max(chest.place(0.0, -99.0, 0.0).y - wall - room);
        most.y = most.y.min(chest.place(0.0, 87.0, 0.0).y + wall + 0.6 * room);
        let slice = match kind {
            k if k < 0.2 => 0.6 + 0.4 * thickness,
            k if k < 0.5 => 1.0 + 0.5 * thickness,
            k if k < 0.75 => 1.5 + 1.0 * thickness,
            _ => 2.5 + 2.5 * thickness,
        };
        let extent = most - least;
        let pixel = (extent.x * extent.y * extent.z / (slice * SMALL_VOXELS)).sqrt().max(sharpest);
        Self::between(least, most, [slice, pixel, pixel])
    }

    fn between(low: Point, high: Point, spacing_mm: [f32; 3]) -> Self {
        let extent = high - low;
        let count = |mm: f32, s: f32| (mm / s + 1e-3).floor().max(8.0) as usize;
        let [sz, sy, sx] = spacing_mm;
        Self { shape: [count(extent.z, sz), count(extent.y, sy), count(extent.x, sx)], spacing_mm, origin: low }
    }

    /// A field of view round the lungs; slices and pixels differ from scan to scan as they do in hospitals.
    fn round_lungs(chest: &Chest, size: Size, seed: u64) -> Self {
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

    /// The lattice behind a grid that [`Self::grid`] made.
    pub(crate) fn of(grid: &Grid) -> Self {
        let [x, y, z] = [0, 1, 2].map(|axis| grid.affine.0[axis][3] as f32);
        Self { shape: grid.shape, spacing_mm: grid.spacing_mm.map(|s| s as f32), origin: at(x, y, z) }
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
