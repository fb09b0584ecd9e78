//! What each labelling of the branches costs, and the one that costs least.

use pulmoav_volume::bits::Bits;
use pulmoav_volume::nearest::Nearest;

use crate::tidy::contact::{Contact, contacts, outwards};
use crate::tidy::flow::Flow;
use crate::tidy::unit::{Unit, Units};

/// How much each piece of evidence weighs, in mm of branch whose voxels say a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// A mm of a branch, up to `most_mm`.
    pub voxels: f64,
    /// More of one branch tells no more, mm.
    pub most_mm: f64,
    /// Two branches of one class at a fork.
    pub fork: f64,
    /// The free end of a loose piece in a vessel of the other class.
    pub loose_end: f64,
    /// The same of a tree.
    pub tree_end: f64,
    /// An airway beside a branch, or none where others are near, a mm of branch.
    pub airway: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { voxels: 1.0, most_mm: 12.0, fork: 8.0, loose_end: 14.0, tree_end: 5.0, airway: 0.5 }
    }
}

/// Which units have another class in the labelling of least cost.
pub(super) fn solve(units: &Units, airways: Option<&Bits>, weights: &Weights) -> Vec<bool> {
    let mut flow = Flow::new(units.list.len());
    let airways = airways.map(|bits| Nearest::reaching(bits, units.lattice.spacing_mm, FAR_MM));
    for (index, unit) in units.list.iter().enumerate() {
        let kept = weights.voxels * length_mm(unit, units).min(weights.most_mm);
        let artery = airways.as_ref().map_or(0.0, |near| weights.airway * airway(unit, near, units, weights));
        let (mut artery_cost, mut vein_cost) = if unit.class == 1 { (0.0, kept) } else { (kept, 0.0) };
        if artery > 0.0 {
            vein_cost += artery;
        } else {
            artery_cost -= artery;
        }
        flow.add_costs(index, artery_cost, vein_cost);
    }
    for (a, b, weight) in forks(units, weights).into_iter().chain(ends(units, weights)) {
        flow.tie(a, b, weight);
    }
    let is_artery = flow.cut();
    units.list.iter().zip(is_artery).map(|(unit, artery)| artery != (unit.class == 1)).collect()
}

/// Beyond this no airway is seen to belong to a vessel, and none to be missing, mm.
const FAR_MM: f64 = 12.0;
/// Between the surface of an artery and the airway beside it, mm; of a vein it is more.
const BESIDE_MM: f64 = 3.0;

/// What a unit has to say; a speck says what its volume is worth.
fn length_mm(unit: &Unit, units: &Units) -> f64 {
    unit.length_mm.max((unit.voxels as f64 * units.lattice.voxel_mm3()).cbrt())
}

/// For an artery (above 0) or a vein, by the distance to the nearest airway; mm of branch.
fn airway(unit: &Unit, airways: &Nearest<'_>, units: &Units, weights: &Weights) -> f64 {
    let distance_mm = |&voxel: &u32| {
        airways.to(units.lattice.place(voxel), FAR_MM).map_or(f64::INFINITY, |found| found.squared_mm2.sqrt())
    };
    let mut gaps: Vec<f64> = unit.path.iter().map(|voxel| distance_mm(voxel) - unit.radius_mm).collect();
    gaps.sort_by(f64::total_cmp);
    let gap_mm = gaps[gaps.len() / 2];
    if !gap_mm.is_finite() || gap_mm > FAR_MM - 2.0 {
        return 0.0;
    }
    ((BESIDE_MM - gap_mm) / 2.0).clamp(-1.0, 1.0) * unit.length_mm.min(weights.most_mm)
}

/// Ties of the branches at each fork: each to the widest there.
fn forks(units: &Units, weights: &Weights) -> Vec<(usize, usize, f64)> {
    let mut at_node = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (index, unit) in units.list.iter().enumerate() {
        unit.nodes.iter().for_each(|&node| at_node.entry(node).or_default().push(index));
    }
    let mut ties = vec![];
    for branches in at_node.values() {
        let radius = |&&index: &&usize| units.list[index].radius_mm;
        let Some(&widest) = branches.iter().max_by(|a, b| radius(a).total_cmp(&radius(b))) else { continue };
        ties.extend(branches.iter().filter(|&&other| other != widest).map(|&other| (widest, other, weights.fork)));
    }
    ties
}

/// Ties of free ends with the vessel of the other class that each meets, at most one an end.
fn ends(units: &Units, weights: &Weights) -> Vec<(usize, usize, f64)> {
    let found = contacts(units);
    let mut ties = vec![];
    for (index, unit) in units.list.iter().enumerate() {
        let of_unit = || found.range((index as u32, 0)..=(index as u32, u32::MAX)).map(|(key, c)| (key.1 as usize, c));
        for end in 0..2 {
            // The two ends of a speck are one.
            if !unit.is_free[end] || (end == 1 && unit.path.len() == 1) {
                continue;
            }
            let tie = |(other, contact): (usize, &Contact)| {
                Some((other, strength(unit, end, &units.list[other], contact, units)?))
            };
            let best = of_unit().filter_map(tie).max_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((other, strength)) = best {
                let is_loose = units.is_loose[unit.piece];
                let weight = if is_loose { weights.loose_end } else { weights.tree_end };
                ties.push((index, other, weight * strength));
            }
        }
    }
    ties
}

/// How much the end of a branch looks like going on in another vessel, 0 to 1; `None` where they touch elsewhere.
fn strength(unit: &Unit, end: usize, other: &Unit, contact: &Contact, units: &Units) -> Option<f64> {
    let tip = if end == 0 { unit.path[0] } else { unit.path[unit.path.len() - 1] };
    let voxel_mm = units.lattice.voxel_mm3().cbrt();
    if contact.distance_mm(tip, units) > (2.0 * unit.radius_mm).max(2.5 * voxel_mm) {
        return None;
    }
    // A vessel goes on in one as wide or wider; beside a thinner one it only lies.
    let width = (other.radius_mm / unit.radius_mm).clamp(0.3, 1.0);
    // Nine pairs a voxel of contact; a cross-section's worth is full.
    let area_mm2 = f64::from(contact.pairs) / 9.0 * voxel_mm * voxel_mm;
    let area = (area_mm2 / (std::f64::consts::PI * unit.radius_mm.powi(2))).clamp(0.2, 1.0);
    let straight = [0, 1].into_iter().filter(|&far| other.is_free[far]).filter_map(|far| {
        let far_tip = if far == 0 { other.path[0] } else { other.path[other.path.len() - 1] };
        if contact.distance_mm(far_tip, units) > (3.0 * other.radius_mm).max(3.5 * voxel_mm) {
            return None;
        }
        let (a, b) = (outwards(unit, end, units)?, outwards(other, far, units)?);
        Some(-(a[0] * b[0] + a[1] * b[1] + a[2] * b[2]))
    });
    let onward = match straight.fold(f64::NEG_INFINITY, f64::max) {
        // End to end: the straighter the better.
        cosine if cosine.is_finite() => (0.5 + 0.7 * cosine).clamp(0.1, 1.2),
        // Into the side of the other.
        _ => 0.8,
    };
    Some(width * area * onward)
}
