//! Where branches of different classes touch.

use std::collections::{BTreeMap, HashMap};

use crate::region::NONE;
use crate::tidy::unit::{Unit, Units};

/// How one branch touches another of the other class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Contact {
    /// Pairs of touching voxels.
    pub(super) pairs: u32,
    /// Sum of the places of its own voxels in these pairs, `[z, y, x]`.
    sum: [u64; 3],
}

/// Contacts of each branch (first) with others (second).
pub(super) type Contacts = BTreeMap<(u32, u32), Contact>;

/// Finds all contacts across faces, edges and corners.
pub(super) fn contacts(units: &Units) -> Contacts {
    let [arteries, veins] = &units.classes;
    let mut found: HashMap<(u32, u32), Contact> = HashMap::new();
    let mut touching = vec![];
    for (voxel, number) in arteries.mask.beside(&veins.mask) {
        let artery = arteries.units[number as usize];
        if artery == NONE {
            continue;
        }
        touching.clear();
        veins.mask.around(voxel, |number, _| touching.push(number));
        for &number in &touching {
            let vein = veins.units[number as usize];
            if vein == NONE {
                continue;
            }
            let mut add = |key: (u32, u32), own: u32| {
                let contact = found.entry(key).or_default();
                contact.pairs += 1;
                let place = units.lattice.place(own);
                (0..3).for_each(|k| contact.sum[k] += place[k] as u64);
            };
            add((artery, vein), voxel);
            add((vein, artery), veins.mask.voxels[number as usize]);
        }
    }
    found.into_iter().collect()
}

impl Contact {
    /// Distance of its middle to a voxel, mm.
    pub(super) fn distance_mm(&self, voxel: u32, units: &Units) -> f64 {
        let (place, lattice) = (units.lattice.place(voxel), &units.lattice);
        let away = |k: usize| (self.sum[k] as f64 / f64::from(self.pairs) - place[k] as f64) * lattice.spacing_mm[k];
        (0..3).map(|k| away(k).powi(2)).sum::<f64>().sqrt()
    }
}

/// Direction of a branch outwards at one of its ends, a unit vector in mm; `None` for one without length.
pub(super) fn outwards(unit: &Unit, end: usize, units: &Units) -> Option<[f64; 3]> {
    let reach = unit.path.len().min(HEADING);
    let (tip, inner) = if end == 0 {
        (unit.path[0], unit.path[reach - 1])
    } else {
        (unit.path[unit.path.len() - 1], unit.path[unit.path.len() - reach])
    };
    let (a, b) = (units.lattice.place(tip), units.lattice.place(inner));
    let v = [0, 1, 2].map(|k| (a[k] as f64 - b[k] as f64) * units.lattice.spacing_mm[k]);
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    (norm > 0.0).then(|| v.map(|x| x / norm))
}

/// Voxels over which a direction is taken.
const HEADING: usize = 6;
