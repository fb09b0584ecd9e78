//! Air inside the body that may be lung: not free air of the bowel, nor the foam of a table.

use pulmoav_volume::components::{Connectivity, components};
use rayon::prelude::*;

use crate::body::{Body, FREE_AIR_BELOW_HU};
use crate::coarse::Coarse;

/// Lungs and air lie below.
const AIR_BELOW_HU: f32 = -500.0;
/// Below this, 3 mm of diaphragm and bowel wall separate gas from lung.
const APART_BELOW_HU: f32 = -620.0;
/// Least mean enclosure score of a lung's voxels; a table's core has less.
const LEAST_MEAN_ENCLOSURE: f64 = 12.7;
/// Below this it is certainly no lung. Neither bound holds where the scan lies wholly inside the chest: lines leave
/// such a scan without having met anything, and there is no table in it.
const UNCERTAIN_MEAN_ENCLOSURE: f64 = 10.5;
/// Lungs hold vessels, foam is the same everywhere: the least deviation of a lung's inner voxels.
const LEAST_DEVIATION_HU: f64 = 22.0;
/// Least share of a lung's inner voxels that hold tissue; a destroyed lung has less, but is larger than any bowel gas.
const LEAST_TISSUE: f64 = 0.2;
const LEAST_TISSUE_DESTROYED: f64 = 0.1;
const LEAST_DESTROYED_ML: f64 = 1000.0;
/// With fewer inner voxels the texture is taken from all.
const LEAST_INTERIOR: f64 = 8.0;

/// All enclosed air, and the parts of it that may be lung, `[z, y, x]`.
pub(crate) struct Air {
    /// Lungs, airways and bowel.
    pub(crate) enclosed: Vec<bool>,
    /// The same without parts of low mean enclosure, such as the core of a table.
    pub(crate) inside: Vec<bool>,
    /// Components with the texture of lungs, airways connected with them included.
    pub(crate) lung: Vec<bool>,
    /// Volume of what has the texture of lungs and is not inside: the core of a table, ml.
    pub(crate) foam_ml: f64,
}

impl Air {
    pub(crate) fn find(coarse: &Coarse, body: &Body) -> Self {
        let is_air = |index: usize| coarse.hu[index] < AIR_BELOW_HU && !coarse.unseen[index] && body.encloses(index);
        let enclosed: Vec<bool> = (0..coarse.hu.len()).into_par_iter().map(is_air).collect();
        let open: Vec<u8> =
            enclosed.iter().zip(&coarse.hu).map(|(&air, &hu)| u8::from(air && hu < APART_BELOW_HU)).collect();
        let found = components(&open, coarse.shape, Connectivity::Faces);
        let mut traits = vec![Traits::default(); found.sizes.len() + 1];
        for (index, &label) in found.labels.iter().enumerate().filter(|&(_, &label)| label > 0) {
            traits[label as usize].add(coarse, body, &open, index);
        }
        let least_mean = if body.outside.contains(&true) { LEAST_MEAN_ENCLOSURE } else { 0.0 };
        let is_lung: Vec<bool> =
            traits.iter().map(|t| t.is_inside(least_mean) && t.may_be_lung(coarse.voxel_ml())).collect();
        let foam = traits.iter().filter(|t| t.is_half_inside(least_mean) && t.may_be_lung(coarse.voxel_ml()));
        let core = |index: usize| is_lung[found.labels[index] as usize];
        // Partial volume between the two thresholds belongs to the lung beside it.
        let lung =
            |index: usize| core(index) || (enclosed[index] && open[index] == 0 && coarse.neighbours(index).any(&core));
        let inside = |index: usize| {
            enclosed[index] && (open[index] == 0 || traits[found.labels[index] as usize].is_inside(least_mean))
        };
        Self {
            lung: (0..open.len()).into_par_iter().map(lung).collect(),
            inside: (0..open.len()).into_par_iter().map(inside).collect(),
            foam_ml: foam.map(|t| t.voxels * coarse.voxel_ml()).fold(0.0, f64::max),
            enclosed,
        }
    }
}

/// What is known of one component of air.
#[derive(Debug, Clone, Default)]
struct Traits {
    voxels: f64,
    /// Sum of the enclosure scores.
    enclosure: f64,
    /// Voxels above free air.
    tissue: f64,
    /// Voxels with air on all faces (no partial volume), and how many of those are above free air.
    interior: f64,
    interior_tissue: f64,
    /// Sums of the interior's HU and of their squares.
    sums: [f64; 2],
}

impl Traits {
    fn add(&mut self, coarse: &Coarse, body: &Body, air: &[u8], index: usize) {
        let tissue = f64::from(u8::from(coarse.hu[index] > FREE_AIR_BELOW_HU));
        self.voxels += 1.0;
        self.enclosure += f64::from(body.enclosure[index]);
        self.tissue += tissue;
        if coarse.neighbours(index).all(|other| air[other] != 0) {
            self.interior += 1.0;
            let hu = f64::from(coarse.hu[index]);
            self.sums = [self.sums[0] + hu, self.sums[1] + hu * hu];
            self.interior_tissue += tissue;
        }
    }

    /// Whether the mean enclosure score is at least `least_mean`.
    fn is_inside(&self, least_mean: f64) -> bool {
        self.voxels > 0.0 && self.enclosure >= least_mean * self.voxels
    }

    /// Neither clearly inside nor clearly outside.
    fn is_half_inside(&self, least_mean: f64) -> bool {
        !self.is_inside(least_mean) && self.enclosure >= UNCERTAIN_MEAN_ENCLOSURE * self.voxels
    }

    /// Whether it has the texture of lung: tissue, unevenly spread.
    fn may_be_lung(&self, voxel_ml: f64) -> bool {
        if self.voxels == 0.0 {
            return false;
        }
        let mean_hu = self.sums[0] / self.interior.max(1.0);
        let variance = self.sums[1] / self.interior.max(1.0) - mean_hu * mean_hu;
        if self.interior >= LEAST_INTERIOR && variance < LEAST_DEVIATION_HU * LEAST_DEVIATION_HU {
            return false;
        }
        let tissue = if self.interior >= LEAST_INTERIOR {
            self.interior_tissue / self.interior
        } else {
            self.tissue / self.voxels
        };
        let destroyed = tissue >= LEAST_TISSUE_DESTROYED && self.voxels * voxel_ml > LEAST_DESTROYED_ML;
        tissue >= LEAST_TISSUE || destroyed
    }
}
