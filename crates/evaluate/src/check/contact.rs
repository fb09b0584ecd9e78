//! `contact` = area of the voxel faces between arteries and veins / length of the vessels' centreline, mm.
//!
//! Vessels of the two classes lie beside each other in places only; a branch of which a part has the other class adds a
//! cross-section, and one that is mixed along its length adds much more.

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;
use crate::surface::contact::faces_mm2;

pub(super) const CONTACT: Figure = Figure {
    name: "contact",
    title: "Contact of arteries and veins a mm of centreline",
    unit: "mm",
    kind: Kind::FollowsErrors,
    limits: Limits { green: [0.0, 0.4], yellow: [0.0, 0.6] },
    source: "phantoms (docs/checking.md)",
    places: "",
    value: contact,
};

fn contact(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let all_mm: f64 = seen.vessels.branches.iter().map(|branch| branch.length_mm).sum();
    let faces = |(arteries, veins)| faces_mm2(&arteries, &veins, seen.grid().spacing_mm);
    let area_mm2 = seen.bits(1).zip(seen.bits(2)).map_or(0.0, faces);
    ((all_mm > 0.0).then(|| area_mm2 / all_mm), vec![])
}
