//! `shareOfLungs` = vessel voxels in the lungs / voxels of the lungs; `arteryShare` = arteries / both, in the lungs.

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;

pub(super) const SHARE_OF_LUNGS: Figure = Figure {
    name: "shareOfLungs",
    title: "Vessels' share of the lungs' volume",
    unit: "",
    kind: Kind::Plausibility,
    limits: Limits { green: [0.015, 0.1], yellow: [0.005, 0.15] },
    source: "labels of phantoms take 0.02 to 0.045; wide limits around that",
    places: "",
    value: share_of_lungs,
};

pub(super) const ARTERY_SHARE: Figure = Figure {
    name: "arteryShare",
    title: "Arteries' share of the vessels in the lungs",
    limits: Limits { green: [0.32, 0.68], yellow: [0.25, 0.75] },
    source: "both serve the same lung; in labels of phantoms it is 0.58 to 0.68",
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
