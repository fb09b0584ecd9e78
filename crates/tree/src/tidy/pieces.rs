//! Pieces of one class that hang together, and which of them belong to no tree.

use pulmoav_volume::bits::Bits;
use pulmoav_volume::components::{Connectivity, RunComponents};

use crate::lattice::Lattice;

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

impl std::ops::Sub for Loose {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { pieces: self.pieces - other.pieces, voxels: self.voxels - other.voxels }
    }
}

/// A piece is a tree from this share of the largest one's volume on.
const TREE_SHARE: f64 = 0.05;
/// A loose piece below this volume is a speck, mm³: a vessel of 1.5 mm and 6 mm length.
const SPECK_MM3: f64 = 10.0;

/// The pieces of one class.
pub(super) struct Pieces {
    found: RunComponents,
    /// Whether each is connected to no tree.
    is_loose: Vec<bool>,
}

impl Pieces {
    pub(super) fn find(bits: &Bits) -> Self {
        let found = RunComponents::find(bits, Connectivity::Corners);
        let largest = found.sizes.iter().copied().max().unwrap_or(0);
        let is_loose = found.sizes.iter().map(|&size| (size as f64) < TREE_SHARE * largest as f64).collect();
        Self { found, is_loose }
    }

    /// How much is loose.
    pub(super) fn loose(&self) -> Loose {
        self.counted(|_| true)
    }

    /// The voxels of each loose piece.
    pub(super) fn loose_voxels(&self) -> Vec<Vec<u32>> {
        let mut voxels = vec![vec![]; self.is_loose.len()];
        for (run, piece) in self.found.runs().filter(|(_, piece)| self.is_loose[*piece]) {
            voxels[piece].extend(run.map(|voxel| voxel as u32));
        }
        voxels.retain(|piece| !piece.is_empty());
        voxels
    }

    /// The voxels of loose specks, and how much that is.
    pub(super) fn specks(&self, lattice: &Lattice) -> (Vec<u32>, Loose) {
        let most = SPECK_MM3 / lattice.voxel_mm3();
        let is_speck = |size: usize| (size as f64) < most;
        let of_specks =
            self.found.runs().filter(|(_, piece)| self.is_loose[*piece] && is_speck(self.found.sizes[*piece]));
        (of_specks.flat_map(|(run, _)| run).map(|voxel| voxel as u32).collect(), self.counted(is_speck))
    }

    /// Loose pieces whose size is meant.
    fn counted(&self, is_meant: impl Fn(usize) -> bool) -> Loose {
        let loose = self.found.sizes.iter().zip(&self.is_loose).filter(|&(&size, &loose)| loose && is_meant(size));
        loose.fold(Loose::default(), |sum, (&voxels, _)| sum + Loose { pieces: 1, voxels: voxels as u64 })
    }
}
