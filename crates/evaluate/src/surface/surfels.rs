//! Surface elements: the corners between voxels where object and background meet, each with the area of its surface.

use pulmoav_task::Cancelled;
use pulmoav_volume::bits::{Bits, WORD};
use pulmoav_volume::nearest::Nearest;
use rayon::prelude::*;

use crate::pair::{Pair, Which};
use crate::row::Row;
use crate::surface::areas::areas_mm2;
use crate::surface::profile::{Element, Profiles};

/// The surface elements of both masks, each with its distance to the nearest of the other's.
pub(crate) struct Surfels {
    /// Corner `[z, y, x]` lies between the voxels `z - 1` and `z`, and so on.
    corners: [Bits; 2],
    /// In scan order of the corners.
    elements: [Vec<Element>; 2],
}

impl Surfels {
    pub(crate) fn find(pair: &Pair<'_>) -> Result<Self, Cancelled> {
        let spacing_mm = pair.maps.grid().spacing_mm;
        let masks = [pair.mask(Which::Pred)?, pair.mask(Which::Reference)?];
        let corners = masks.map(corners);
        let areas = areas_mm2(spacing_mm);
        let of = |which: Which| -> Result<Vec<Element>, Cancelled> {
            pair.maps.monitor.proceed()?;
            let (own, other) = (&corners[which as usize], &corners[which.other() as usize]);
            let distances = Nearest::new(other, spacing_mm).distances_mm(own);
            let elements = own.iter().zip(distances).map(|(at, distance_mm)| {
                let area = areas[pattern(masks[which as usize], at)];
                Element { distance_mm, weight: area }
            });
            Ok(elements.collect())
        };
        let elements = [of(Which::Pred)?, of(Which::Reference)?];
        Ok(Self { corners, elements })
    }

    /// Those that count: all voxels round them do.
    pub(crate) fn profiles(&self, row: &Row<'_>) -> Profiles {
        let lets = |[z, y, x]: [usize; 3]| {
            (0..8).all(|k| row.lets([z - 1 + (k >> 2), y - 1 + (k >> 1 & 1), x - 1 + (k & 1)]) != Some(false))
        };
        Profiles::of(&self.corners, &self.elements, row.options.lets_all(), lets)
    }
}

/// The corners round which some voxels are set and some are not.
fn corners(mask: &Bits) -> Bits {
    let [_, height, _] = mask.shape();
    let mut found = Bits::empty(mask.shape());
    let words = mask.row_words();
    if words == 0 {
        return found;
    }
    found.words_mut().par_chunks_mut(words * height).enumerate().skip(1).for_each(|(z, plane)| {
        for (y, row) in plane.chunks_exact_mut(words).enumerate().skip(1) {
            let rows = [mask.row(z - 1, y - 1), mask.row(z - 1, y), mask.row(z, y - 1), mask.row(z, y)];
            let (mut any_before, mut all_before) = (0, 0);
            for (index, word) in row.iter_mut().enumerate() {
                let any = rows.iter().fold(0, |any, row| any | row[index]);
                let all = rows.iter().fold(u64::MAX, |all, row| all & row[index]);
                let (any_beside, all_beside) = (any << 1 | any_before, all << 1 | all_before);
                *word = (any | any_beside) & !(all & all_beside);
                (any_before, all_before) = (any >> (WORD - 1), all >> (WORD - 1));
            }
        }
    });
    found
}

/// The 2 × 2 × 2 voxels round a corner, bit 4 z + 2 y + x.
fn pattern(mask: &Bits, [z, y, x]: [usize; 3]) -> usize {
    (0..8)
        .fold(0, |bits, k| bits | usize::from(mask.get([z - 1 + (k >> 2), y - 1 + (k >> 1 & 1), x - 1 + (k & 1)])) << k)
}
