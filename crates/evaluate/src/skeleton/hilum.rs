//! By distance from the hilum, in a straight line: below 20 mm, 20 to 40, 40 to 60, and 60 mm and more. Of the
//! reference's centreline in the lungs, the share of the length that was found.
//!
//! The hilum of a lung is the middle (of each coordinate, the median) of the reference's vessel voxels in it that have
//! a face on a vessel voxel outside both lungs.

use pulmoav_volume::{Grid, Mask};

use crate::options::Options;
use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};
use crate::skeleton::line_points::length_share;

/// Distances that part the strata, mm.
const EDGES_MM: [f64; 5] = [0.0, 20.0, 40.0, 60.0, f64::INFINITY];

const A_RECALL: Score = Score {
    name: "lengthRecallHilumBelow20mm",
    title: "Length found, < 20 mm from the hilum",
    group: Group::Skeleton,
    unit: Unit::Share,
    better: Better::Higher,
    value: recall::<0>,
};

pub(crate) const RECALL: [Score; 4] = [
    A_RECALL,
    Score {
        name: "lengthRecallHilum20To40mm",
        title: "Length found, 20–40 mm from the hilum",
        value: recall::<1>,
        ..A_RECALL
    },
    Score {
        name: "lengthRecallHilum40To60mm",
        title: "Length found, 40–60 mm from the hilum",
        value: recall::<2>,
        ..A_RECALL
    },
    Score {
        name: "lengthRecallHilumFrom60mm",
        title: "Length found, ≥ 60 mm from the hilum",
        value: recall::<3>,
        ..A_RECALL
    },
];

/// The lungs' values in a map of sides.
const SIDES: [u8; 2] = [1, 2];

/// Where the vessels enter the lungs, mm from the first voxel along the axes; `None` for a lung that none enters.
#[derive(Debug)]
pub(crate) struct Hila([Option<[f64; 3]>; 2]);

impl Hila {
    /// `None` where no vessel enters either lung.
    pub(crate) fn find(reference: &Mask, lungs: &Mask, options: &Options<'_>) -> Option<Self> {
        let is_vessel = |label: u8| options.targets.iter().any(|target| target.labels.contains(&label));
        let [_, height, width] = reference.grid.shape;
        let mut gates: [Vec<[usize; 3]>; 2] = [Vec::new(), Vec::new()];
        for (voxel, &label) in reference.data.iter().enumerate().filter(|(_, label)| **label != 0) {
            let Some(side) = SIDES.iter().position(|&side| side == lungs.data[voxel]) else { continue };
            let at = [voxel / (height * width), voxel / width % height, voxel % width];
            let is_outside = |other: usize| lungs.data[other] == 0 && is_vessel(reference.data[other]);
            if is_vessel(label) && face_neighbours(at, &reference.grid).any(is_outside) {
                gates[side].push(at);
            }
        }
        let hila = gates.map(|gate| middle_mm(&gate, reference.grid.spacing_mm));
        hila.iter().any(Option::is_some).then_some(Self(hila))
    }

    /// The distance of a voxel in a lung from its hilum, mm.
    fn distance_mm(&self, [z, y, x]: [usize; 3], lung: u8, spacing_mm: [f64; 3]) -> Option<f64> {
        let hilum = self.0[SIDES.iter().position(|&side| side == lung)?]?;
        let gap_mm = |(axis, at): (usize, usize)| at as f64 * spacing_mm[axis] - hilum[axis];
        Some([z, y, x].into_iter().enumerate().map(|at| gap_mm(at).powi(2)).sum::<f64>().sqrt())
    }
}

fn face_neighbours([z, y, x]: [usize; 3], grid: &Grid) -> impl Iterator<Item = usize> {
    let [depth, height, width] = grid.shape;
    let index = move |[z, y, x]: [usize; 3]| (z * height + y) * width + x;
    let before = [(z > 0).then(|| [z - 1, y, x]), (y > 0).then(|| [z, y - 1, x]), (x > 0).then(|| [z, y, x - 1])];
    let after = [
        (z + 1 < depth).then_some([z + 1, y, x]),
        (y + 1 < height).then_some([z, y + 1, x]),
        (x + 1 < width).then_some([z, y, x + 1]),
    ];
    before.into_iter().chain(after).flatten().map(index)
}

fn middle_mm(voxels: &[[usize; 3]], spacing_mm: [f64; 3]) -> Option<[f64; 3]> {
    let median = |axis: usize| {
        let mut places: Vec<usize> = voxels.iter().map(|at| at[axis]).collect();
        let (_, middle, _) = places.select_nth_unstable(voxels.len() / 2);
        *middle as f64 * spacing_mm[axis]
    };
    (!voxels.is_empty()).then(|| std::array::from_fn(median))
}

fn recall<const STRATUM: usize>(row: &Row<'_>) -> Value {
    let (Some(lungs), Some(hila)) = (row.case.options.lungs, row.case.hila()?) else { return Ok(None) };
    let (maps, spacing_mm) = (&row.case.maps, row.grid().spacing_mm);
    let line = row.pair.line(Which::Reference)?;
    let is_in = |number: usize| {
        let at = line.points[number].at;
        let Some(voxel) = maps.voxel(at) else { return false };
        // The box may begin anywhere: distances count from the map's own first voxel.
        let width = maps.grid().shape[2];
        let height = maps.grid().shape[1];
        let place = [voxel / (height * width), voxel / width % height, voxel % width];
        let distance_mm = hila.distance_mm(place, lungs.data[voxel], spacing_mm);
        distance_mm.is_some_and(|mm| (EDGES_MM[STRATUM]..EDGES_MM[STRATUM + 1]).contains(&mm))
    };
    let points = row.points(Which::Reference)?.iter().filter(|point| is_in(point.number));
    Ok(length_share(points, |point| point.inside))
}
