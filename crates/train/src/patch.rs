//! A training crop on its way from the cache to the network.

use crate::code::LABEL_BITS;

/// One crop, plain arrays `[z, y, x]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Voxels, `[z, y, x]`.
    pub shape: [usize; 3],
    /// CT in Hounsfield units.
    pub hu: Vec<f32>,
    /// The side channel: −1 at the patient's left … +1 at the right.
    pub side: Vec<f32>,
    /// One [`crate::code`] byte a voxel.
    pub codes: Vec<u8>,
}

/// A crop as the cache stores it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPatch {
    /// Voxels, `[z, y, x]`.
    pub shape: [usize; 3],
    /// CT in Hounsfield units, `[z, y, x]`.
    pub hu: Vec<i16>,
    /// The side channel, `[x]`: the same for all rows.
    pub side: Vec<f32>,
    /// One [`crate::code`] byte a voxel, `[z, y, x]`.
    pub codes: Vec<u8>,
}

impl From<StoredPatch> for Patch {
    fn from(stored: StoredPatch) -> Self {
        let StoredPatch { shape, hu, side, codes } = stored;
        let side = side.repeat(shape[0] * shape[1]);
        Self { shape, hu: hu.into_iter().map(f32::from).collect(), side, codes }
    }
}

impl Patch {
    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Voxels with this label.
    pub fn count(&self, label: u8) -> usize {
        self.codes.iter().filter(|&&code| code & LABEL_BITS == label).count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::code::{RIGHT_BIT, SUPERVISED_BIT};

    /// A patch whose voxels are all different.
    pub(crate) fn numbered(shape: [usize; 3]) -> Patch {
        let n = shape.iter().product::<usize>();
        let x_of = |i: usize| i % shape[2];
        let right = |i: usize| x_of(i) * 2 >= shape[2];
        Patch {
            shape,
            hu: (0..n).map(|i| i as f32).collect(),
            side: (0..n).map(|i| (x_of(i) as f32 + 0.5) / shape[2] as f32 * 2.0 - 1.0).collect(),
            codes: (0..n).map(|i| (i % 3) as u8 | SUPERVISED_BIT | if right(i) { RIGHT_BIT } else { 0 }).collect(),
        }
    }
}
