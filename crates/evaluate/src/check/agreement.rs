//! Branches whose voxels, or neighbours, disagree about their class.
//!
//! A vessel is artery or vein along its whole length. `mixed` = Σ length of centreline whose class is not that of most
//! of its branch / Σ length, over the branches of both classes' common centreline. `againstTree` = Σ length of branches
//! that would get the other class were each to go with what it hangs on / Σ length (docs/trees.md, One class a branch).

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;

pub(super) const MIXED: Figure = Figure {
    name: "mixed",
    title: "Length of centreline whose class is not its branch's",
    unit: "",
    kind: Kind::FollowsErrors,
    limits: Limits { green: [0.0, 0.065], yellow: [0.0, 0.08] },
    source: "phantoms (docs/checking.md)",
    places: "mm of centreline",
    value: mixed,
};

pub(super) const AGAINST_TREE: Figure = Figure {
    name: "againstTree",
    title: "Length of branches whose tree is of the other class",
    value: against_tree,
    limits: Limits { green: [0.0, 0.03], yellow: [0.0, 0.045] },
    places: "mm of branch",
    ..MIXED
};

fn mixed(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let (mut all_mm, mut mixed_mm) = (0.0, 0.0);
    let mut places = vec![];
    for branch in &seen.vessels.branches {
        let voxels: Vec<[usize; 3]> = branch.points.iter().map(|point| seen.voxel(point.mm)).collect();
        let of = |class: u8| voxels.iter().filter(|&&at| seen.classes[seen.index(at)] == class).count();
        let counts = [of(1), of(2)];
        let known = counts[0] + counts[1];
        if known == 0 {
            continue;
        }
        let less = if counts[0] < counts[1] { 1 } else { 2 };
        let share = counts[less - 1] as f64 / known as f64;
        all_mm += branch.length_mm;
        mixed_mm += share * branch.length_mm;
        if let Some(&at) = voxels.iter().find(|&&at| usize::from(seen.classes[seen.index(at)]) == less) {
            places.push(seen.place(at, share * branch.length_mm));
        }
    }
    ((all_mm > 0.0).then(|| mixed_mm / all_mm), places)
}

fn against_tree(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let all_mm: f64 = seen.trees.iter().flat_map(|tree| &tree.branches).map(|branch| branch.length_mm).sum();
    let against_mm: f64 = seen.tidied.changes.iter().map(|change| change.length_mm).sum();
    let place = |change: &pulmoav_tree::tidy::Change| seen.place(seen.voxel(change.at_mm), change.length_mm);
    ((all_mm > 0.0).then(|| against_mm / all_mm), seen.tidied.changes.iter().map(place).collect())
}
