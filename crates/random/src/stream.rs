//! Random numbers of a training run: the state is (seed, step, sample, stream) and nothing else.
//!
//! A training run needs no saved generator: whoever knows the step knows every number drawn in it.

use std::sync::OnceLock;

use crate::philox::philox4x32;

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

/// Normal numbers that a block of four words gives.
const NORMALS_A_BLOCK: usize = 8;

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
            self.block = self.next_block();
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    #[inline]
    fn next_block(&mut self) -> [u32; 4] {
        let block = philox4x32(self.counter, self.key);
        self.skip_blocks(1);
        block
    }

    /// Uniform in `[0, 1)`, 24 bits.
    #[inline]
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// Uniform in `[low, high)`.
    #[inline]
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

    /// Fills `values` with independent standard normal numbers: quantiles of 16 bits each, within ±4.3.
    pub fn normals(&mut self, values: &mut [f32]) {
        let quantiles = normal_quantiles();
        for part in values.chunks_mut(NORMALS_A_BLOCK) {
            let bits = self.next_block().map(|word| [word as u16, (word >> 16) as u16]);
            part.iter_mut().zip(bits.as_flattened()).for_each(|(to, &bits)| *to = quantiles[usize::from(bits)]);
        }
    }

    /// A stream that gives so many [`Self::normals`], at once or later; this one goes on behind them.
    #[must_use]
    pub fn set_aside(&mut self, normals: usize) -> Self {
        let own = self.clone();
        self.skip_blocks(normals.div_ceil(NORMALS_A_BLOCK) as u64);
        own
    }

    /// The key, and the counter of the next block: what [`Self::normals`] go by.
    pub fn key_and_counter(&self) -> ([u32; 2], [u32; 4]) {
        (self.key, self.counter)
    }

    fn skip_blocks(&mut self, blocks: u64) {
        let low = (u64::from(self.counter[1]) << 32 | u64::from(self.counter[0])) + blocks;
        self.counter[0] = low as u32;
        self.counter[1] = (low >> 32) as u32;
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }
}

/// The standard normal distribution cut into 2¹⁶ parts of equal weight: the middle of each. [`Philox::normals`] looks up
/// the low half of each word of a block, then its high half.
pub fn normal_quantiles() -> &'static [f32] {
    static TABLE: OnceLock<Vec<f32>> = OnceLock::new();
    TABLE.get_or_init(|| (0..1 << 16).map(|part| normal_quantile((f64::from(part) + 0.5) / 65_536.0) as f32).collect())
}

/// Where the standard normal distribution reaches `p` in (0, 1), to 1.2e-9 relative (P. J. Acklam, *An algorithm for
/// computing the inverse normal cumulative distribution function*, 2003).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
    const TAIL: f64 = 0.02425;
    let polynomial = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p < TAIL {
        let q = (-2.0 * p.ln()).sqrt();
        return polynomial(&C, q) / polynomial(&D, q);
    }
    let q = p - 0.5;
    q * polynomial(&A, q * q) / polynomial(&B, q * q)
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
        let mut normal = vec![0f32; 2 * 20_000 + 1];
        random.normals(&mut normal);
        let moment = |power: i32| normal.iter().map(|&v| f64::from(v).powi(power)).sum::<f64>() / normal.len() as f64;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.03, "{} {}", moment(1), moment(2));
        assert!(moment(3).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.15, "{} {}", moment(3), moment(4));
    }

    #[test]
    fn what_is_set_aside_is_what_would_have_come() {
        let mut random = Philox::new(7, 3, 1, Stream::Noise);
        let mut expected = vec![0f32; 11];
        random.clone().normals(&mut expected);
        let mut after = random.clone();
        after.normals(&mut [0f32; 11]);
        let mut aside = random.set_aside(11);
        let mut found = vec![0f32; 11];
        aside.normals(&mut found);
        assert_eq!(found, expected);
        assert_eq!(random.key_and_counter(), after.key_and_counter());
    }

    /// Values of scipy.stats.norm.ppf.
    #[test]
    fn quantiles_are_the_normal_distribution_s() {
        for (p, expected) in [
            (1e-5, -4.264_890_793_922_602),
            (0.01, -2.326_347_874_040_841),
            (0.025, -1.959_963_984_540_054),
            (0.3, -0.524_400_512_708_041),
            (0.5, 0.0),
            (0.9, 1.281_551_565_544_6),
            (0.999, 3.090_232_306_167_813),
        ] {
            let found = normal_quantile(p);
            assert!((found - expected).abs() < 1e-8, "{p}: {found}, expected {expected}");
        }
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
