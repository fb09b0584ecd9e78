//! `outside` = vessel voxels that lie in neither lungs nor mediastinum / all of them.

use pulmoav_volume::Volume;
use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::crop::{VoxelBox, crop};

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;

pub(super) const OUTSIDE: Figure = Figure {
    name: "outside",
    title: "Vessels outside lungs and mediastinum",
    unit: "",
    kind: Kind::Plausibility,
    limits: Limits { green: [0.0, 0.08], yellow: [0.0, 0.2] },
    source: "pulmonary vessels run in the lungs and the mediastinum alone; the edges of both are found to a voxel or two, which is up to 8.5 % of the vessels of phantoms",
    places: "voxels",
    value: outside,
};

fn outside(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    if seen.request.surroundings.is_none() {
        return (None, vec![]);
    }
    let is_outside = |index: usize| matches!(seen.region(index), 0 | 4);
    let beyond: Vec<u8> = (0..).zip(&seen.classes).map(|(at, &class)| u8::from(class != 0 && is_outside(at))).collect();
    let all = seen.classes.iter().filter(|&&class| class != 0).count();
    let count = beyond.iter().filter(|&&value| value != 0).count();
    let value = (all > 0).then(|| count as f64 / all as f64);
    let Some(part) = VoxelBox::around(&beyond, seen.grid().shape, |value| value != 0) else { return (value, vec![]) };
    let map = crop(&Volume { data: beyond, grid: *seen.grid() }, &part);
    let [_, height, width] = map.grid.shape;
    let found = components(&map.data, map.grid.shape, Connectivity::Corners);
    let mut first = vec![None; found.sizes.len()];
    for (at, &label) in found.labels.iter().enumerate().filter(|(_, label)| **label > 0) {
        first[label as usize - 1].get_or_insert([at / (height * width), at / width % height, at % width]);
    }
    let places = found.sizes.iter().zip(first).filter_map(|(&size, at)| {
        let at: [usize; 3] = at?;
        Some(seen.place([0, 1, 2].map(|axis| at[axis] + part.low[axis]), size as f64))
    });
    (value, places.collect())
}
