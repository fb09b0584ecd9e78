//! Philox4x32-10, the counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//!
//! A value depends on key and counter alone: no state, no order, the same on every machine.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Four uniform 32-bit words for a counter and a key.
#[inline]
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let (high0, low0) = multiply(MULTIPLIERS[0], counter[0]);
        let (high1, low1) = multiply(MULTIPLIERS[1], counter[2]);
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(KEY_STEPS[0]), key[1].wrapping_add(KEY_STEPS[1])];
    }
    counter
}

/// Standard normal numbers of one stream of a seed (Box and Muller).
pub fn normals(seed: u64, stream: u64, count: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count.next_multiple_of(4));
    let key = [seed as u32, (seed >> 32) as u32];
    for block in 0..count.div_ceil(4) as u64 {
        let words = philox4x32([block as u32, (block >> 32) as u32, stream as u32, (stream >> 32) as u32], key);
        for pair in words.chunks_exact(2) {
            let radius = (-2.0 * unit(pair[0]).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * unit(pair[1])).sin_cos();
            values.extend([(radius * cos) as f32, (radius * sin) as f32]);
        }
    }
    values.truncate(count);
    values
}

/// FNV-1a, 64 bits: turns a name into a stream.
pub fn stream_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A word as a number in (0, 1).
fn unit(word: u32) -> f64 {
    (f64::from(word) + 0.5) / 4_294_967_296.0
}

#[inline]
fn multiply(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the authors' Random123 distribution (`kat_vectors`, `philox4x32 10`).
    #[test]
    fn known_answers() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn normals_are_normal_and_streams_differ() {
        let values = normals(7, stream_of("a"), 100_001);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        assert_eq!(values[..10], normals(7, stream_of("a"), 10)[..]);
        assert_ne!(values[..10], normals(7, stream_of("b"), 10)[..]);
        assert_ne!(values[..10], normals(8, stream_of("a"), 10)[..]);
    }
}
