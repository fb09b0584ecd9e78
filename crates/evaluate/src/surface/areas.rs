//! The area of the surface inside a cube whose corners are the centres of 2 × 2 × 2 voxels.
//!
//! Marching cubes' triangles (Lorensen and Cline 1987, Comput Graph 21:163) between the midpoints of the cube's edges,
//! with the areas that google-deepmind/surface-distance gives them (`lookup_tables.py`, Apache-2.0): its 256 entries
//! follow from these 13 by turning, mirroring and by exchanging object and background, which a test holds against its
//! numbers.

/// A pattern of voxels, bit 4 z + 2 y + x, and the area vectors of its triangles, `[z, y, x]` in eighths of a cube's
/// face without their signs.
const PATTERNS: [(u8, &[[u8; 3]]); 13] = [
    (0b0000_0001, &[[1, 1, 1]]),
    (0b0000_0011, &[[2, 2, 0], [2, 2, 0]]),
    (0b0000_0110, &[[1, 1, 1], [1, 1, 1]]),
    (0b0000_0111, &[[1, 1, 1], [2, 2, 2], [4, 0, 0]]),
    (0b0000_1111, &[[4, 0, 0], [4, 0, 0]]),
    (0b0001_0110, &[[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
    (0b0001_0111, &[[1, 1, 1], [1, 1, 1], [2, 2, 2], [2, 2, 2]]),
    (0b0001_1000, &[[1, 1, 1], [1, 1, 1]]),
    (0b0001_1001, &[[0, 2, 2], [0, 2, 2], [1, 1, 1]]),
    (0b0001_1011, &[[0, 2, 2], [1, 1, 1], [2, 0, 2], [3, 3, 3]]),
    (0b0001_1110, &[[1, 1, 1], [1, 1, 1], [2, 2, 2], [4, 0, 0]]),
    (0b0011_1100, &[[2, 2, 0], [2, 2, 0], [2, 2, 0], [2, 2, 0]]),
    (0b0110_1001, &[[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]]),
];
const TURNS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// The area in mm² of every pattern of 2 × 2 × 2 voxels, bit 4 z + 2 y + x; 0 where all or none is set.
pub(crate) fn areas_mm2([z, y, x]: [f64; 3]) -> [f64; 256] {
    let faces_mm2 = [y * x, z * x, z * y];
    let mut areas = [0.0; 256];
    for (pattern, triangles) in PATTERNS {
        for turn in TURNS {
            let area = |triangle: &[u8; 3]| {
                let side = |axis: usize| f64::from(triangle[turn[axis]]) / 8.0 * faces_mm2[axis];
                (0..3).map(|axis| side(axis).powi(2)).sum::<f64>().sqrt()
            };
            let area: f64 = triangles.iter().map(area).sum();
            for mirror in 0..8 {
                let turned = turned(pattern, turn, mirror);
                areas[usize::from(turned)] = area;
                areas[usize::from(!turned)] = area;
            }
        }
    }
    areas
}

/// The pattern whose axis `a` is axis `turn[a]` of this one, mirrored along the axes with a bit (z the highest).
fn turned(pattern: u8, turn: [usize; 3], mirror: usize) -> u8 {
    let moved = |voxel: usize| -> usize {
        let place = |axis: usize| voxel >> (2 - turn[axis]) & 1;
        (place(0) << 2 | place(1) << 1 | place(2)) ^ mirror
    };
    (0..8).filter(|voxel| pattern >> voxel & 1 != 0).fold(0, |found, voxel| found | 1 << moved(voxel))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/evaluate/surfel_areas.json");

    #[test]
    fn equal_surface_distance() {
        let text = std::fs::read_to_string(GOLDEN).expect("goldens are committed");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        for case in cases {
            let numbers = |key: &str| -> Vec<f64> {
                case[key].as_array().expect(key).iter().map(|number| number.as_f64().expect("number")).collect()
            };
            let found = areas_mm2(numbers("spacing_mm").try_into().expect("three"));
            for (code, expected) in numbers("areas_mm2").into_iter().enumerate() {
                // Its first voxel is the highest bit.
                let area = found[usize::from((code as u8).reverse_bits())];
                assert!((area - expected).abs() < 1e-12, "{code:08b}: {area}, expected {expected}");
            }
        }
    }
}
