//! Counter-based randomness: the same numbers whatever the order or the number of threads.

pub(crate) use pulmoav_random::philox;

use crate::point::{Point, at};

/// Standard normal from one 32-bit word: four bytes added, which is close enough to the bell for CT noise.
pub(crate) fn bell(word: u32) -> f32 {
    let sum: u32 = word.to_le_bytes().iter().map(|&b| u32::from(b)).sum();
    // Each byte has mean 127.5 and variance (256² − 1) / 12.
    (sum as f32 - 510.0) * (1.0 / 147.8)
}

/// A stream of numbers: a seed, a stream number for the purpose, and how many were drawn.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    seed: u64,
    stream: u64,
    drawn: u64,
}

impl Random {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self { seed, stream, drawn: 0 }
    }

    fn word(&mut self) -> u32 {
        let block = philox(self.seed, self.drawn / 4, self.stream);
        let word = block[(self.drawn % 4) as usize];
        self.drawn += 1;
        word
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.word() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Whether an event of this probability happens.
    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Normal (Box–Muller).
    pub(crate) fn normal(&mut self, mean: f32, deviation: f32) -> f32 {
        let u = 1.0 - self.unit();
        let v = self.unit();
        mean + deviation * (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
    }

    /// A direction, uniform on the sphere.
    pub(crate) fn direction(&mut self) -> Point {
        let z = self.within(-1.0, 1.0);
        let angle = self.within(0.0, std::f32::consts::TAU);
        let r = (1.0 - z * z).max(0.0).sqrt();
        at(r * angle.cos(), r * angle.sin(), z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_as_asked() {
        let mut random = Random::new(7, 1);
        let n = 20_000;
        let values: Vec<f32> = (0..n).map(|_| random.normal(2.0, 3.0)).collect();
        let mean = values.iter().sum::<f32>() / n as f32;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n as f32).sqrt();
        assert!((mean - 2.0).abs() < 0.1 && (deviation - 3.0).abs() < 0.1, "{mean} {deviation}");
    }
}
