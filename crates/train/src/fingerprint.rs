//! The figures of a case that a plan is made of.

use std::collections::BTreeMap;

use pulmoav_plan::VesselClass;
use pulmoav_volume::crop::{Extent, View, VoxelBox, crop};
use pulmoav_volume::resample::new_shape;
use pulmoav_volume::{Orientation, Volume};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::ceiling;
use crate::code::label;
use crate::places::{Calibre, calibres};

/// Values are counted one by one from here, HU.
const LOWEST_HU: i32 = -1024;
/// And up to here, HU.
const HIGHEST_HU: i32 = 3071;
/// Shares of the labelled voxels below the three figures of [`ClassFacts::hu`].
const PERCENTILES: [f64; 3] = [0.005, 0.5, 0.995];
/// Around the labels, so that a coarse voxel at their edge is whole, mm.
const MARGIN_MM: f64 = 8.0;

/// Figures of a case, in the canonical frame.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseFacts {
    /// Voxels, `[z, y, x]`.
    pub shape: [usize; 3],
    /// Voxel size, `[z, y, x]`, mm.
    pub spacing_mm: [f64; 3],
    /// SHA-256 of the voxels and their shape, whatever the file's packing.
    pub content: String,
    /// By class; none for one without voxels.
    pub classes: BTreeMap<&'static str, ClassFacts>,
}

/// Figures of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassFacts {
    /// Labelled voxels.
    pub voxels: u64,
    /// HU below which 0.5, 50 and 99.5 % of them lie.
    pub hu: [i32; 3],
    /// How many lie in vessels of a radius below 1.5 mm, up to 3 mm, and above.
    pub calibres: [u64; 3],
    /// The best Dice at each of the voxel edges that were asked for.
    pub ceilings: Vec<f64>,
}

impl CaseFacts {
    pub(crate) fn measure(
        ct: &Volume<f32>,
        reference: &Volume<u8>,
        orientation: &Orientation,
        ceilings_mm: &[f64],
    ) -> Self {
        let grid = orientation.orient_grid(&ct.grid);
        let of_class = |class| Some((name(class), class_facts(ct, reference, orientation, class, ceilings_mm)?));
        Self {
            shape: grid.shape,
            spacing_mm: grid.spacing_mm,
            content: content(ct),
            classes: [VesselClass::Artery, VesselClass::Vein].into_iter().filter_map(of_class).collect(),
        }
    }
}

/// A class's name in reports.
pub fn name(class: VesselClass) -> &'static str {
    match class {
        VesselClass::Artery => "artery",
        VesselClass::Vein => "vein",
    }
}

fn class_facts(
    ct: &Volume<f32>,
    reference: &Volume<u8>,
    orientation: &Orientation,
    class: VesselClass,
    ceilings_mm: &[f64],
) -> Option<ClassFacts> {
    let label = label(class);
    let part = VoxelBox::around(&reference.data, reference.grid.shape, |found| found == label)?;
    let part = crop(reference, &part.grown(MARGIN_MM, &reference.grid));
    let calibre_of = calibres(&part.data, label, part.grid.shape, part.grid.spacing_mm);
    let mut counts = [0; Calibre::ALL.len()];
    for (_, calibre) in part.data.iter().zip(&calibre_of).filter(|(found, _)| **found == label) {
        counts[usize::from(*calibre)] += 1;
    }
    let canonical = orientation.orient_grid(&part.grid);
    let view = View::new(&part.data, part.grid.shape).reordered(orientation.source, orientation.flipped);
    let extent = Extent::from(&VoxelBox::whole(canonical.shape));
    let voxels: u64 = counts.iter().sum();
    let ceiling_at = |&edge_mm: &f64| {
        let shape = new_shape(&canonical, [edge_mm; 3]);
        ceiling::kept(&view, label, &extent, shape, voxels as usize)
    };
    Some(ClassFacts {
        voxels,
        hu: percentiles(&ct.data, &reference.data, label),
        calibres: counts,
        ceilings: ceilings_mm.iter().filter_map(ceiling_at).collect(),
    })
}

fn percentiles(hu: &[f32], labels: &[u8], label: u8) -> [i32; 3] {
    let mut counts = vec![0u64; (HIGHEST_HU - LOWEST_HU + 1) as usize];
    for (&hu, _) in hu.iter().zip(labels).filter(|(_, found)| **found == label) {
        counts[((hu.round() as i32).clamp(LOWEST_HU, HIGHEST_HU) - LOWEST_HU) as usize] += 1;
    }
    let total: u64 = counts.iter().sum();
    PERCENTILES.map(|share| {
        let wanted = share * total as f64;
        let mut below = 0.0;
        let found = counts.iter().position(|&count| {
            below += count as f64;
            below >= wanted
        });
        found.map_or(HIGHEST_HU, |index| index as i32 + LOWEST_HU)
    })
}

/// Two files with the same voxels have the same content.
fn content(ct: &Volume<f32>) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{:?}", ct.grid.shape));
    let blocks: Vec<Vec<u8>> = ct
        .data
        .par_chunks(1 << 20)
        .map(|block| {
            let bytes: Vec<u8> = block.iter().flat_map(|hu| (hu.round() as i32).to_le_bytes()).collect();
            Sha256::digest(&bytes).to_vec()
        })
        .collect();
    for block in &blocks {
        digest.update(block);
    }
    digest.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_volume::{Affine, Grid};

    #[test]
    fn figures_of_a_rod() {
        let shape = [20, 20, 40];
        let grid = Grid { shape, spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
        let is_rod = |voxel: usize| ((voxel / 800) as f64 - 9.0).hypot((voxel / 40 % 20) as f64 - 9.0) <= 4.0;
        let labels: Vec<u8> = (0..grid.len()).map(|voxel| u8::from(is_rod(voxel)) * 2).collect();
        let hu: Vec<f32> =
            (0..grid.len()).map(|voxel| if is_rod(voxel) { (voxel % 40) as f32 } else { -850.0 }).collect();
        let (ct, reference) = (Volume { data: hu, grid }, Volume { data: labels, grid });
        let facts = CaseFacts::measure(&ct, &reference, &Orientation::IDENTITY, &[1.0, 4.0]);
        assert!(!facts.classes.contains_key("artery"));
        let vein = &facts.classes["vein"];
        assert_eq!(vein.hu, [0, 19, 39]);
        // Voxels on the rim of a round rod lie in no ball of 3 mm inside it, so they count as the next calibre.
        assert_eq!(vein.calibres.iter().sum::<u64>(), vein.voxels);
        assert!(vein.calibres[0] == 0 && vein.calibres[2] > 1000, "{vein:?}");
        assert_eq!(vein.ceilings[0], 1.0);
        assert!(vein.ceilings[1] < 0.99 && vein.ceilings[1] > 0.5, "{vein:?}");
        let same = Volume { data: ct.data.iter().map(|hu| hu + 0.2).collect(), grid };
        assert_eq!(content(&same), facts.content);
        assert_ne!(content(&reference_as_ct(&reference)), facts.content);
    }

    fn reference_as_ct(reference: &Volume<u8>) -> Volume<f32> {
        Volume { data: reference.data.iter().map(|&label| f32::from(label)).collect(), grid: reference.grid }
    }
}
