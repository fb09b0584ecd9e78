//! Soft tissue between the air of a lung and the ribs behind it.
//!
//! A lung lies against the ribs. Where there is thick soft tissue between them, and no air behind it, fluid or a
//! consolidation has sunk to the back. This needs no other lung to compare with.

use pulmoav_volume::crop::VoxelBox;
use rayon::prelude::*;

use super::{DENSE_LUNG_HU, HU_APART, MIN_FROM_MIDDLE_MM, TISSUE_HU, base, mean_around, mean_hu, opened};
use crate::coarse::Coarse;
use crate::side::{LEFT, RIGHT, count_of};

/// Bones grown by this close the gaps between ribs.
const RIB_GAP_MM: f64 = 12.0;
/// Thickness of what lies between a lung and a rib.
const WALL_MM: f64 = 3.0;
/// A dome of the diaphragm reaches up to this share of a lung's height.
const DOME_SHARE: f64 = 0.3;
/// Less above it is no fluid.
const MIN_ABOVE_ML: f64 = 15.0;
/// Gaps of up to twice this width between columns are closed.
const CLOSING_MM: f64 = 8.0;
/// Thinner layers may be wall: muscle, fat, thickened pleura.
const THIN_MM: f64 = 10.0;
/// Where a slice holds less air than this share of the fullest one, the tissue may be a dome of the diaphragm.
const MIN_SLICE_SHARE: f64 = 0.25;

/// Coarse voxels that belong to a lung too, with its side; `sides` holds 0, [`LEFT`] or [`RIGHT`], `[z, y, x]`.
pub(super) fn additions(coarse: &Coarse, bones: &[bool], sides: &[u8], middle_mm: f64) -> Vec<(usize, u8)> {
    // The ribs with what lies between them, and some wall on them.
    let cage = coarse.closed(|index| bones[index], RIB_GAP_MM, RIB_GAP_MM - WALL_MM);
    let between = between_air_and_wall(coarse, sides, &cage, middle_mm);
    let of = |side: u8| {
        let may_be: Vec<bool> = between.iter().map(|&found| found == side).collect();
        let mut sunken = opened(coarse, &may_be, THIN_MM / 2.0, THIN_MM / 2.0 + 2.0);
        close(coarse, &mut sunken, |index| sides[index] == 0 && !cage[index] && TISSUE_HU.contains(&coarse.hu[index]));
        without_dome(coarse, sides, side, &mut sunken);
        sunken.extend(base::below(coarse, &cage, sides, &sunken, middle_mm));
        sunken.into_iter().map(move |index| (index, side))
    };
    [LEFT, RIGHT].into_iter().flat_map(of).collect()
}

/// Takes away what may be a dome of the diaphragm that lies against the ribs: in the lower part of the lung what is
/// brighter than the fluid above, and all where there is none above.
fn without_dome(coarse: &Coarse, sides: &[u8], side: u8, sunken: &mut Vec<usize>) {
    let Some(bounds) = VoxelBox::around(sides, coarse.shape, |v| v == side) else { return };
    let plane = coarse.shape[1] * coarse.shape[2];
    let [low, high] = [bounds.low[0], bounds.high[0]];
    let dome = low + (DOME_SHARE * (high - low) as f64).ceil() as usize;
    let is_above = |&index: &usize| coarse.place(index)[0] >= dome;
    let above: Vec<usize> = sunken.iter().copied().filter(is_above).collect();
    let area = |z: usize| count_of(&sides[z * plane..(z + 1) * plane], side);
    let widest = (low..high).map(area).max().unwrap_or(0);
    // Where the scan ends in the midst of the lung, nobody knows how high that reaches.
    let is_cut = high == coarse.shape[0] && area(high - 1) as f64 >= MIN_SLICE_SHARE * widest as f64;
    let is_sure = !is_cut && above.len() as f64 * coarse.voxel_ml() >= MIN_ABOVE_ML;
    if !is_sure {
        return sunken.clear();
    }
    let mean = mean_hu(coarse, &above);
    let is_fluid = |index: usize| mean_around(coarse, index) - mean < HU_APART;
    sunken.retain(|&index| is_above(&index) || is_fluid(index));
}

/// Adds what lies in gaps of `found` that are up to twice [`CLOSING_MM`] wide.
fn close(coarse: &Coarse, found: &mut Vec<usize>, may_be: impl Fn(usize) -> bool) {
    if found.is_empty() {
        return;
    }
    let mut within = vec![false; coarse.hu.len()];
    for &index in found.iter() {
        within[index] = true;
    }
    let closed = coarse.closed(|index| within[index], CLOSING_MM, CLOSING_MM);
    found.extend((0..within.len()).filter(|&index| closed[index] && !within[index] && may_be(index)));
}

/// The side of the lung whose air lies before a voxel that has the rib cage behind it and only soft tissue in both
/// directions, else 0; `[z, y, x]`.
fn between_air_and_wall(coarse: &Coarse, sides: &[u8], wall: &[bool], middle_mm: f64) -> Vec<u8> {
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
                    } else if wall[index] {
                        *column = Column::OpenFrom(y + 1);
                    } else if !(DENSE_LUNG_HU..TISSUE_HU.end).contains(&coarse.hu[index]) {
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
