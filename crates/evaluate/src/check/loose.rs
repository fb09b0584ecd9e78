//! `loose` = voxels of arteries and veins that hang on no tree of their class / all of them.

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;

pub(super) const LOOSE: Figure = Figure {
    name: "loose",
    title: "Voxels in pieces that hang on no tree",
    unit: "",
    kind: Kind::FollowsErrors,
    limits: Limits { green: [0.0, 0.075], yellow: [0.0, 0.12] },
    source: "phantoms (docs/checking.md)",
    places: "mm of centreline",
    value: loose,
};

fn loose(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let vessels = seen.classes.iter().filter(|&&class| class != 0).count();
    let pieces = seen.trees.iter().flat_map(|tree| tree.pieces.iter().map(move |piece| (tree, piece)));
    let places = pieces.filter(|(_, piece)| !piece.is_tree).map(|(tree, piece)| {
        let root = &tree.branches[piece.root];
        seen.place(seen.voxel(root.points[0].mm), piece.length_mm)
    });
    let share = |count: usize| seen.tidied.loose_before.voxels as f64 / count as f64;
    ((vessels > 0).then(|| share(vessels)), places.collect())
}
