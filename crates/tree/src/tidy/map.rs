//! From a label map's values to classes, and back.

use pulmoav_volume::bits::Bits;
use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::{Affine, Volume};

use crate::extract::{MARGIN, padded_affine};
use crate::lattice::Lattice;
use crate::tidy::Change;
use crate::tidy::bridge::{Bridge, Way};
use crate::tidy::unit::{Unit, Units};

/// Which class each value is, and what it becomes in the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    /// 1 artery, 2 vein, 0 neither.
    classes: [u8; 256],
    partners: [u8; 256],
}

impl Values {
    /// Of pairs of an artery's and a vein's value.
    pub(super) fn new(pairs: &[[u8; 2]]) -> Self {
        let mut values = Self { classes: [0; 256], partners: [0; 256] };
        for &[artery, vein] in pairs {
            (values.classes[usize::from(artery)], values.partners[usize::from(artery)]) = (1, vein);
            (values.classes[usize::from(vein)], values.partners[usize::from(vein)]) = (2, artery);
        }
        values
    }

    pub(super) fn class(&self, value: u8) -> u8 {
        self.classes[usize::from(value)]
    }

    /// A value in a class: itself, or its partner.
    fn within(&self, value: u8, class: u8) -> u8 {
        if self.class(value) == class { value } else { self.partners[usize::from(value)] }
    }
}

/// A label map that is written to, and the box of it that was looked at.
pub(super) struct Written<'a> {
    pub(super) labels: &'a mut Volume<u8>,
    pub(super) values: Values,
    pub(super) part: VoxelBox,
}

impl Written<'_> {
    /// What flipping these units changes.
    pub(super) fn changes(&self, units: &Units, flips: &[bool]) -> Vec<Change> {
        let affine = self.affine();
        let change = |(unit, _): (&Unit, &bool)| {
            let place = units.lattice.place(unit.path[unit.path.len() / 2]);
            let from = self.labels.data[self.index(place)];
            Change {
                at_mm: world_mm(&affine, place),
                from,
                to: self.values.within(from, 3 - unit.class),
                length_mm: unit.length_mm,
                voxels: unit.voxels,
            }
        };
        units.list.iter().zip(flips).filter(|(_, flip)| **flip).map(change).collect()
    }

    /// Gives these voxels the class.
    pub(super) fn set_class(&mut self, voxels: impl Iterator<Item = u32>, class: u8, lattice: &Lattice) {
        for voxel in voxels {
            let at = self.index(lattice.place(voxel));
            self.labels.data[at] = self.values.within(self.labels.data[at], class);
        }
    }

    /// Writes bridges where the map is empty; other values, such as lungs, stay.
    pub(super) fn bridge(&mut self, ways: &[Way], lattice: &Lattice) -> Vec<Bridge> {
        let affine = self.affine();
        let mut bridges = vec![];
        for way in ways {
            let value = self.values.within(self.labels.data[self.index(lattice.place(way.from))], way.class as u8 + 1);
            for &voxel in &way.path {
                let at = self.index(lattice.place(voxel));
                if self.labels.data[at] == 0 {
                    self.labels.data[at] = value;
                }
            }
            let voxels = way.path.len() as u64;
            bridges.push(Bridge {
                at_mm: world_mm(&affine, lattice.place(way.path[0])),
                value,
                length_mm: way.length_mm,
                voxels,
            });
        }
        bridges
    }

    /// Clears vessels; other values, such as lungs, stay.
    pub(super) fn clear(&mut self, voxels: &[u32], lattice: &Lattice) {
        for &voxel in voxels {
            let at = self.index(lattice.place(voxel));
            if self.values.class(self.labels.data[at]) != 0 {
                self.labels.data[at] = 0;
            }
        }
    }

    /// A place in the box with its margin → an index of the map.
    fn index(&self, place: [usize; 3]) -> usize {
        let [_, height, width] = self.labels.grid.shape;
        let [z, y, x] = [0, 1, 2].map(|axis| place[axis] - MARGIN + self.part.low[axis]);
        (z * height + y) * width + x
    }

    fn affine(&self) -> Affine {
        padded_affine(&self.labels.grid, &self.part)
    }
}

/// The airways within a box, with its margin.
pub(super) fn airways_in(voxels: &[u32], [_, height, width]: [usize; 3], part: &VoxelBox) -> Bits {
    let mut bits = Bits::empty(part.shape().map(|size| size + 2 * MARGIN));
    for &voxel in voxels {
        let voxel = voxel as usize;
        let place = [voxel / (height * width), voxel / width % height, voxel % width];
        if (0..3).all(|axis| (part.low[axis]..part.high[axis]).contains(&place[axis])) {
            bits.set([0, 1, 2].map(|axis| place[axis] - part.low[axis] + MARGIN));
        }
    }
    bits
}

fn world_mm(affine: &Affine, place: [usize; 3]) -> [f64; 3] {
    let [z, y, x] = place.map(|at| at as f64);
    affine.apply([x, y, z])
}
