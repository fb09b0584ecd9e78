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

/// Four uniform 32-bit words of a seed's stream: those at place `counter`.
#[inline]
pub fn philox(seed: u64, counter: u64, stream: u64) -> [u32; 4] {
    let words = |value: u64| [value as u32, (value >> 32) as u32];
    let ([low, high], [stream_low, stream_high]) = (words(counter), words(stream));
    philox4x32([low, high, stream_low, stream_high], words(seed))
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
        assert_eq!(philox(0, 0, 0), philox4x32([0; 4], [0; 2]));
        assert_eq!(philox(1 << 32 | 2, 3 << 32 | 4, 5 << 32 | 6), philox4x32([4, 3, 6, 5], [2, 1]));
    }
}
