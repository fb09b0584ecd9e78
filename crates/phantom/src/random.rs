//! Counter-based randomness: the same numbers whatever the order or the number of threads.

use crate::point::{Point, at};

/// Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
pub(crate) fn philox(key: u64, counter: u64, stream: u64) -> [u32; 4] {
    let mut k = [key as u32, (key >> 32) as u32];
    let mut c = [counter as u32, (counter >> 32) as u32, stream as u32, (stream >> 32) as u32];
    for _ in 0..10 {
        let a = u64::from(c[0]) * 0xD251_1F53;
        let b = u64::from(c[2]) * 0xCD9E_8D57;
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

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
    fn philox_matches_its_published_vectors() {
        // Random123's known-answer file: zero, and all ones.
        assert_eq!(philox(0, 0, 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox(u64::MAX, u64::MAX, u64::MAX), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

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
