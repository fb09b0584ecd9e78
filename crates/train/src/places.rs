//! Where patches may be cut: voxels of arteries and veins by calibre, and voxels of each part of the chest.

use pulmoav_volume::{dilation::dilated, distance::near_squared_distance_mm2};
use rayon::prelude::*;

use crate::{
    case::Part,
    code::{ARTERY, LABEL_BITS, VEIN},
    error::TrainError,
};

/// Most voxels listed of each kind; more are thinned evenly.
const MAX_LISTED: usize = 32_768;
/// Vessels of a larger radius are of the next calibre, mm.
const RADII_MM: [f64; 2] = [1.5, 3.0];

/// How thick a vessel is where a voxel lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Calibre {
    /// Radius below 1.5 mm.
    Small,
    /// Radius from 1.5 to 3 mm.
    Medium,
    /// Radius above 3 mm.
    Large,
}

impl Calibre {
    /// Every calibre, the thinnest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];
}

/// What a listed voxel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A voxel with this label in a vessel of this calibre.
    Vessel(u8, Calibre),
    /// A voxel where pulmonary vessels can be.
    Part(Part),
}

impl Kind {
    /// Number of kinds.
    pub const COUNT: usize = 9;

    /// Place in lists of kinds.
    pub fn index(self) -> usize {
        match self {
            Self::Vessel(label, calibre) => usize::from(label == VEIN) * Calibre::ALL.len() + calibre as usize,
            Self::Part(part) => 2 * Calibre::ALL.len() + part as usize,
        }
    }

    /// The kinds of a label, the thinnest vessels first.
    pub fn of_label(label: u8) -> [Self; 3] {
        Calibre::ALL.map(|calibre| Self::Vessel(label, calibre))
    }
}

/// What a case offers to the sampler.
pub trait Listed {
    /// Voxels, `[z, y, x]`.
    fn shape(&self) -> [usize; 3];
    /// How many voxels of a kind are listed.
    fn count(&self, kind: Kind) -> usize;
    /// The `index`-th of them, `[z, y, x]`.
    fn place(&self, kind: Kind, index: usize) -> Result<[usize; 3], TrainError>;
}

/// Linear indices of voxels by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places([Vec<u32>; Kind::COUNT]);

impl Places {
    /// Lists the voxels of a case. `in_region` says where pulmonary vessels can be.
    ///
    /// # Shapes
    /// `codes`: `[z, y, x]` of `shape`.
    pub fn of(codes: &[u8], shape: [usize; 3], spacing_mm: [f64; 3], in_region: impl Fn(usize) -> bool + Sync) -> Self {
        let mut lists: [Vec<u32>; Kind::COUNT] = Default::default();
        for label in [ARTERY, VEIN] {
            let calibre_of = calibres(codes, label, shape, spacing_mm);
            for kind in Kind::of_label(label) {
                let Kind::Vessel(_, calibre) = kind else { continue };
                lists[kind.index()] = thinned(codes.len(), |voxel| {
                    codes[voxel] & LABEL_BITS == label && calibre_of[voxel] == calibre as u8
                });
            }
        }
        for part in Part::ALL {
            lists[Kind::Part(part).index()] =
                thinned(codes.len(), |voxel| in_region(voxel) && Part::of(codes[voxel]) == part);
        }
        Self(lists)
    }

    /// Voxels listed of each kind.
    pub fn counts(&self) -> [usize; Kind::COUNT] {
        std::array::from_fn(|kind| self.0[kind].len())
    }

    /// All of them, kind after kind.
    pub fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flatten().copied()
    }
}

/// The calibre, as a number, of every voxel with this label.
pub(crate) fn calibres(codes: &[u8], label: u8, shape: [usize; 3], spacing_mm: [f64; 3]) -> Vec<u8> {
    ball_sizes(|voxel| codes[voxel] & LABEL_BITS != label, shape, spacing_mm, &RADII_MM)
}

/// How many of these radii, the smallest first, the largest ball inside the vessel that holds the voxel has; 0 outside.
pub(crate) fn ball_sizes(
    outside: impl Fn(usize) -> bool + Sync,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    radii_mm: &[f64],
) -> Vec<u8> {
    // Distances run between centres, so a vessel's wall is half a voxel nearer than the first voxel outside.
    let half_voxel_mm = spacing_mm.iter().sum::<f64>() / 6.0;
    let reach_mm = radii_mm.last().copied().unwrap_or_default() + half_voxel_mm;
    let depth = near_squared_distance_mm2(&outside, shape, spacing_mm, 2.0 * reach_mm);
    let mut sizes = vec![0; shape.iter().product()];
    for radius_mm in radii_mm.iter().map(|radius_mm| radius_mm + half_voxel_mm) {
        let square = (radius_mm * radius_mm) as f32;
        let wide = dilated(|voxel| !outside(voxel) && depth[voxel] >= square, shape, spacing_mm, radius_mm);
        sizes.par_iter_mut().zip(&wide).for_each(|(size, &wide)| *size += u8::from(wide));
    }
    sizes
}

/// The voxels of which something is true, at most [`MAX_LISTED`] of them.
fn thinned(voxels: usize, of_kind: impl Fn(usize) -> bool) -> Vec<u32> {
    let listed: Vec<u32> = (0..voxels).filter(|&voxel| of_kind(voxel)).map(|voxel| voxel as u32).collect();
    let every = listed.len().div_ceil(MAX_LISTED).max(1);
    listed.into_iter().step_by(every).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{CENTRAL_BIT, RIGHT_BIT};

    /// A rod of 4 mm radius along x that becomes one of 2 mm, and a thin line beside.
    fn rods(shape: [usize; 3]) -> Vec<u8> {
        let [_, height, width] = shape;
        (0..shape.iter().product())
            .map(|voxel: usize| {
                let (z, y, x) = (voxel / (height * width), voxel / width % height, voxel % width);
                let radius = ((z as f64 - 9.0).powi(2) + (y as f64 - 9.0).powi(2)).sqrt();
                u8::from(radius <= if x < 20 { 4.0 } else { 2.0 } || (z, y) == (16, 16))
            })
            .collect()
    }

    #[test]
    fn calibres_follow_the_largest_ball_inside() {
        let shape = [20, 20, 40];
        let codes = rods(shape);
        let calibres = calibres(&codes, 1, shape, [1.0; 3]);
        let at = |z: usize, y: usize, x: usize| calibres[(z * 20 + y) * 40 + x];
        assert_eq!([at(9, 9, 10), at(9, 9, 30), at(16, 16, 10)], [2, 1, 0]);
        assert_eq!([at(9, 12, 10), at(9, 10, 35)], [2, 1]);
    }

    #[test]
    fn each_voxel_is_listed_under_its_kind() {
        let shape = [20, 20, 40];
        let mut codes = rods(shape);
        codes.iter_mut().skip(1).step_by(2).for_each(|code| *code |= RIGHT_BIT);
        codes[5] |= CENTRAL_BIT;
        let places = Places::of(&codes, shape, [1.0; 3], |voxel| voxel < 100);
        let counts = places.counts();
        let vessels: usize = counts[..3].iter().sum();
        assert_eq!(vessels, codes.iter().filter(|&&code| code & LABEL_BITS == 1).count());
        assert!(counts[..3].iter().all(|&count| count > 0) && counts[3..6] == [0; 3]);
        assert_eq!(counts[6..], [50, 49, 1]);
        assert_eq!(places.indices().count(), counts.iter().sum::<usize>());
    }
}
