//! `shareOfLungs` = vessel voxels in the lungs / voxels of the lungs; `arteryShare` = arteries / both, in the lungs.

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;

pub(super) const SHARE_OF_LUNGS: Figure = Figure {
    name: "shareOfLungs",
    title: "Vessels' share of the lungs' volume",
    unit: "",
    kind: Kind::Plausibility,
    limits: Limits { green: [0.015, 0.1], yellow: [0.005, 0.15] },
    source: "blood vessels of CT are 2 to 9 % of the lungs' volume: total blood volume of 120 to 300 ml in lungs of 3 to \
             6 l (San José Estépar et al. 2013, Am J Respir Crit Care Med 188:231), with walls and thick slices",
    places: "",
    value: share_of_lungs,
};

pub(super) const ARTERY_SHARE: Figure = Figure {
    name: "arteryShare",
    title: "Arteries' share of the vessels in the lungs",
    limits: Limits { green: [0.35, 0.65], yellow: [0.25, 0.75] },
    source: "arteries and veins hold about the same volume in each order (Huang et al. 1996, J Appl Physiol 81:2123)",
    value: artery_share,
    ..SHARE_OF_LUNGS
};

/// Voxels of the lungs without a class, of arteries and of veins.
fn in_lungs(seen: &Seen<'_>) -> [usize; 3] {
    let mut counts = [0; 3];
    for (index, &class) in seen.classes.iter().enumerate() {
        if (1..=2).contains(&seen.region(index)) {
            counts[usize::from(class)] += 1;
        }
    }
    counts
}

fn share_of_lungs(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let [lung, arteries, veins] = in_lungs(seen);
    let all = lung + arteries + veins;
    ((all > 0).then(|| (arteries + veins) as f64 / all as f64), vec![])
}

fn artery_share(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let [_, arteries, veins] = in_lungs(seen);
    ((arteries + veins > 0).then(|| arteries as f64 / (arteries + veins) as f64), vec![])
}
