//! A voxel that every crop of a scan chooses alike, for grids that must not depend on where the scan was cut.
//!
//! Each voxel of a vessel in the lungs gets a number from its own values and its neighbours'; the smallest number wins.
//! Two crops have the same anchor as often as their vessels are the same ones (min-wise hashing, Broder 1997), whatever
//! was cut off or put around them.

use pulmoav_volume::Voxel;
use pulmoav_volume::crop::View;
use rayon::prelude::*;

use crate::coarse::Coarse;

/// Coarse voxels of the lungs below this hold no vessel.
const COARSE_ABOVE_HU: f32 = -780.0;
/// How deep in a lung the anchor lies.
const DEPTH_MM: f64 = 8.0;
/// Vessels and walls lie above.
const ABOVE_HU: f32 = -300.0;

/// Finds the anchor, `[z, y, x]`; the middle of the scan where the lungs hold no vessel.
///
/// # Shapes
/// `hu`: `[z, y, x]` of the scan; `sides`: 0 outside the lungs, `[z, y, x]` of `coarse`.
pub(crate) fn find(hu: &View<'_, impl Voxel>, coarse: &Coarse, sides: &[u8]) -> [usize; 3] {
    let shape = hu.shape();
    let plane = coarse.shape[1] * coarse.shape[2];
    let of_layer = |layer: usize| {
        let held = (layer * plane..(layer + 1) * plane)
            .filter(|&index| sides[index] > 0 && coarse.hu[index] > COARSE_ABOVE_HU && is_deep(coarse, sides, index));
        held.filter_map(|index| smallest(hu, coarse, index)).min()
    };
    let smallest = (0..coarse.shape[0]).into_par_iter().filter_map(of_layer).min();
    smallest.map_or(shape.map(|size| size / 2), |(_, place)| place)
}

/// Whether a coarse voxel lies [`DEPTH_MM`] inside its lung, where crops agree.
fn is_deep(coarse: &Coarse, sides: &[u8], index: usize) -> bool {
    let [_, height, width] = coarse.shape;
    let place = coarse.place(index);
    (0..3).all(|axis| {
        let steps = (DEPTH_MM / coarse.spacing_mm[axis]).ceil() as usize;
        let stride = [height * width, width, 1][axis] * steps;
        let is_inside = place[axis] >= steps && place[axis] + steps < coarse.shape[axis];
        is_inside && sides[index - stride] == sides[index] && sides[index + stride] == sides[index]
    })
}

/// The smallest number in one coarse voxel, and where it is.
fn smallest(hu: &View<'_, impl Voxel>, coarse: &Coarse, index: usize) -> Option<(u64, [usize; 3])> {
    let shape = hu.shape();
    let place = coarse.place(index);
    // The outermost voxels have no neighbours to tell them apart by.
    let range = |axis: usize| {
        let low = place[axis] * coarse.factor[axis];
        low.max(1)..(low + coarse.factor[axis]).min(shape[axis].saturating_sub(1))
    };
    let mut best = None;
    for z in range(0) {
        for y in range(1) {
            for x in range(2).filter(|&x| hu.value(z, y, x) > ABOVE_HU) {
                let found = (number(hu, [z, y, x]), [z, y, x]);
                best = Some(best.map_or(found, |best: (u64, [usize; 3])| best.min(found)));
            }
        }
    }
    best
}

/// A number from a voxel and the six beside it.
fn number(hu: &View<'_, impl Voxel>, [z, y, x]: [usize; 3]) -> u64 {
    let values = [
        hu.value(z, y, x),
        hu.value(z - 1, y, x),
        hu.value(z + 1, y, x),
        hu.value(z, y - 1, x),
        hu.value(z, y + 1, x),
        hu.value(z, y, x - 1),
        hu.value(z, y, x + 1),
    ];
    values.iter().fold(0x9e37_79b9_7f4a_7c15, |number, value| mixed(number ^ u64::from(value.to_bits())))
}

/// The finaliser of `SplitMix64` (Steele 2014).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
