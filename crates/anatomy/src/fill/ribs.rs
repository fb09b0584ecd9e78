//! Soft tissue between the air of a lung and the ribs behind it.
//!
//! A lung lies against the ribs. Where there is thick soft tissue between them, and no air behind it, fluid or a
//! consolidation has sunk to the back. This needs no other lung to compare with.

use pulmoav_volume::dilation::dilated;
use rayon::prelude::*;

use super::{OPENING_MM, TISSUE_HU, opened};
use crate::coarse::Coarse;
use crate::side::{LEFT, RIGHT, count_of};

/// Bones grown by this close the gaps between ribs.
const RIB_GAP_MM: f64 = 12.0;
/// Thickness of what lies between a lung and a rib.
const WALL_MM: f64 = 3.0;
/// Nearer to the plane between the lungs lies the spine with the mediastinum before it.
const MIN_FROM_MIDDLE_MM: f64 = 25.0;
/// Where a slice holds less air than this share of the fullest one, the tissue may be a dome of the diaphragm.
const MIN_SLICE_SHARE: f64 = 0.25;

/// Coarse voxels that belong to a lung too, with its side; `sides` holds 0, [`LEFT`] or [`RIGHT`], `[z, y, x]`.
pub(super) fn additions(coarse: &Coarse, bones: &[bool], sides: &[u8], middle_mm: f64) -> Vec<(usize, u8)> {
    let ribs = dilated(|index| bones[index], coarse.shape, coarse.spacing_mm, RIB_GAP_MM);
    let between = between_air_and_ribs(coarse, sides, &ribs, middle_mm);
    if !between.contains(&LEFT) && !between.contains(&RIGHT) {
        return Vec::new();
    }
    let wall = dilated(|index| bones[index], coarse.shape, coarse.spacing_mm, WALL_MM);
    let is_tissue = |index: usize| sides[index] == 0 && TISSUE_HU.contains(&coarse.hu[index]);
    let of = |side: u8| {
        let may_be: Vec<bool> = between.iter().map(|&found| found == side).collect();
        let thick = opened(coarse, &may_be, OPENING_MM);
        if thick.is_empty() {
            return Vec::new();
        }
        let mut sunken = vec![false; sides.len()];
        for index in thick {
            sunken[index] = true;
        }
        let near = dilated(|index| sunken[index], coarse.shape, coarse.spacing_mm, RIB_GAP_MM - WALL_MM);
        // Up to the ribs it goes on.
        let reaches = |index: usize| near[index] && ribs[index] && !wall[index] && is_tissue(index);
        (0..sides.len()).filter(|&index| sunken[index] || reaches(index)).map(|index| (index, side)).collect::<Vec<_>>()
    };
    [LEFT, RIGHT].into_iter().flat_map(of).collect()
}

/// The side of the lung whose air lies before a voxel that has the ribs behind it and only soft tissue in both
/// directions, else 0; `[z, y, x]`.
fn between_air_and_ribs(coarse: &Coarse, sides: &[u8], ribs: &[bool], middle_mm: f64) -> Vec<u8> {
    let width = coarse.shape[2];
    let plane = (coarse.shape[1] * width).max(1);
    let is_beside = |x: usize| ((x as f64 + 0.5) * coarse.spacing_mm[2] - middle_mm).abs() > MIN_FROM_MIDDLE_MM;
    let mut between = vec![0u8; sides.len()];
    for side in [LEFT, RIGHT] {
        let areas: Vec<usize> = sides.par_chunks(plane).map(|slice| count_of(slice, side)).collect();
        let least = (MIN_SLICE_SHARE * areas.iter().copied().max().unwrap_or(0) as f64).ceil().max(1.0) as usize;
        between.par_chunks_mut(plane).enumerate().filter(|&(z, _)| areas[z] >= least).for_each(|(z, between)| {
            let start = z * plane;
            let mut columns: Vec<Column> =
                (0..width).map(|x| if is_beside(x) { Column::Closed } else { Column::Done }).collect();
            // The back is at low y.
            for y in 0..plane / width {
                for (x, column) in columns.iter_mut().enumerate().filter(|(_, column)| !matches!(column, Column::Done))
                {
                    let index = start + y * width + x;
                    if sides[index] == side {
                        if let Column::OpenFrom(first) = *column {
                            (first..y).for_each(|y| between[y * width + x] = side);
                        }
                        *column = Column::Done;
                    } else if ribs[index] {
                        *column = Column::OpenFrom(y + 1);
                    } else if !TISSUE_HU.contains(&coarse.hu[index]) {
                        *column = Column::Closed;
                    }
                }
            }
        });
    }
    between
}

/// What is known of a column of a slice on the way from the back to the front.
#[derive(Debug, Clone, Copy)]
enum Column {
    /// No rib was met, or what is no soft tissue after it.
    Closed,
    /// From this row on there was only soft tissue after a rib.
    OpenFrom(usize),
    /// The lung was reached, or the column is none to look at.
    Done,
}
