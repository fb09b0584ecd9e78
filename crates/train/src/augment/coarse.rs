//! Coarse voxels: what a scan of few large voxels looks like after it was resampled to the plan's spacing.
//!
//! The labels become as coarse: what is asked of such a scan is whether a vessel passes through a voxel, since none
//! fills half of it.

use pulmoav_ops::augment::CardPatch;
use serde::{Deserialize, Serialize};

use super::{
    Augmentation, CardTables, Change, Randoms, Site,
    slices::{Stack, Thickened},
};
use crate::error::TrainError;
use crate::{
    code::{AIRWAY, LABEL_BITS},
    patch::Patch,
    range::rising,
};

/// Share of a cube that vessels must fill to give it their label: three quarters of what one of 1.5 mm, the thinnest
/// that phantoms label, fills where it crosses a cube of 4 mm on its shortest way. Such a cube lies 70 HU above the
/// lung.
const MIN_SHARE: f32 = 0.08;

/// Averages into cubes of uniform size at a random offset and interpolates linearly between their centres; a cube's
/// label is that of the vessel which fills most of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Coarse {
    /// How often.
    pub probability: f32,
    /// Smallest and largest edge of a cube.
    pub voxel_mm: [f32; 2],
}

impl Augmentation for Coarse {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.coarse.voxelMm", self.voxel_mm, 0.1, 20.0)
    }

    fn draw(&self, site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        let edge_mm = random.choice.between(self.voxel_mm[0], self.voxel_mm[1]);
        Box::new(CoarseVoxels(
            site.spacing_mm.map(|spacing_mm| Cubes {
                edge: (edge_mm / spacing_mm as f32).max(1.0),
                offset: random.choice.uniform(),
            }),
        ))
    }
}

/// Along each axis.
#[derive(Debug)]
struct CoarseVoxels([Cubes; 3]);

impl CoarseVoxels {
    fn averages(&self) -> Thickened {
        Thickened(self.0.map(|cubes| Stack { thickness: cubes.edge, offset: cubes.offset }))
    }
}

impl Change for CoarseVoxels {
    fn apply(&self, patch: &mut Patch) {
        self.averages().apply(patch);
        coarsen_codes(patch, self.0);
    }

    fn apply_on_card(&self, patch: &mut CardPatch, tables: &CardTables) -> candle_core::Result<()> {
        self.averages().apply_on_card(patch, tables)?;
        patch.coarsen(&cubes_of(patch.shape(), self.0), MIN_SHARE)
    }
}

/// How an axis is cut into cubes: cube k has its centre at (k + `offset`) · `edge` voxels.
#[derive(Debug, Clone, Copy)]
struct Cubes {
    edge: f32,
    offset: f32,
}

impl Cubes {
    /// The cube in which a voxel's centre lies, counted from 0 before the first voxel.
    fn of(self, voxel: usize) -> usize {
        ((voxel as f32 + 0.5) / self.edge - self.offset + 1.5) as usize
    }
}

/// The cube of each voxel along each axis.
fn cubes_of(shape: [usize; 3], cubes: [Cubes; 3]) -> [Vec<usize>; 3] {
    std::array::from_fn(|axis| (0..shape[axis]).map(|voxel| cubes[axis].of(voxel)).collect())
}

/// Gives every voxel its cube's label; side and supervision stay the voxel's own.
fn coarsen_codes(patch: &mut Patch, cubes: [Cubes; 3]) {
    let cube_of = cubes_of(patch.shape, cubes);
    let [_, rows, columns] = [0, 1, 2].map(|axis| cube_of[axis].last().map_or(0, |last| last + 1));
    let cube = |voxel: usize| {
        let [_, height, width] = patch.shape;
        let [z, y, x] = [voxel / (height * width), voxel / width % height, voxel % width];
        (cube_of[0][z] * rows + cube_of[1][y]) * columns + cube_of[2][x]
    };
    let mut counts = vec![[0u32; LABEL_BITS as usize + 1]; cube(patch.len() - 1) + 1];
    for (voxel, code) in patch.codes.iter().enumerate() {
        counts[cube(voxel)][usize::from(code & LABEL_BITS)] += 1;
    }
    let labels: Vec<u8> = counts.into_iter().map(label_of).collect();
    let coarse = |(voxel, &code): (usize, &u8)| code & !LABEL_BITS | labels[cube(voxel)];
    patch.codes = patch.codes.iter().enumerate().map(coarse).collect();
}

/// The label of a cube with so many voxels of each label: the commonest vessel if vessels fill [`MIN_SHARE`], else
/// airway if that does, else background.
fn label_of(counts: [u32; LABEL_BITS as usize + 1]) -> u8 {
    let [background, artery, vein, airway] = counts.map(|count| count as f32);
    let least = MIN_SHARE * (background + artery + vein + airway);
    match artery + vein >= least && artery + vein > 0.0 {
        true if artery >= vein => 1,
        true => 2,
        false if airway >= least && airway > 0.0 => AIRWAY,
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{augment::tests::happen, patch::tests::numbered};

    #[test]
    fn a_point_spreads_in_every_direction() {
        let mut patch = numbered([16, 16, 16]);
        patch.hu.fill(0.0);
        patch.hu[(8 * 16 + 8) * 16 + 8] = 640.0;
        let before = patch.clone();
        let coarse = Coarse { probability: 1.0, voxel_mm: [4.0, 4.0] };
        happen(&coarse, &mut patch);
        let brightest = patch.hu.iter().copied().fold(0.0, f32::max);
        assert!(brightest > 0.0 && brightest <= 640.0 / 64.0, "{brightest}");
        for stride in [1, 16, 256] {
            let reached = (1..4).any(|k| patch.hu[(8 * 16 + 8) * 16 + 8 + k * stride] > 0.0);
            assert!(reached, "{stride}");
        }
        assert_eq!(patch.side, before.side);
    }

    #[test]
    fn cubes_take_the_label_of_what_fills_them() {
        let mut patch = numbered([8, 8, 8]);
        for code in &mut patch.codes {
            *code &= !LABEL_BITS;
        }
        let before = patch.codes.clone();
        let cubes = [Cubes { edge: 4.0, offset: 0.5 }; 3];
        // A line of vein through the first cube, one voxel of artery in the last: 4 and 1 of 64.
        for x in 0..4 {
            patch.codes[2 * 64 + 8 + x] |= 2;
            patch.codes[3 * 64 + 8 + x] |= 2;
            patch.codes[64 + 8 + x] |= 2;
        }
        patch.codes[511] |= 1;
        coarsen_codes(&mut patch, cubes);
        for (voxel, (&code, &old)) in patch.codes.iter().zip(&before).enumerate() {
            let first = [voxel / 64, voxel / 8 % 8, voxel % 8].iter().all(|&at| at < 4);
            assert_eq!(code, old | if first { 2 } else { 0 }, "{voxel}");
        }
        assert_eq!([[60, 2, 2, 0], [50, 8, 6, 0], [50, 0, 2, 12], [64, 0, 0, 0]].map(label_of), [0, 1, AIRWAY, 0]);
    }
}
