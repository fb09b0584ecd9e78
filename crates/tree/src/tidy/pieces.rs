//! Pieces of one class that hang together, and which of them belong to no tree.

use pulmoav_volume::bits::Bits;

use crate::lattice::Lattice;
use crate::loops::Groups;
use crate::ranked::Ranked;

/// Pieces that are connected to no tree of their class.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Loose {
    /// How many.
    pub pieces: u64,
    /// Their voxels.
    pub voxels: u64,
}

impl std::ops::Add for Loose {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { pieces: self.pieces + other.pieces, voxels: self.voxels + other.voxels }
    }
}

/// A piece is a tree from this share of the largest one's volume on.
const TREE_SHARE: f64 = 0.05;
/// A loose piece below this volume is a speck, mm³: a vessel of 1.5 mm and 6 mm length.
const SPECK_MM3: f64 = 10.0;

/// The pieces of one class.
pub(super) struct Pieces {
    pub(super) mask: Ranked,
    /// The piece of each voxel of the mask; numbers go by each piece's first voxel.
    pub(super) of_voxel: Vec<u32>,
    /// Voxels of each piece.
    pub(super) sizes: Vec<u64>,
    /// Whether each is connected to no tree.
    pub(super) is_loose: Vec<bool>,
}

impl Pieces {
    pub(super) fn find(bits: Bits) -> Self {
        let mask = Ranked::new(bits);
        let mut groups = Groups::new(mask.len());
        for (number, &voxel) in mask.voxels.iter().enumerate() {
            mask.around(voxel, |other, k| {
                // Those before it have looked at it already.
                if k < 13 {
                    groups.join(number, other as usize);
                }
            });
        }
        let mut sizes: Vec<u64> = vec![];
        let mut of_voxel = vec![0; mask.len()];
        for number in 0..mask.len() {
            let root = groups.root(number);
            of_voxel[number] = if root == number {
                sizes.push(0);
                sizes.len() as u32 - 1
            } else {
                of_voxel[root]
            };
            sizes[of_voxel[number] as usize] += 1;
        }
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let is_loose = sizes.iter().map(|&size| (size as f64) < TREE_SHARE * largest as f64).collect();
        Self { mask, of_voxel, sizes, is_loose }
    }

    /// Of both classes.
    pub(super) fn of_both([arteries, veins]: [&Bits; 2]) -> [Self; 2] {
        rayon::join(|| Self::find(arteries.clone()), || Self::find(veins.clone())).into()
    }

    /// How much is loose.
    pub(super) fn loose(&self) -> Loose {
        let loose = self.sizes.iter().zip(&self.is_loose).filter(|(_, loose)| **loose);
        loose.fold(Loose::default(), |sum, (&voxels, _)| sum + Loose { pieces: 1, voxels })
    }

    /// Clears loose specks; says what was cleared and what is still loose.
    pub(super) fn without_specks(mut self, lattice: &Lattice) -> (Bits, Loose, Loose) {
        let most = SPECK_MM3 / lattice.voxel_mm3();
        let loose = self.sizes.iter().zip(&self.is_loose);
        let is_speck: Vec<bool> = loose.map(|(&size, &loose)| loose && (size as f64) < most).collect();
        let specks = self.sizes.iter().zip(&is_speck).filter(|(_, speck)| **speck);
        let dropped = specks.fold(Loose::default(), |sum, (&voxels, _)| sum + Loose { pieces: 1, voxels });
        for (&voxel, &piece) in self.mask.voxels.iter().zip(&self.of_voxel) {
            if is_speck[piece as usize] {
                self.mask.bits.clear(lattice.place(voxel));
            }
        }
        let all = self.loose();
        let left = Loose { pieces: all.pieces - dropped.pieces, voxels: all.voxels - dropped.voxels };
        (self.mask.bits, dropped, left)
    }
}
