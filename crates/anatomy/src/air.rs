//! Air inside the body that may be lung: not free air of the bowel, nor the foam of a table.

use std::collections::BTreeMap;

use pulmoav_volume::components::{Components, Connectivity, components};
use rayon::prelude::*;

use crate::body::{Body, FREE_AIR_BELOW_HU};
use crate::coarse::Coarse;

/// Lungs and air lie below.
const AIR_BELOW_HU: f32 = -500.0;
/// Below this, 3 mm of diaphragm and bowel wall separate gas from lung.
const APART_BELOW_HU: f32 = -620.0;
/// Least mean enclosure score of a lung's voxels; a table's core has less.
const MIN_MEAN_ENCLOSURE: f64 = 12.7;
/// Below this it is certainly no lung.
const UNCERTAIN_MEAN_ENCLOSURE: f64 = 10.5;
/// Share of a scan that is outside the body, at most, where it lies within the chest.
const MAX_OUTSIDE: f64 = 0.02;
/// Mean lines in free air at most, and at the trunk at least, of lungs that a scan is full of.
const MAX_MISSES: f64 = 0.3;
const MIN_HITS: f64 = 1.0;
/// With as much it is inside whatever its texture.
const SURE_MEAN_ENCLOSURE: f64 = 15.0;
/// Lungs hold vessels, foam is the same everywhere: the least deviation of a lung's inner voxels, where it is not
/// surely inside.
const MIN_DEVIATION_HU: f64 = 22.0;
/// Least share of a lung's inner voxels that hold tissue; a destroyed lung has less, but is larger than any bowel gas.
const MIN_TISSUE: f64 = 0.2;
const MIN_TISSUE_DESTROYED: f64 = 0.1;
const MIN_DESTROYED_ML: f64 = 1000.0;
/// Where a hole in the chest wall joins a lung with what is outside, air of at least this score is the lung's.
const LUNG_ENCLOSURE: u8 = 12;
/// It holds at least as much air that lies so deep inside as no table's core does.
const DEEP_SCORE: u8 = 15;
const MIN_DEEP_ML: f64 = 1000.0;
const MIN_DEEP_SHARE: f64 = 0.3;
/// With fewer inner voxels the texture is taken from all.
const MIN_INTERIOR: f64 = 8.0;

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
        // A scan that lies within the chest has no air around it.
        let outside = body.outside.iter().filter(|&&outside| outside).count();
        let is_within = outside as f64 <= MAX_OUTSIDE * body.outside.len() as f64;
        let is_air = |index: usize| coarse.hu[index] < AIR_BELOW_HU && !coarse.unseen[index] && body.encloses(index);
        let enclosed: Vec<bool> = (0..coarse.hu.len()).into_par_iter().map(is_air).collect();
        let open: Vec<u8> =
            enclosed.iter().zip(&coarse.hu).map(|(&air, &hu)| u8::from(air && hu < APART_BELOW_HU)).collect();
        let mut found = components(&open, coarse.shape, Connectivity::Faces);
        let mut traits = traits_of(coarse, body, &open, &found);
        let leaking: Vec<bool> = traits.iter().map(|t| !t.is_inside(is_within) && t.holds_a_lung(coarse)).collect();
        if leaking.contains(&true) {
            let leaks = |index: usize| leaking[found.labels[index] as usize] && body.enclosure[index] < LUNG_ENCLOSURE;
            let kept: Vec<u8> = open.iter().enumerate().map(|(index, &open)| open & u8::from(!leaks(index))).collect();
            found = components(&kept, coarse.shape, Connectivity::Faces);
            traits = traits_of(coarse, body, &open, &found);
        }
        let is_lung: Vec<bool> =
            traits.iter().map(|t| t.is_inside(is_within) && t.may_be_lung(coarse.voxel_ml(), is_within)).collect();
        let foam = traits.iter().filter(|t| t.is_half_inside(is_within) && t.may_be_lung(coarse.voxel_ml(), is_within));
        let core = |index: usize| is_lung[found.labels[index] as usize];
        // Partial volume between the two thresholds belongs to the lung beside it.
        let lung =
            |index: usize| core(index) || (enclosed[index] && open[index] == 0 && coarse.neighbours(index).any(&core));
        let inside = |index: usize| {
            enclosed[index] && (open[index] == 0 || traits[found.labels[index] as usize].is_inside(is_within))
        };
        Self {
            lung: (0..open.len()).into_par_iter().map(lung).collect(),
            inside: (0..open.len()).into_par_iter().map(inside).collect(),
            foam_ml: foam.map(|t| t.voxels * coarse.voxel_ml()).fold(0.0, f64::max),
            enclosed,
        }
    }
}

/// What is known of each component; the first entry is that of what is no air.
fn traits_of(coarse: &Coarse, body: &Body, open: &[u8], found: &Components) -> Vec<Traits> {
    let plane = (coarse.shape[1] * coarse.shape[2]).max(1);
    // A slice meets few of the components.
    let of_slice = |(z, labels): (usize, &[u32])| {
        let mut traits: BTreeMap<u32, Traits> = BTreeMap::new();
        for (index, &label) in labels.iter().enumerate().filter(|&(_, &label)| label > 0) {
            traits.entry(label).or_default().add(coarse, body, open, z * plane + index);
        }
        traits
    };
    let slices: Vec<BTreeMap<u32, Traits>> = found.labels.par_chunks(plane).enumerate().map(of_slice).collect();
    let mut all = vec![Traits::default(); found.sizes.len() + 1];
    // In order, so that sums do not depend on threads.
    for (label, part) in slices.into_iter().flatten() {
        all[label as usize].join(&part);
    }
    all
}

/// What is known of one component of air.
#[derive(Debug, Clone, Default)]
struct Traits {
    voxels: f64,
    /// Sum of the enclosure scores.
    enclosure: f64,
    /// Sum of the lines that end in free air.
    misses: f64,
    /// Voxels of at least [`DEEP_SCORE`].
    deep: f64,
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
        self.misses += f64::from(body.misses[index]);
        self.deep += f64::from(u8::from(body.enclosure[index] >= DEEP_SCORE));
        self.tissue += tissue;
        if coarse.neighbours(index).all(|other| air[other] != 0) {
            self.interior += 1.0;
            let hu = f64::from(coarse.hu[index]);
            self.sums = [self.sums[0] + hu, self.sums[1] + hu * hu];
            self.interior_tissue += tissue;
        }
    }

    fn join(&mut self, other: &Self) {
        self.voxels += other.voxels;
        self.enclosure += other.enclosure;
        self.misses += other.misses;
        self.deep += other.deep;
        self.tissue += other.tissue;
        self.interior += other.interior;
        self.interior_tissue += other.interior_tissue;
        self.sums = [self.sums[0] + other.sums[0], self.sums[1] + other.sums[1]];
    }

    fn is_inside(&self, is_within: bool) -> bool {
        self.voxels > 0.0 && (self.enclosure >= MIN_MEAN_ENCLOSURE * self.voxels || is_within && self.fills_the_scan())
    }

    /// Whether a scan that lies within the chest is full of it: lines leave the scan, some end at the trunk, none in
    /// free air.
    fn fills_the_scan(&self) -> bool {
        let hits = self.enclosure - 8.0 * self.voxels + self.misses;
        self.misses <= MAX_MISSES * self.voxels && hits >= MIN_HITS * self.voxels
    }

    /// Whether a part as large as a lung lies deep inside.
    fn holds_a_lung(&self, coarse: &Coarse) -> bool {
        self.deep * coarse.voxel_ml() >= MIN_DEEP_ML && self.deep >= MIN_DEEP_SHARE * self.voxels
    }

    /// Neither clearly inside nor clearly outside.
    fn is_half_inside(&self, is_within: bool) -> bool {
        !self.is_inside(is_within) && self.enclosure >= UNCERTAIN_MEAN_ENCLOSURE * self.voxels
    }

    /// Whether it has the texture of lung: tissue, unevenly spread.
    fn may_be_lung(&self, voxel_ml: f64, is_within: bool) -> bool {
        if self.voxels == 0.0 {
            return false;
        }
        let mean_hu = self.sums[0] / self.interior.max(1.0);
        let variance = self.sums[1] / self.interior.max(1.0) - mean_hu * mean_hu;
        let is_doubtful = self.enclosure < SURE_MEAN_ENCLOSURE * self.voxels && !(is_within && self.fills_the_scan());
        let is_uniform = self.interior >= MIN_INTERIOR && variance < MIN_DEVIATION_HU * MIN_DEVIATION_HU;
        if is_doubtful && is_uniform {
            return false;
        }
        let tissue = if self.interior >= MIN_INTERIOR {
            self.interior_tissue / self.interior
        } else {
            self.tissue / self.voxels
        };
        let destroyed = tissue >= MIN_TISSUE_DESTROYED && self.voxels * voxel_ml > MIN_DESTROYED_ML;
        tissue >= MIN_TISSUE || destroyed
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{CENTRE_Y_MM, LUNGS_Z_MM, MIDDLE_MM, chest, lung_hu};

    #[test]
    fn a_lung_that_a_hole_joins_with_a_blanket_is_found() {
        let whole_ml = chest().lungs().volumes_ml;
        let covered = chest().painted(|at, hu| {
            let [z, y, x] = at;
            // As dark as lung, around the chest, and through the wall of its right side.
            let out = ((y - CENTRE_Y_MM) / 110.0).hypot((x - MIDDLE_MM) / 165.0);
            let is_blanket = y > CENTRE_Y_MM && (1.0..1.15).contains(&out);
            let is_hole = x > MIDDLE_MM + 120.0 && (y - CENTRE_Y_MM).abs() < 15.0 && (z - LUNGS_Z_MM).abs() < 15.0;
            if is_blanket || (is_hole && out < 1.15) { lung_hu(at) } else { hu }
        });
        for (found, expected) in covered.lungs().volumes_ml.into_iter().zip(whole_ml) {
            assert!((0.9..1.1).contains(&(found / expected)), "{found} ml, expected {expected}");
        }
    }
}
