//! Gaps between pieces of one class, bridged where the scan shows a vessel between them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use pulmoav_volume::Affine;

use crate::lattice::Lattice;
use crate::tidy::pieces::loose_pieces;

/// A gap that was bridged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bridge {
    /// Where it starts, RAS mm.
    pub at_mm: [f64; 3],
    /// The value of the pieces that it joins.
    pub value: u8,
    /// Its length, mm.
    pub length_mm: f64,
    /// Its voxels.
    pub voxels: u64,
}

/// The longest gap, mm.
const LONGEST_MM: f64 = 6.0;
/// Lung beside vessels, HU.
const LUNG_HU: f32 = -850.0;
/// A voxel is vessel-like from this share of the way from lung to the piece's own voxels on.
const SHARE: f32 = 0.4;

/// Joins each loose piece to the nearest tree of its class that it reaches through unlabelled voxels which look like
/// vessel.
///
/// # Shapes
/// `classes` (0, 1 artery, 2 vein) and `hu`: `[z, y, x]` of the lattice.
pub(super) fn bridge(
    classes: &mut [u8],
    hu: &[f32],
    lattice: &Lattice,
    affine: &Affine,
    values: [u8; 2],
) -> Vec<Bridge> {
    let (found, is_loose) = loose_pieces(classes, lattice);
    let mut voxels: Vec<Vec<u32>> = vec![vec![]; found.sizes.len()];
    for (voxel, &label) in found.labels.iter().enumerate() {
        if label > 0 && is_loose[label as usize - 1] {
            voxels[label as usize - 1].push(voxel as u32);
        }
    }
    let mut bridges = vec![];
    for piece in voxels.iter().filter(|piece| !piece.is_empty()) {
        let class = classes[piece[0] as usize];
        let mean = piece.iter().map(|&voxel| hu[voxel as usize]).sum::<f32>() / piece.len() as f32;
        let least_hu = LUNG_HU + SHARE * (mean - LUNG_HU);
        let is_way = |voxel: u32| classes[voxel as usize] == 0 && hu[voxel as usize] >= least_hu;
        let is_goal = |voxel: u32| {
            let label = found.labels[voxel as usize];
            label > 0 && classes[voxel as usize] == class && !is_loose[label as usize - 1]
        };
        let Some((path, length_mm)) = shortest(piece, is_way, is_goal, lattice) else { continue };
        let [z, y, x] = lattice.place(path[0]).map(|v| v as f64);
        let value = values[usize::from(class) - 1];
        bridges.push(Bridge { at_mm: affine.apply([x, y, z]), value, length_mm, voxels: path.len() as u64 });
        for &voxel in &path {
            classes[voxel as usize] = class;
        }
    }
    bridges
}

/// The voxels between a piece and its goal, and the length of the way.
fn shortest(
    piece: &[u32],
    is_way: impl Fn(u32) -> bool,
    is_goal: impl Fn(u32) -> bool,
    lattice: &Lattice,
) -> Option<(Vec<u32>, f64)> {
    const STEPS_A_MM: f64 = 1024.0;
    let most = (LONGEST_MM * STEPS_A_MM) as u64;
    let mut before: HashMap<u32, u32> = HashMap::new();
    let mut open: BinaryHeap<_> = piece.iter().map(|&voxel| Reverse((0_u64, voxel, voxel))).collect();
    while let Some(Reverse((way, voxel, from))) = open.pop() {
        if before.contains_key(&voxel) {
            continue;
        }
        before.insert(voxel, from);
        if is_goal(voxel) {
            let mut path = vec![];
            let mut at = from;
            while before[&at] != at {
                path.push(at);
                at = before[&at];
            }
            return (!path.is_empty()).then_some((path, way as f64 / STEPS_A_MM));
        }
        for (next, step_mm) in lattice.neighbours(voxel) {
            let further = way + (step_mm * STEPS_A_MM) as u64;
            if further <= most && (is_way(next) || is_goal(next)) && !before.contains_key(&next) {
                open.push(Reverse((further, next, voxel)));
            }
        }
    }
    None
}
