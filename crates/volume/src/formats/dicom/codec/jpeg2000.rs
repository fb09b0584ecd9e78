//! JPEG 2000, part 1, as a bare codestream or in a JP2 file.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::Size;

/// What a codestream starts with: its first marker, and that of its sizes.
const START: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
/// Where, from there on, the first component says how many bits it has and whether they are signed.
const PRECISION_AT: usize = 42;
const SIGNED: u8 = 0x80;

pub(super) fn decode(bytes: &[u8], size: Size) -> Result<Vec<u32>, String> {
    let told = |error| format!("a frame is no JPEG 2000 that is read here ({error:?})");
    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, ..DecodeSettings::default() };
    let image = Image::new(bytes, &settings).map_err(told)?;
    size.check(image.height() as usize, image.width() as usize)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(told)?;
    let [component] = decoded.components() else { return Err("a frame is in colours".into()) };
    // The decoder takes every component for unsigned and adds half the range.
    let offset = if is_signed(bytes) { f64::from(component.bit_depth()).exp2() / 2.0 } else { 0.0 };
    let value = |sample: &f32| (f64::from(*sample).round() - offset) as i64 as u32;
    Ok(component.samples().iter().map(value).collect())
}

/// Whether the components are signed.
fn is_signed(bytes: &[u8]) -> bool {
    let start = bytes.windows(START.len()).position(|window| window == START);
    start.and_then(|start| bytes.get(start + PRECISION_AT)).is_some_and(|precision| precision & SIGNED != 0)
}
