//! Air inside the body: what may be lung or airway, without the air around the patient and gas in the bowel.

use pulmoav_volume::components::{Connectivity, components};

use super::coarse::Coarse;

/// Lungs and air lie below.
const AIR_BELOW_HU: f32 = -500.0;
/// Lung tissue averages above this, free air does not.
const TISSUE_ABOVE_HU: f32 = -930.0;

/// True where a voxel belongs to air that may be lung, `[z, y, x]`.
pub(super) fn inside_body(coarse: &Coarse) -> Vec<bool> {
    let air: Vec<u8> = coarse.hu.iter().map(|&hu| u8::from(hu < AIR_BELOW_HU)).collect();
    let found = components(&air, coarse.shape, Connectivity::Faces);
    let mut traits = vec![Traits::default(); found.sizes.len() + 1];
    for (index, &label) in found.labels.iter().enumerate() {
        if label > 0 {
            traits[label as usize].add(coarse, &air, index);
        }
    }
    let keep: Vec<bool> = traits.iter().map(|t| t.may_be_lung(coarse.voxel_ml())).collect();
    found.labels.iter().map(|&label| keep[label as usize]).collect()
}

/// What is known of one component of air.
#[derive(Debug, Clone, Default)]
struct Traits {
    voxels: f64,
    /// Voxels on the scan's four in-plane borders.
    border: f64,
    /// Voxels with air on all faces (no partial volume), and how many of those are tissue.
    interior: f64,
    interior_tissue: f64,
    tissue: f64,
}

impl Traits {
    fn add(&mut self, coarse: &Coarse, air: &[u8], index: usize) {
        let [_, y, x] = coarse.place(index);
        let on_border = y == 0 || x == 0 || y + 1 == coarse.shape[1] || x + 1 == coarse.shape[2];
        let tissue = f64::from(u8::from(coarse.hu[index] > TISSUE_ABOVE_HU));
        self.voxels += 1.0;
        self.border += f64::from(u8::from(on_border));
        self.tissue += tissue;
        if coarse.neighbours(index).all(|other| air[other] != 0) {
            self.interior += 1.0;
            self.interior_tissue += tissue;
        }
    }

    /// Air around the patient reaches the border widely or holds no tissue; bowel gas and air under the table hold none.
    /// A scan cut through the lungs reaches the border with tissue.
    fn may_be_lung(&self, voxel_ml: f64) -> bool {
        if self.voxels == 0.0 {
            return false;
        }
        let tissue =
            if self.interior >= 8.0 { self.interior_tissue / self.interior } else { self.tissue / self.voxels };
        if self.border > 0.0 {
            return tissue >= 0.6 || (tissue >= 0.2 && self.border < 0.02 * self.voxels);
        }
        // Destroyed lungs hold little tissue but are larger than any bowel gas.
        tissue >= 0.2 || (tissue >= 0.1 && self.voxels * voxel_ml > 1000.0)
    }
}
