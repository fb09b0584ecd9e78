//! Gaps between pieces of one class, bridged where the scan shows a vessel between them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use pulmoav_volume::Voxel;
use pulmoav_volume::bits::Bits;
use pulmoav_volume::crop::View;
use rayon::prelude::*;

use crate::extract::MARGIN;
use crate::lattice::Lattice;
use crate::tidy::pieces::Pieces;

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

/// A way from a loose piece to a tree of its class.
pub(super) struct Way {
    /// 0 arteries, 1 veins.
    pub(super) class: usize,
    /// The voxel of the piece where it begins.
    pub(super) from: u32,
    /// Its voxels, none of them labelled.
    pub(super) path: Vec<u32>,
    pub(super) length_mm: f64,
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
/// `classes`: arteries and veins, changed; `hu`: without their margin.
pub(super) fn bridge(classes: &mut [Bits; 2], hu: &View<'_, impl Voxel>, lattice: &Lattice) -> Vec<Way> {
    let found = [0, 1].map(|class| Search::of(class, classes, hu, lattice).ways());
    let mut bridged = vec![];
    for (class, ways) in found.into_iter().enumerate() {
        for (mut path, from, length_mm) in ways {
            // An earlier bridge may have taken its voxels.
            path.retain(|&voxel| classes.iter().all(|bits| !bits.get(lattice.place(voxel))));
            for &voxel in &path {
                classes[class].set(lattice.place(voxel));
            }
            if !path.is_empty() {
                bridged.push(Way { class, from, path, length_mm });
            }
        }
    }
    bridged
}

/// The search for ways of one class.
struct Search<'a, T> {
    own: &'a Bits,
    other: &'a Bits,
    pieces: Vec<Vec<u32>>,
    /// The voxels of `pieces`.
    loose: Bits,
    hu: &'a View<'a, T>,
    lattice: &'a Lattice,
}

impl<'a, T: Voxel> Search<'a, T> {
    fn of(class: usize, classes: &'a [Bits; 2], hu: &'a View<'a, T>, lattice: &'a Lattice) -> Self {
        let (own, other) = (&classes[class], &classes[1 - class]);
        let pieces = Pieces::find(own).loose_voxels();
        let mut loose = Bits::empty(lattice.shape);
        pieces.iter().flatten().for_each(|&voxel| loose.set(lattice.place(voxel)));
        Self { own, other, pieces, loose, hu, lattice }
    }

    /// The voxels of each way, the piece's voxel where it begins, and its length.
    fn ways(&self) -> Vec<(Vec<u32>, u32, f64)> {
        self.pieces.par_iter().filter_map(|piece| self.from(piece)).collect()
    }

    /// HU of a voxel; `None` in the margin.
    fn hu(&self, voxel: u32) -> Option<f32> {
        let [z, y, x] = self.lattice.place(voxel).map(|at| at.wrapping_sub(MARGIN));
        let [depth, height, width] = self.hu.shape();
        (z < depth && y < height && x < width).then(|| self.hu.value(z, y, x))
    }

    /// The voxels between a piece and the nearest tree, the piece's own voxel there, and the length of the way.
    fn from(&self, piece: &[u32]) -> Option<(Vec<u32>, u32, f64)> {
        let mean = piece.iter().filter_map(|&voxel| self.hu(voxel)).sum::<f32>() / piece.len() as f32;
        let least_hu = LUNG_HU + SHARE * (mean - LUNG_HU);
        let is_way = |voxel: u32| self.hu(voxel).is_some_and(|hu| hu >= least_hu);
        shortest(piece, |voxel| self.step(voxel, is_way), self.lattice)
    }

    /// What going to a voxel means.
    fn step(&self, voxel: u32, is_way: impl Fn(u32) -> bool) -> Step {
        let place = self.lattice.place(voxel);
        if self.own.get(place) {
            return if self.loose.get(place) { Step::No } else { Step::There };
        }
        if !self.other.get(place) && is_way(voxel) { Step::On } else { Step::No }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    No,
    On,
    There,
}

fn shortest(piece: &[u32], step: impl Fn(u32) -> Step, lattice: &Lattice) -> Option<(Vec<u32>, u32, f64)> {
    const STEPS_A_MM: f64 = 1024.0;
    let most = (LONGEST_MM * STEPS_A_MM) as u64;
    let mut before: HashMap<u32, u32> = HashMap::new();
    let mut open = BinaryHeap::new();
    let spread = |open: &mut BinaryHeap<_>, before: &HashMap<u32, u32>, voxel: u32, way: u64| {
        for (next, step_mm) in lattice.neighbours(voxel) {
            let further = way + (step_mm * STEPS_A_MM) as u64;
            if further <= most && step(next) != Step::No && !before.contains_key(&next) {
                open.push(Reverse((further, next, voxel)));
            }
        }
    };
    for &voxel in piece {
        spread(&mut open, &before, voxel, 0);
    }
    while let Some(Reverse((way, voxel, from))) = open.pop() {
        if before.contains_key(&voxel) {
            continue;
        }
        before.insert(voxel, from);
        if step(voxel) == Step::There {
            let mut path = vec![];
            let mut at = from;
            while let Some(&nearer) = before.get(&at) {
                path.push(at);
                at = nearer;
            }
            return (!path.is_empty()).then_some((path, at, way as f64 / STEPS_A_MM));
        }
        spread(&mut open, &before, voxel, way);
    }
    None
}
