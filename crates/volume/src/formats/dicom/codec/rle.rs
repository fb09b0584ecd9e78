//! Run lengths: each byte of the values is a plane of its own. Source: DICOM PS3.5, annex G.

use super::Size;

const HEADER_BYTES: usize = 64;

pub(super) fn decode(bytes: &[u8], size: Size, bytes_a_value: usize) -> Result<Vec<u32>, String> {
    let word = |index: usize| {
        let word = bytes.get(4 * index..4 * index + 4).and_then(|word| word.try_into().ok());
        word.map(|word| u32::from_le_bytes(word) as usize).ok_or("a frame ends within its header")
    };
    let planes = word(0)?;
    if planes != bytes_a_value {
        return Err(format!("a frame has {planes} planes of bytes; expected {bytes_a_value}"));
    }
    let mut values = vec![0_u32; size.count()];
    for plane in 0..planes {
        let start = word(1 + plane)?;
        let end = if plane + 1 < planes { word(2 + plane)? } else { bytes.len() };
        let runs = bytes.get(start..end).filter(|_| start >= HEADER_BYTES).ok_or("a frame has no such plane")?;
        unpack(runs, &mut values)?;
    }
    Ok(values)
}

/// Shifts the bytes of one plane into the values; the plane of the highest bytes comes first.
fn unpack(runs: &[u8], values: &mut [u32]) -> Result<(), String> {
    let (mut runs, mut at) = (runs, 0);
    while at < values.len() {
        let (&code, rest) = runs.split_first().ok_or("a frame ends within its pixels")?;
        let length = if code < 128 { usize::from(code) + 1 } else { 257 - usize::from(code) };
        match code {
            128 => runs = rest,
            ..128 => {
                let bytes = rest.get(..length).ok_or("a frame ends within its pixels")?;
                for (value, &byte) in values[at..].iter_mut().zip(bytes) {
                    *value = *value << 8 | u32::from(byte);
                }
                (runs, at) = (&rest[length..], at + length);
            }
            129.. => {
                let &byte = rest.first().ok_or("a frame ends within its pixels")?;
                for value in values[at..].iter_mut().take(length) {
                    *value = *value << 8 | u32::from(byte);
                }
                (runs, at) = (&rest[1..], at + length);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_copies_follow_each_other() {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[0] = 2;
        bytes[4] = 64;
        bytes[8] = 66;
        // Four times 1; then 9, nothing, 8 and three times 7, of which two fit.
        bytes.extend([0xfd, 1, 1, 9, 8, 0x80, 0xfe, 7]);
        let size = Size { rows: 2, columns: 2 };
        assert_eq!(decode(&bytes, size, 2).expect("decoded"), [0x109, 0x108, 0x107, 0x107]);
        assert!(decode(&bytes[..70], size, 2).is_err());
        assert!(decode(&bytes, size, 1).is_err());
    }
}
