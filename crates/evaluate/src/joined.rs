//! One label map of a mask of arteries and a mask of veins, which may overlap.

use pulmoav_volume::Mask;
use rayon::prelude::*;

use crate::error::EvaluateError;
use crate::place::same_grid;

/// The label of arteries, of veins, and of what counts as neither.
const ARTERY: u8 = 1;
const VEIN: u8 = 2;
/// The label of voxels that do not count, where overlaps are ignored.
pub const IGNORED: u8 = 255;

/// What becomes of voxels that both masks claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// They do not count.
    Ignore,
    /// They are arteries.
    Artery,
    /// They are veins.
    Vein,
}

impl Overlap {
    /// The policy of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ignore" => Some(Self::Ignore),
            "artery" => Some(Self::Artery),
            "vein" => Some(Self::Vein),
            _ => None,
        }
    }
}

/// A label map (1 artery, 2 vein, [`IGNORED`]) and how many voxels both masks claim.
///
/// # Errors
/// `ERR_GEOMETRY` where the masks lie on two grids.
pub fn joined(arteries: &Mask, veins: &Mask, overlap: Overlap) -> Result<(Mask, u64), EvaluateError> {
    same_grid("the mask of veins", &veins.grid, &arteries.grid)?;
    let both = match overlap {
        Overlap::Ignore => IGNORED,
        Overlap::Artery => ARTERY,
        Overlap::Vein => VEIN,
    };
    let label = |(&artery, &vein): (&u8, &u8)| match (artery != 0, vein != 0) {
        (false, false) => 0,
        (true, false) => ARTERY,
        (false, true) => VEIN,
        (true, true) => both,
    };
    let pairs = || arteries.data.par_iter().zip(&veins.data);
    let count = pairs().filter(|(artery, vein)| **artery != 0 && **vein != 0).count() as u64;
    Ok((Mask { data: pairs().map(label).collect(), grid: arteries.grid }, count))
}

#[cfg(test)]
mod tests {
    use pulmoav_volume::{Affine, Grid};

    use super::*;

    #[test]
    fn overlaps_follow_the_policy() {
        let grid = Grid { shape: [1, 1, 4], spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
        let mask = |data: [u8; 4]| Mask { data: data.to_vec(), grid };
        let (arteries, veins) = (mask([0, 1, 0, 1]), mask([0, 0, 3, 1]));
        for (policy, both) in [("ignore", IGNORED), ("artery", 1), ("vein", 2)] {
            let policy = Overlap::named(policy).expect("a policy");
            let (map, count) = joined(&arteries, &veins, policy).expect("one grid");
            assert_eq!((map.data, count), (vec![0, 1, 2, both], 1));
        }
    }
}
