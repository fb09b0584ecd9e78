//! The best Dice that a grid allows.

use pulmoav_volume::crop::{Extent, View};
use pulmoav_volume::resample::resize_within;
use rayon::prelude::*;

/// Dice that a label keeps through a grid and back when shares, not labels, are carried: what no model on that grid can
/// beat. `total` voxels have the label, some of them perhaps outside the view; `None` where there is none.
///
/// # Shapes
/// `labels`: `[z, y, x]`; `shape`: the voxels of the grid that fill `extent` of it.
pub(crate) fn kept(labels: &View<'_, u8>, label: u8, extent: &Extent, shape: [usize; 3], total: usize) -> Option<f64> {
    let truth: Vec<f32> = labels.to_vec().par_iter().map(|&found| f32::from(u8::from(found == label))).collect();
    let fine = labels.shape();
    let coarse = resize_within(&View::new(&truth, fine), extent, shape);
    let back = resize_within(&View::new(&coarse, shape), &extent.inverse(fine, shape), fine);
    let kept = back.par_iter().zip(&truth).filter(|&(&b, &t)| b > 0.5 && t > 0.5).count();
    let found = back.par_iter().filter(|&&b| b > 0.5).count();
    (total > 0).then(|| 2.0 * kept as f64 / (found + total) as f64)
}
