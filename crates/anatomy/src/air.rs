//! Air inside the body that may be lung: not free air of the bowel, nor the foam of a table.

use pulmoav_volume::components::{Connectivity, components};

use crate::body::{Body, FREE_AIR_BELOW_HU};
use crate::coarse::Coarse;

/// Lungs and air lie below.
const AIR_BELOW_HU: f32 = -500.0;
/// Mean points of the eight lines of a lung's voxels; a table's core has less than half of the 16.
const LEAST_MEAN_POINTS: f64 = 12.7;
/// Share of a lung's inner voxels that hold tissue; destroyed lungs hold less, but are larger than any bowel gas.
const LEAST_TISSUE: f64 = 0.2;
const LEAST_TISSUE_DESTROYED: f64 = 0.1;
const LEAST_DESTROYED_ML: f64 = 1000.0;

/// All enclosed air, and the part of it that may be lung, `[z, y, x]`.
pub(crate) struct Air {
    /// Lungs, airways and bowel.
    pub(crate) enclosed: Vec<bool>,
    /// Components with the texture of lungs, airways that hang together with them included.
    pub(crate) lung: Vec<bool>,
}

impl Air {
    pub(crate) fn find(coarse: &Coarse, body: &Body) -> Self {
        let is_air = |index: usize| coarse.hu[index] < AIR_BELOW_HU && !coarse.unseen[index] && body.encloses(index);
        let air: Vec<u8> = (0..coarse.hu.len()).map(|index| u8::from(is_air(index))).collect();
        let found = components(&air, coarse.shape, Connectivity::Faces);
        let mut traits = vec![Traits::default(); found.sizes.len() + 1];
        for (index, &label) in found.labels.iter().enumerate().filter(|&(_, &label)| label > 0) {
            traits[label as usize].add(coarse, body, &air, index);
        }
        if std::env::var("DBG").is_ok() {
            for (n, t) in traits.iter().enumerate().filter(|(_, t)| t.voxels * coarse.voxel_ml() > 30.0) {
                let m = t.sum / t.interior;
                eprintln!(
                    "comp {n}: {:.0} ml points {:.2} tissue {:.2} interior {:.2} mean {:.0} sd {:.1}",
                    t.voxels * coarse.voxel_ml(),
                    t.points / t.voxels,
                    t.interior_tissue / t.interior,
                    t.interior / t.voxels,
                    m,
                    (t.sum2 / t.interior - m * m).sqrt()
                );
            }
        }
        let keep: Vec<bool> = traits.iter().map(|t| t.may_be_lung(coarse.voxel_ml())).collect();
        Self {
            lung: found.labels.iter().map(|&label| keep[label as usize]).collect(),
            enclosed: air.into_iter().map(|v| v != 0).collect(),
        }
    }
}

/// What is known of one component of air.
#[derive(Debug, Clone, Default)]
struct Traits {
    voxels: f64,
    points: f64,
    /// Voxels with air on all faces (no partial volume), and how many of those are tissue.
    interior: f64,
    interior_tissue: f64,
    tissue: f64,
    sum: f64,
    sum2: f64,
}

impl Traits {
    fn add(&mut self, coarse: &Coarse, body: &Body, air: &[u8], index: usize) {
        let tissue = f64::from(u8::from(coarse.hu[index] > FREE_AIR_BELOW_HU));
        self.voxels += 1.0;
        self.points += f64::from(body.points[index]);
        self.tissue += tissue;
        if coarse.neighbours(index).all(|other| air[other] != 0) {
            self.interior += 1.0;
            self.sum += f64::from(coarse.hu[index]);
            self.sum2 += f64::from(coarse.hu[index]).powi(2);
            self.interior_tissue += tissue;
        }
    }

    fn may_be_lung(&self, voxel_ml: f64) -> bool {
        if self.voxels == 0.0 || self.points < LEAST_MEAN_POINTS * self.voxels {
            return false;
        }
        let tissue =
            if self.interior >= 8.0 { self.interior_tissue / self.interior } else { self.tissue / self.voxels };
        let destroyed = tissue >= LEAST_TISSUE_DESTROYED && self.voxels * voxel_ml > LEAST_DESTROYED_ML;
        tissue >= LEAST_TISSUE || destroyed
    }
}
