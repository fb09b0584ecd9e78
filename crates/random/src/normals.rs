//! Normal numbers by name: the first values of a network's parameters.

use crate::philox::philox;

/// Standard normal numbers of one stream of a seed (Box and Muller).
pub fn normals(seed: u64, stream: u64, count: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count.next_multiple_of(4));
    for block in 0..count.div_ceil(4) as u64 {
        let words = philox(seed, block, stream);
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

#[cfg(test)]
mod tests {
    use super::*;

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
