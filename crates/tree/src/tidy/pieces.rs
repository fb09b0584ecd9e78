//! Pieces of one class that hang together, and which of them belong to no tree.

use pulmoav_volume::components::{Components, Connectivity, components};

use crate::lattice::Lattice;

/// Pieces that are connected to no tree of their class.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Loose {
    /// How many.
    pub pieces: u64,
    /// Their voxels.
    pub voxels: u64,
}

/// A piece is a tree from this share of the largest one's volume on.
const TREE_SHARE: f64 = 0.05;
/// A loose piece below this volume is a speck, mm³: a vessel of 1.5 mm and 6 mm length.
const SPECK_MM3: f64 = 10.0;

/// Pieces of both classes, and for each whether it is loose.
pub(super) fn loose_pieces(classes: &[u8], lattice: &Lattice) -> (Components, Vec<bool>) {
    let found = components(classes, lattice.shape, Connectivity::Corners);
    let mut class_of = vec![0_u8; found.sizes.len()];
    for (&label, &class) in found.labels.iter().zip(classes).filter(|(label, _)| **label > 0) {
        class_of[label as usize - 1] = class;
    }
    let mut largest = [0; 3];
    for (&size, &class) in found.sizes.iter().zip(&class_of) {
        largest[class as usize] = largest[class as usize].max(size);
    }
    let is_loose = |(&size, &class): (&usize, &u8)| (size as f64) < TREE_SHARE * largest[class as usize] as f64;
    let loose = found.sizes.iter().zip(&class_of).map(is_loose).collect();
    (found, loose)
}

/// How much is loose.
pub(super) fn loose(classes: &[u8], lattice: &Lattice) -> Loose {
    let (found, is_loose) = loose_pieces(classes, lattice);
    let sizes = found.sizes.iter().zip(is_loose).filter(|(_, loose)| *loose).map(|(size, _)| *size as u64);
    let (pieces, voxels) = sizes.fold((0, 0), |(n, sum), size| (n + 1, sum + size));
    Loose { pieces, voxels }
}

/// Clears loose specks; how many, and their voxels.
pub(super) fn drop_specks(classes: &mut [u8], lattice: &Lattice) -> (u64, u64) {
    let (found, is_loose) = loose_pieces(classes, lattice);
    let most = SPECK_MM3 / lattice.voxel_mm3();
    let is_speck: Vec<bool> = found.sizes.iter().zip(is_loose).map(|(&n, loose)| loose && (n as f64) < most).collect();
    let mut voxels = 0;
    for (class, &label) in classes.iter_mut().zip(&found.labels) {
        if label > 0 && is_speck[label as usize - 1] {
            *class = 0;
            voxels += 1;
        }
    }
    (is_speck.iter().filter(|speck| **speck).count() as u64, voxels)
}
