//! Colours as DICOM tells them: `CIELab`, each part stretched over 16 bits. Source: DICOM PS3.3, C.10.7.1.1.

/// The white of sRGB (D65), which the programs that show segmentations go by.
const WHITE: [f64; 3] = [0.950_456, 1.0, 1.088_754];
/// From linear sRGB to CIE XYZ: IEC 61966-2-1.
const TO_XYZ: [[f64; 3]; 3] =
    [[0.412_453, 0.357_580, 0.180_423], [0.212_671, 0.715_160, 0.072_169], [0.019_334, 0.119_193, 0.950_227]];

/// An sRGB colour as L*, a* and b* in 16 bits each.
pub(super) fn lab(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|level| {
        let level = f64::from(level) / 255.0;
        if level <= 0.040_45 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
    });
    let [x, y, z]: [f64; 3] = std::array::from_fn(|row| {
        let sum: f64 = TO_XYZ[row].iter().zip(linear).map(|(share, level)| share * level).sum();
        let ratio = sum / WHITE[row];
        if ratio > 0.008_856 { ratio.cbrt() } else { 7.787 * ratio + 16.0 / 116.0 }
    });
    let whole = f64::from(u16::MAX);
    let parts = [(116.0 * y - 16.0) / 100.0, (500.0 * (x - y) + 128.0) / 255.0, (200.0 * (y - z) + 128.0) / 255.0];
    parts.map(|part| (part.clamp(0.0, 1.0) * whole).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// highdicom 0.28, `CIELabColor.from_rgb(…).value`, whose constants are rounded otherwise: 4 of 65,535.
    #[test]
    fn colours_are_those_of_highdicom() {
        let cases = [
            ([0, 0, 0], [0, 32_896, 32_896]),
            ([255, 255, 255], [65_535, 32_897, 32_893]),
            ([70, 130, 255], [37_075, 38_570, 15_455]),
            ([240, 70, 60], [36_248, 49_340, 44_195]),
            ([0, 255, 0], [57_498, 10_747, 54_274]),
            ([190, 175, 160], [47_398, 33_630, 35_369]),
        ];
        for (rgb, want) in cases {
            for (got, want) in lab(rgb).into_iter().zip(want) {
                assert!(got.abs_diff(want) <= 8, "{rgb:?}: {got} for {want}");
            }
        }
    }
}
