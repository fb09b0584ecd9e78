//! What the values of a label map mean: names, colours and codes that viewers show.

use std::collections::BTreeMap;

use crate::voxels::Voxel;

/// A value of a label map.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The value in the map.
    pub value: u8,
    /// What it is, for people.
    pub name: String,
    /// Red, green, blue.
    pub colour: [u8; 3],
    /// What it is, for programs.
    pub code: Option<Code>,
}

/// A term of SNOMED CT, with the side where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The term's number.
    pub value: String,
    /// The term in words.
    pub meaning: String,
    /// The side's number and word.
    pub side: Option<(String, String)>,
}

/// The first and last voxel of each value that is there, along `[x, y, z]`.
///
/// # Shapes
/// `data`: `[z, y, x]` of `shape`.
pub(super) fn extents<T: Voxel>(data: &[T], [_, height, width]: [usize; 3]) -> BTreeMap<u8, [[usize; 2]; 3]> {
    let mut found: BTreeMap<u8, [[usize; 2]; 3]> = BTreeMap::new();
    for (row, values) in data.chunks_exact(width).enumerate() {
        let (z, y) = (row / height, row % height);
        let mut x = 0;
        for run in values.chunk_by(|a, b| a.to_f32() == b.to_f32()) {
            let last = x + run.len() - 1;
            let value = run[0].to_f32();
            if (1.0..=255.0).contains(&value) {
                let extent = found.entry(value as u8).or_insert([[x, last], [y, y], [z, z]]);
                for (known, [low, high]) in extent.iter_mut().zip([[x, last], [y, y], [z, z]]) {
                    *known = [known[0].min(low), known[1].max(high)];
                }
            }
            x = last + 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_the_boxes_around_each_value() {
        let mut data = [0u8; 24];
        (data[1], data[6], data[23]) = (2, 2, 7);
        let found = extents(&data, [2, 3, 4]);
        assert_eq!(found[&2], [[1, 2], [0, 1], [0, 0]]);
        assert_eq!(found[&7], [[3, 3], [2, 2], [1, 1]]);
        assert_eq!(found.len(), 2);
    }
}
