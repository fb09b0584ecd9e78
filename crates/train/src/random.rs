//! Counter-based random numbers: the state is (seed, step, sample, stream) and nothing else.
//!
//! A training run needs no saved generator: whoever knows the step knows every number drawn in it.

use pulmoav_model::philox::philox4x32;

/// What a stream of numbers is for; two uses never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Choice of the case and the place of the patch.
    Sample = 1,
    /// Which augmentations happen, and how strongly.
    Augment = 2,
    /// Noise added voxel by voxel.
    Noise = 3,
    /// Spare prompts, dropout and the like inside a step.
    Step = 4,
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Philox {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
}

impl Philox {
    /// The stream of one sample of one step.
    pub fn new(seed: u64, step: u64, sample: u32, stream: Stream) -> Self {
        // The step's low word and the sample fill the counter; the rest is folded into the key, so that no two
        // (seed, step, sample, stream) of a run meet: steps stay below 2^32, samples below 2^16.
        let key = [seed as u32 ^ ((step >> 32) as u32), (seed >> 32) as u32 ^ ((stream as u32) << 24)];
        let counter = [0, 0, step as u32, sample];
        Self { key, counter, block: [0; 4], used: 4 }
    }

    /// 32 uniform bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox4x32(self.counter, self.key);
            let low = (u64::from(self.counter[1]) << 32 | u64::from(self.counter[0])) + 1;
            self.counter[0] = low as u32;
            self.counter[1] = (low >> 32) as u32;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Uniform in `[0, 1)`, 24 bits.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..n`; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.uniform() < probability
    }

    /// Two independent standard normal numbers (Box and Muller).
    pub fn normal_pair(&mut self) -> [f32; 2] {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * self.uniform()).sin_cos();
        [radius * cos, radius * sin]
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_and_normal_have_their_moments() {
        let mut random = Philox::new(7, 3, 1, Stream::Noise);
        let n = 20_000;
        let mean = (0..n).map(|_| f64::from(random.uniform())).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let normal: Vec<f64> = (0..n).flat_map(|_| random.normal_pair()).map(f64::from).collect();
        let variance = normal.iter().map(|v| v * v).sum::<f64>() / normal.len() as f64;
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn streams_differ() {
        let draw = |step, sample, stream| Philox::new(1, step, sample, stream).next_u32();
        let all = [
            draw(1, 0, Stream::Sample),
            draw(2, 0, Stream::Sample),
            draw(1, 1, Stream::Sample),
            draw(1, 0, Stream::Augment),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }
}
