//! Soft tissue where the mirrored other lung has air.
//!
//! Heart, aorta and unequal domes are soft tissue opposite a lung too. So what lies near the midline, where the heart
//! is, or is thin does not count, nor does tissue that fills whole slices at the base, which is a raised diaphragm.

use pulmoav_volume::crop::VoxelBox;
use rayon::prelude::*;

use super::{TISSUE_HU, opened};
use crate::air::Air;
use crate::coarse::Coarse;
use crate::side::{LEFT, RIGHT, count_of};

/// Radius of the opening: the thinnest part that counts is twice this thick.
const OPENING_MM: f64 = 9.0;
/// Nearer to the midline there are spine, aorta and hilum, as a share of half the lungs' width.
const MIN_FROM_MIDDLE: f64 = 0.3;
/// The heart: its reach to the left as a share of half the lungs' width, and its back as a share of the lungs' depth.
const HEART_WIDTH: f64 = 0.85;
const HEART_BACK: f64 = 0.38;
/// Heights of the heart as a share of the lungs' height.
const HEART_TOP: f64 = 0.6;
/// How far the plane of symmetry is looked for beside the middle of the lungs, mm.
const SEARCH_MM: f64 = 20.0;
/// A slice with less air than this share of the mirrored lung is not lung.
const MIN_AIR_SHARE: f64 = 0.25;
/// Above a level, air fills at least this share of half a slice, and below it less than this share of that.
const MIN_LEVEL_SHARE: f64 = 0.15;
const MAX_SUNK_SHARE: f64 = 0.15;
/// Two healthy domes differ in height by less.
const MIN_DEPTH_MM: f64 = 40.0;
/// More gas than this below a lung is the bowel's.
const MIN_GAS_ML: f64 = 1.0;
/// Oblique lines of symmetry that are tried, on each side, and the step between them.
const MAX_TURNS: isize = 6;
const TURN_STEP_DEGREES: f64 = 3.5;
/// The search compares at most about so many voxels of bone.
const MAX_BONES: usize = 2000;
/// A lung of less than this share of the other is not completed: it may not be there at all.
const MIN_LUNG_SHARE: f64 = 0.2;

/// Coarse voxels that belong to a lung too, with its side; `sides` holds 0, [`LEFT`] or [`RIGHT`], `[z, y, x]`.
pub(super) fn additions(
    coarse: &Coarse,
    air: &Air,
    bones: &[bool],
    sides: &[u8],
    middle_mm: f64,
    half_width_mm: f64,
) -> Vec<(usize, u8)> {
    let count = |side: u8| count_of(sides, side) as f64;
    let (left, right) = (count(LEFT), count(RIGHT));
    if left.min(right) < MIN_LUNG_SHARE * left.max(right) {
        return Vec::new();
    }
    let Some(bounds) = VoxelBox::around(sides, coarse.shape, |v| v > 0) else { return Vec::new() };
    let mirror = Mirror::find(coarse, bones, &bounds, middle_mm);
    let opposite = mirror.opposite(coarse, sides);
    let chest = Chest { coarse, bounds, half_width_mm };
    let of = |side: u8, other: u8| {
        let missing = chest.missing(air, sides, side, Expected { opposite: &opposite, other }, &mirror);
        missing.into_iter().map(move |index| (index, side))
    };
    of(LEFT, RIGHT).chain(of(RIGHT, LEFT)).collect()
}

/// Mirrors places of a slice at a line, which may be oblique: patients do not always lie straight.
struct Mirror {
    /// A place on the line and its direction, mm along `[y, x]`.
    on_line_mm: [f64; 2],
    direction: [f64; 2],
}

impl Mirror {
    /// The line near the middle at which the bones mirror each other best.
    fn find(coarse: &Coarse, is_bone: &[bool], bounds: &VoxelBox, middle_mm: f64) -> Self {
        let [_, height, width] = coarse.shape;
        let middle_y_mm = f64::midpoint(bounds.low[1] as f64, bounds.high[1] as f64) * coarse.spacing_mm[1];
        let slices = bounds.low[0] * height * width..bounds.high[0] * height * width;
        let bones: Vec<usize> = slices.filter(|&index| is_bone[index]).collect();
        let some = bones.iter().step_by(bones.len().div_ceil(MAX_BONES).max(1));
        let places: Vec<[usize; 3]> = some.map(|&index| coarse.place(index)).collect();
        let candidate = |turn: isize, shift: isize| {
            let angle = turn as f64 * TURN_STEP_DEGREES.to_radians();
            let x_mm = middle_mm + shift as f64 * coarse.spacing_mm[2] / 2.0;
            Self { on_line_mm: [middle_y_mm, x_mm], direction: [angle.cos(), angle.sin()] }
        };
        let matches = |mirror: &Self| {
            places.iter().filter(|&&place| mirror.of(coarse, place).is_some_and(|other| is_bone[other])).count()
        };
        let shifts = (2.0 * SEARCH_MM / coarse.spacing_mm[2]) as isize;
        let all = (-MAX_TURNS..=MAX_TURNS).flat_map(|turn| (-shifts..=shifts).map(move |shift| (turn, shift)));
        let counted: Vec<(usize, isize, (isize, isize))> = all
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(turn, shift)| (matches(&candidate(turn, shift)), -(turn.abs() + shift.abs()), (turn, shift)))
            .collect();
        let (turn, shift) = counted.into_iter().max().map_or((0, 0), |(_, _, best)| best);
        candidate(turn, shift)
    }

    /// The side in the mirrored voxel of each, 0 beyond the slice.
    fn opposite(&self, coarse: &Coarse, sides: &[u8]) -> Vec<u8> {
        let plane = coarse.shape[1] * coarse.shape[2];
        // The line is the same in all slices.
        let places: Vec<Option<usize>> = (0..plane).map(|index| self.of(coarse, coarse.place(index))).collect();
        let mut opposite = vec![0u8; sides.len()];
        opposite.par_chunks_mut(plane.max(1)).zip(sides.par_chunks(plane.max(1))).for_each(|(to, sides)| {
            for (to, place) in to.iter_mut().zip(&places) {
                *to = place.map_or(0, |place| sides[place]);
            }
        });
        opposite
    }

    /// Signed distance from the line, mm; positive where x is larger.
    fn beside_mm(&self, coarse: &Coarse, place: [usize; 3]) -> f64 {
        let [y, x] = self.relative_mm(coarse, place);
        x * self.direction[0] - y * self.direction[1]
    }

    /// Place relative to that on the line, mm along `[y, x]`.
    fn relative_mm(&self, coarse: &Coarse, [_, y, x]: [usize; 3]) -> [f64; 2] {
        [
            (y as f64 + 0.5) * coarse.spacing_mm[1] - self.on_line_mm[0],
            (x as f64 + 0.5) * coarse.spacing_mm[2] - self.on_line_mm[1],
        ]
    }

    /// The index of the mirrored voxel; `None` when that lies beyond the slice.
    fn of(&self, coarse: &Coarse, place: [usize; 3]) -> Option<usize> {
        let [y, x] = self.relative_mm(coarse, place);
        let away = 2.0 * (x * self.direction[0] - y * self.direction[1]);
        let to_mm =
            [y + away * self.direction[1] + self.on_line_mm[0], x - away * self.direction[0] + self.on_line_mm[1]];
        let [_, height, width] = coarse.shape;
        let (y, x) = (to_mm[0] / coarse.spacing_mm[1], to_mm[1] / coarse.spacing_mm[2]);
        let is_inside = y >= 0.0 && x >= 0.0 && (y as usize) < height && (x as usize) < width;
        is_inside.then(|| (place[0] * height + y as usize) * width + x as usize)
    }
}

/// Where a lung is expected: opposite the other one.
#[derive(Clone, Copy)]
struct Expected<'a> {
    /// 0, [`LEFT`] or [`RIGHT`] in the mirrored voxel, `[z, y, x]`.
    opposite: &'a [u8],
    other: u8,
}

impl Expected<'_> {
    fn at(&self, index: usize) -> bool {
        self.opposite[index] == self.other
    }
}

/// What the search needs to know of the chest.
struct Chest<'a> {
    coarse: &'a Coarse,
    bounds: VoxelBox,
    half_width_mm: f64,
}

impl Chest<'_> {
    /// Coarse voxels that belong to `side` too; it is expected where the mirrored other lung is.
    fn missing(&self, air: &Air, sides: &[u8], side: u8, expected: Expected<'_>, mirror: &Mirror) -> Vec<usize> {
        let coarse = self.coarse;
        let may_hold = self.slices_of_lung(air, sides, side, expected);
        let may_be = |index: usize| {
            sides[index] == 0
                && expected.at(index)
                && TISSUE_HU.contains(&coarse.hu[index])
                && may_hold[coarse.place(index)[0]]
                && !self.is_elsewhere(coarse.place(index), side, mirror)
        };
        let may_be: Vec<bool> = (0..sides.len()).into_par_iter().map(may_be).collect();
        if !may_be.contains(&true) {
            return Vec::new();
        }
        opened(coarse, &may_be, OPENING_MM, OPENING_MM + 4.0)
    }

    /// True for the slices in which tissue may be lung: where there is air of the lung beside it, or all before or all
    /// behind it, as what has sunk leaves it, or above and below it; and down to the other lung's base where the
    /// difference is too large for two domes and no bowel gas shows a raised diaphragm.
    fn slices_of_lung(&self, air: &Air, sides: &[u8], side: u8, expected: Expected<'_>) -> Vec<bool> {
        let plane = self.coarse.shape[1] * self.coarse.shape[2];
        let depth = self.coarse.shape[0];
        let slice = |z: usize| z * plane..(z + 1) * plane;
        let wanted: Vec<usize> =
            (0..depth).into_par_iter().map(|z| count_of(&expected.opposite[slice(z)], expected.other)).collect();
        let has_air = |z: usize| {
            let here = count_of(&sides[slice(z)], side);
            here > 0 && (here as f64 >= MIN_AIR_SHARE * wanted[z] as f64 || self.is_level(z, sides, side, expected))
        };
        let mut lung: Vec<bool> = (0..depth).into_par_iter().map(has_air).collect();
        let lowest = lung.iter().position(|&v| v).unwrap_or(depth);
        let highest = lung.iter().rposition(|&v| v).map_or(lowest, |z| z + 1);
        lung[lowest..highest].fill(true);
        let base = wanted.iter().position(|&wanted| wanted > 0).unwrap_or(lowest).min(lowest);
        let is_gas = |&index: &usize| expected.at(index) && air.inside[index] && sides[index] == 0;
        let gas = (base..lowest).flat_map(slice).filter(is_gas).count();
        let is_deep = (lowest - base) as f64 * self.coarse.spacing_mm[0] >= MIN_DEPTH_MM;
        if is_deep && gas as f64 * self.coarse.voxel_ml() < MIN_GAS_ML {
            lung[base..lowest].fill(true);
        }
        lung
    }

    /// Whether the air of a slice lies all in the front half or all in the back half of what is expected; around the
    /// dome of the diaphragm it lies in both.
    fn is_level(&self, z: usize, sides: &[u8], side: u8, expected: Expected<'_>) -> bool {
        let [_, height, width] = self.coarse.shape;
        let row = |y: usize| (z * height + y) * width..(z * height + y + 1) * width;
        let rows: Vec<[usize; 2]> = (0..height)
            .map(|y| {
                [
                    row(y).filter(|&i| expected.at(i)).count(),
                    row(y).filter(|&i| sides[i] == side && expected.at(i)).count(),
                ]
            })
            .collect();
        let sum = |rows: &[[usize; 2]]| rows.iter().fold([0, 0], |sum, row| [sum[0] + row[0], sum[1] + row[1]]);
        let [all, _] = sum(&rows);
        let mut passed = 0;
        let half = rows.iter().position(|row| {
            passed += row[0];
            2 * passed >= all
        });
        let (back, front) = rows.split_at(half.unwrap_or(0));
        let [back, front] = [back, front].map(|rows| {
            let [wanted, air] = sum(rows);
            air as f64 / wanted.max(1) as f64
        });
        back.max(front) >= MIN_LEVEL_SHARE && back.min(front) <= MAX_SUNK_SHARE * back.max(front)
    }

    /// Near the midline, or where the heart is.
    fn is_elsewhere(&self, place: [usize; 3], side: u8, mirror: &Mirror) -> bool {
        let share =
            |axis: usize| (place[axis] as f64 + 0.5 - self.bounds.low[axis] as f64) / self.bounds.shape()[axis] as f64;
        let from_middle = mirror.beside_mm(self.coarse, place).abs() / self.half_width_mm;
        let heart = side == LEFT && from_middle < HEART_WIDTH && share(1) > HEART_BACK && share(0) < HEART_TOP;
        from_middle < MIN_FROM_MIDDLE || heart
    }
}
