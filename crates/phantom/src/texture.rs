//! Smooth noise that repeats: the texture of tissue, looked up by place in mm.

use crate::point::Point;
use crate::random::{bell, philox};

const SIDE: usize = 64;

/// A cube of 64³ normal numbers (mean 0, deviation about 1), read with linear interpolation and repeated for ever.
#[derive(Debug, Clone)]
pub(crate) struct Texture {
    values: Vec<f32>,
}

impl Texture {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let values = (0..(SIDE * SIDE * SIDE / 4) as u64).flat_map(|i| philox(seed, i, stream).map(bell)).collect();
        Self { values }
    }

    /// The noise at a place, with a node every `grain_mm`.
    pub(crate) fn sample(&self, p: Point, grain_mm: f32) -> f32 {
        let k = 1.0 / grain_mm;
        let (x, y, z) = (p.x * k + 4096.0, p.y * k + 4096.0, p.z * k + 4096.0);
        let (i, j, l) = (x as usize, y as usize, z as usize);
        let (fx, fy, fz) = (x - i as f32, y - j as f32, z - l as f32);
        let wrap = |n: usize| n & (SIDE - 1);
        let (x0, x1) = (wrap(i), wrap(i + 1));
        let row = |j: usize, l: usize| (wrap(l) * SIDE + wrap(j)) * SIDE;
        let line = |base: usize| {
            let (a, b) = (self.values[base + x0], self.values[base + x1]);
            a + (b - a) * fx
        };
        let near = line(row(j, l)) * (1.0 - fy) + line(row(j + 1, l)) * fy;
        let far = line(row(j, l + 1)) * (1.0 - fy) + line(row(j + 1, l + 1)) * fy;
        // Interpolation between nodes loses about half the variance.
        (near + (far - near) * fz) * 1.6
    }
}
