//! JPEG-LS, lossless and near-lossless.

use super::Size;

pub(super) fn decode(bytes: &[u8], size: Size) -> Result<Vec<u32>, String> {
    let (pixels, columns, rows) = jpegls::decode(bytes, size.columns as u32, size.rows as u32)
        .map_err(|error| format!("a frame is no JPEG-LS that is read here ({error})"))?;
    size.check(rows as usize, columns as usize)?;
    Ok(pixels.into_iter().map(u32::from).collect())
}
