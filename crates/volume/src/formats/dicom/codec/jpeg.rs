//! JPEG: baseline and extended with 8 bits, and lossless up to 16.

use jpeg_decoder::{Decoder, PixelFormat};

use super::Size;

pub(super) fn decode(bytes: &[u8], size: Size) -> Result<Vec<u32>, String> {
    let told = |error: jpeg_decoder::Error| format!("a frame is no JPEG that is read here ({error})");
    let mut decoder = Decoder::new(bytes);
    decoder.read_info().map_err(told)?;
    let info = decoder.info().ok_or("a frame has no header")?;
    size.check(usize::from(info.height), usize::from(info.width))?;
    let pixels = decoder.decode().map_err(told)?;
    match info.pixel_format {
        PixelFormat::L8 => Ok(pixels.into_iter().map(u32::from).collect()),
        PixelFormat::L16 => {
            Ok(pixels.chunks_exact(2).map(|pair| u32::from(u16::from_ne_bytes([pair[0], pair[1]]))).collect())
        }
        _ => Err("a frame is in colours".into()),
    }
}
