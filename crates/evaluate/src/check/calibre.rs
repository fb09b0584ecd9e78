//! `calibre` = Σ length of branches that are wider than their parent by a quarter / Σ length of all that have one.
//!
//! Vessels get thinner outwards; one that grows was put together of two, or starts in the wrong place.

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;

/// A child this many times as wide as its parent has grown.
const GROWN: f64 = 1.25;

pub(super) const CALIBRE: Figure = Figure {
    name: "calibre",
    title: "Length of branches wider than their parent",
    unit: "",
    kind: Kind::FollowsErrors,
    limits: Limits { green: [0.0, 0.06], yellow: [0.0, 0.08] },
    source: "phantoms (docs/checking.md)",
    places: "mm of branch",
    value: calibre,
};

fn calibre(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let (mut all_mm, mut grown_mm) = (0.0, 0.0);
    let mut places = vec![];
    for tree in &seen.trees {
        for branch in &tree.branches {
            let Some(parent) = branch.parent.map(|parent| &tree.branches[parent]) else { continue };
            all_mm += branch.length_mm;
            if branch.radius_mm > GROWN * parent.radius_mm {
                grown_mm += branch.length_mm;
                places.push(seen.place(seen.voxel(branch.points[0].mm), branch.length_mm));
            }
        }
    }
    ((all_mm > 0.0).then(|| grown_mm / all_mm), places)
}
