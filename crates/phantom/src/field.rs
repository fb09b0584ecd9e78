//! The field of view: what of the body, and of what lies round it, is inside the scan.

use serde::Serialize;

use crate::chest::Chest;
use crate::config::Style;
use crate::lattice::Lattice;
use crate::point::{Point, at};
use crate::random::Random;

/// A field of view, a circle or a square.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    #[serde(skip)]
    pub(crate) centre: Point,
    /// Its width.
    pub diameter_mm: f32,
    /// HU of what lies outside the circle that was measured; none where the whole square was.
    pub padding_hu: Option<i16>,
}

/// What scanners write outside the measured circle, the commoner ones more than once.
const PADDINGS_HU: [i16; 8] = [-1024, -1024, -1024, -2000, -2000, -2048, -3024, -3024];

impl Field {
    /// 60 % are as wide as the lungs and cut the skin; the others show the body and often what it lies on. Half are
    /// circles.
    pub(crate) fn new(chest: &Chest, seed: u64) -> Self {
        let mut random = Random::new(seed, 36);
        let s = chest.scale;
        // No lung of these chests reaches further from the middle than this.
        let lungs = (136.0 * s.x).max(104.0 * s.y);
        let body = 128.0 * s.x + chest.fat_mm + chest.muscle_mm;
        let tight = random.chance(0.6);
        let radius = if tight { lungs + random.within(5.0, 24.0) } else { body + random.within(5.0, 60.0) };
        let shift = if tight { 2.0 } else { 12.0 };
        let centre = at(random.within(-shift, shift), s.y * -4.0 + random.within(-shift, shift), 0.0);
        let lot = random.within(0.0, PADDINGS_HU.len() as f32) as usize;
        let padding_hu = random.chance(0.5).then_some(PADDINGS_HU[lot.min(PADDINGS_HU.len() - 1)]);
        Self { centre, diameter_mm: 2.0 * radius.max(lungs), padding_hu }
    }

    /// A plain phantom's, without a circle.
    pub(crate) fn whole(chest: &Chest) -> Self {
        Self { centre: Point::default(), diameter_mm: 264.0 * chest.scale.x, padding_hu: None }
    }

    /// By style.
    pub(crate) fn of(chest: &Chest, seed: u64, style: Style) -> Self {
        match style {
            Style::Plain => Self::whole(chest),
            Style::Hospital => Self::new(chest, seed),
        }
    }

    /// Whether the scanner measured at a place.
    pub(crate) fn measured(&self, p: Point) -> bool {
        let r = 0.5 * self.diameter_mm;
        self.padding_hu.is_none() || (p.x - self.centre.x).powi(2) + (p.y - self.centre.y).powi(2) <= r * r
    }

    /// Sets what lies outside the circle to `value`.
    pub(crate) fn cut<T: Copy + Send + Sync>(&self, lattice: &Lattice, map: &mut [T], value: T) {
        if self.padding_hu.is_none() {
            return;
        }
        let nx = lattice.shape[2];
        let slice = lattice.slice_len();
        let outside: Vec<usize> = (0..slice).filter(|&i| !self.measured(lattice.centre(0, i / nx, i % nx))).collect();
        for slice in map.chunks_mut(slice) {
            for &i in &outside {
                slice[i] = value;
            }
        }
    }
}
