//! Border voxels: those with a face on the background, with the distances between their centres, as MONAI,
//! MetricsReloaded and medpy take them.

use pulmoav_task::Cancelled;
use pulmoav_volume::bits::{Bits, WORD};
use pulmoav_volume::nearest::Nearest;

use crate::pair::{Pair, Which};
use crate::row::Row;
use crate::surface::profile::{Element, Profiles};

/// The border voxels of both masks, each with its distance to the nearest of the other's.
pub(crate) struct Borders {
    voxels: [Bits; 2],
    elements: [Vec<Element>; 2],
}

impl Borders {
    pub(crate) fn find(pair: &Pair<'_>) -> Result<Self, Cancelled> {
        let grid = pair.maps.grid();
        // A picture of one plane has its borders in the plane.
        let axes = grid.shape.map(|length| length > 1);
        let masks = [pair.mask(Which::Pred)?, pair.mask(Which::Reference)?];
        let voxels = masks.map(|mask| border(mask, axes));
        let of = |which: Which| -> Result<Vec<Element>, Cancelled> {
            pair.maps.monitor.proceed()?;
            let nearest = Nearest::new(&voxels[which.other() as usize], grid.spacing_mm);
            let distances = nearest.distances_mm(&voxels[which as usize]);
            Ok(distances.into_iter().map(|distance_mm| Element { distance_mm, weight: 1.0 }).collect())
        };
        let elements = [of(Which::Pred)?, of(Which::Reference)?];
        Ok(Self { voxels, elements })
    }

    /// Those that count.
    pub(crate) fn profiles(&self, row: &Row<'_>) -> Profiles {
        Profiles::of(&self.voxels, &self.elements, row.options.lets_all(), |at| row.lets(at) == Some(true))
    }
}

/// The voxels of a mask with a face on the background, along the axes that are asked for.
pub(crate) fn border(mask: &Bits, [along_z, along_y, along_x]: [bool; 3]) -> Bits {
    let [depth, height, _] = mask.shape();
    let mut found = Bits::empty(mask.shape());
    // The outermost rows are margin.
    for z in 1..depth.saturating_sub(1) {
        for y in 1..height.saturating_sub(1) {
            let row = mask.row(z, y);
            for (index, &word) in row.iter().enumerate().filter(|(_, word)| **word != 0) {
                let mut inside = u64::MAX;
                if along_z {
                    inside &= mask.row(z - 1, y)[index] & mask.row(z + 1, y)[index];
                }
                if along_y {
                    inside &= mask.row(z, y - 1)[index] & mask.row(z, y + 1)[index];
                }
                if along_x {
                    let before = index.checked_sub(1).map_or(0, |before| row[before] >> (WORD - 1));
                    let after = row.get(index + 1).map_or(0, |after| after << (WORD - 1));
                    inside &= (word << 1 | before) & (word >> 1 | after);
                }
                found.row_mut(z, y)[index] = word & !inside;
            }
        }
    }
    found
}
