//! What fluid, a consolidation or a tumour took from a lung: soft tissue where the mirrored other lung has air.
//!
//! Heart, aorta, and domes of unequal height are no such thing: what lies near the midline, before the heart's back, or is thin does
//! not count, nor does tissue that fills whole slices down to the base, which is a raised diaphragm.

use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::distance::near_squared_distance_mm2;

use crate::coarse::Coarse;
use crate::lungs::{LEFT, RIGHT};

/// Soft tissue; bone lies above.
const TISSUE_HU: std::ops::Range<f32> = -150.0..250.0;
const BONE_ABOVE_HU: f32 = 250.0;
/// The thinnest part that counts is twice this thick.
const OPENING_MM: f64 = 9.0;
const LEAST_ML: f64 = 40.0;
/// Nearer to the midline there are spine, aorta and hilum, as a share of half the lungs' width.
const LEAST_FROM_MIDDLE: f64 = 0.3;
/// The heart: its reach to the left as a share of half the lungs' width, and its back as a share of the lungs' depth.
const HEART_WIDTH: f64 = 0.85;
const HEART_BACK: f64 = 0.38;
/// Heights of the heart as a share of the lungs' height.
const HEART_TOP: f64 = 0.6;
/// How far the plane of symmetry is looked for beside the middle of the lungs, mm.
const SEARCH_MM: f64 = 20.0;
/// A slice with less air than this share of the mirrored lung is not lung.
const LEAST_AIR_SHARE: f64 = 0.25;
/// A lung of less than this share of the other is not completed: it may not be there at all.
const LEAST_LUNG_SHARE: f64 = 0.2;

/// Adds to each lung what is missing of it; `sides` holds 0, [`LEFT`] or [`RIGHT`], `[z, y, x]`.
pub(crate) fn complete(coarse: &Coarse, sides: &mut [u8], middle_mm: f64, half_width_mm: f64) {
    let count = |side: u8| sides.iter().filter(|&&v| v == side).count() as f64;
    let (left, right) = (count(LEFT), count(RIGHT));
    if left.min(right) < LEAST_LUNG_SHARE * left.max(right) {
        return;
    }
    let Some(bounds) = VoxelBox::around(sides, coarse.shape, |v| v > 0) else { return };
    let mirror = Mirror::find(coarse, &bounds, middle_mm);
    let chest = Chest { coarse, bounds, middle_mm: mirror.middle_mm(coarse), half_width_mm };
    let additions: Vec<(usize, u8)> = [(LEFT, RIGHT), (RIGHT, LEFT)]
        .into_iter()
        .flat_map(|(side, other)| chest.missing(sides, side, other, &mirror).into_iter().map(move |i| (i, side)))
        .collect();
    for (index, side) in additions {
        sides[index] = side;
    }
}

/// Mirrors coarse voxels at a plane of symmetry.
struct Mirror {
    /// x + mirrored x.
    sum: usize,
}

impl Mirror {
    /// The plane near the middle at which the bones mirror each other best.
    fn find(coarse: &Coarse, bounds: &VoxelBox, middle_mm: f64) -> Self {
        let [_, height, width] = coarse.shape;
        let step_mm = coarse.spacing_mm[2];
        let centre = (2.0 * middle_mm / step_mm) as isize - 1;
        let reach = (2.0 * SEARCH_MM / step_mm) as isize;
        let bone = |z: usize, y: usize, x: usize| coarse.hu[(z * height + y) * width + x] > BONE_ABOVE_HU;
        let matches = |sum: isize| {
            let mut count = 0usize;
            for z in bounds.low[0]..bounds.high[0] {
                for y in bounds.low[1]..bounds.high[1] {
                    for x in (0..width).filter(|&x| bone(z, y, x)) {
                        let other = sum - x as isize;
                        count += usize::from(other >= 0 && (other as usize) < width && bone(z, y, other as usize));
                    }
                }
            }
            count
        };
        let best = (centre - reach..=centre + reach).max_by_key(|&sum| (matches(sum), -(sum - centre).abs()));
        Self { sum: best.unwrap_or(centre).max(0) as usize }
    }

    fn middle_mm(&self, coarse: &Coarse) -> f64 {
        (self.sum as f64 + 1.0) / 2.0 * coarse.spacing_mm[2]
    }

    /// The index of the mirrored voxel.
    fn of(&self, coarse: &Coarse, index: usize) -> Option<usize> {
        let x = index % coarse.shape[2];
        let other = self.sum.checked_sub(x).filter(|&other| other < coarse.shape[2])?;
        Some(index - x + other)
    }
}

/// What the search needs to know of the chest.
struct Chest<'a> {
    coarse: &'a Coarse,
    bounds: VoxelBox,
    middle_mm: f64,
    half_width_mm: f64,
}

impl Chest<'_> {
    /// Coarse voxels that belong to `side` too.
    fn missing(&self, sides: &[u8], side: u8, other: u8, mirror: &Mirror) -> Vec<usize> {
        let coarse = self.coarse;
        let expected = |index: usize| mirror.of(coarse, index).is_some_and(|mirrored| sides[mirrored] == other);
        let has_air = self.slices_with_air(sides, side, expected);
        let may_be = |index: usize| {
            sides[index] == 0
                && TISSUE_HU.contains(&coarse.hu[index])
                && expected(index)
                && has_air[coarse.place(index)[0]]
                && !self.is_elsewhere(index, side)
        };
        let depth = near_squared_distance_mm2(|index| !may_be(index), coarse.shape, coarse.spacing_mm, OPENING_MM);
        let core: Vec<u8> = depth.iter().map(|d| u8::from(d.is_infinite())).collect();
        if !core.contains(&1) {
            return Vec::new();
        }
        let back =
            near_squared_distance_mm2(|index| core[index] != 0, coarse.shape, coarse.spacing_mm, OPENING_MM + 4.0);
        let opened: Vec<u8> = (0..core.len()).map(|i| u8::from(back[i].is_finite() && may_be(i))).collect();
        let found = components(&opened, coarse.shape, Connectivity::Faces);
        let least = (LEAST_ML / coarse.voxel_ml()) as usize;
        let large = |label: u32| label > 0 && found.sizes[label as usize - 1] >= least;
        found.labels.iter().enumerate().filter(|&(_, &label)| large(label)).map(|(index, _)| index).collect()
    }

    /// Where the lung still has air beside the tissue, or above and below it.
    fn slices_with_air(&self, sides: &[u8], side: u8, expected: impl Fn(usize) -> bool) -> Vec<bool> {
        let plane = self.coarse.shape[1] * self.coarse.shape[2];
        let enough = |z: usize| {
            let (mut here, mut there) = (0usize, 0usize);
            for index in z * plane..(z + 1) * plane {
                here += usize::from(sides[index] == side);
                there += usize::from(expected(index));
            }
            here as f64 >= LEAST_AIR_SHARE * there as f64 && here > 0
        };
        let mut has_air: Vec<bool> = (0..self.coarse.shape[0]).map(enough).collect();
        let lowest = has_air.iter().position(|&v| v).unwrap_or(has_air.len());
        let highest = has_air.iter().rposition(|&v| v).map_or(lowest, |z| z + 1);
        has_air[lowest..highest].fill(true);
        has_air
    }

    /// Near the midline, or where the heart is.
    fn is_elsewhere(&self, index: usize, side: u8) -> bool {
        let place = self.coarse.place(index);
        let share =
            |axis: usize| (place[axis] as f64 + 0.5 - self.bounds.low[axis] as f64) / self.bounds.shape()[axis] as f64;
        let from_middle =
            ((place[2] as f64 + 0.5) * self.coarse.spacing_mm[2] - self.middle_mm).abs() / self.half_width_mm;
        let heart = side == LEFT && from_middle < HEART_WIDTH && share(1) > HEART_BACK && share(0) < HEART_TOP;
        from_middle < LEAST_FROM_MIDDLE || heart
    }
}
