//! How much of each centreline lies in the other's vessels.

use pulmoav_task::{Cancelled, Monitor};
use pulmoav_tree::skeleton_of;
use pulmoav_volume::Mask;
use pulmoav_volume::crop::{VoxelBox, crop};

use crate::options::{Options, Target};

/// Voxels of the centrelines of one target, by 3-D thinning, where every restriction lets them count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// On the prediction's centreline.
    pub pred: u64,
    /// Of these, in the reference's vessels.
    pub pred_inside: u64,
    /// On the reference's centreline.
    pub reference: u64,
    /// Of these, in the predicted vessels.
    pub reference_inside: u64,
}

impl Lines {
    /// Thins the target's voxels of both maps, which are on one grid. The whole target is thinned, also where a
    /// restriction does not let it count: a cut would end every vessel there.
    pub(crate) fn count(
        pred: &Mask,
        reference: &Mask,
        target: &Target,
        options: &Options<'_>,
        monitor: &dyn Monitor,
    ) -> Result<Self, Cancelled> {
        monitor.proceed()?;
        let (pred_voxels, pred_inside) = on_line(pred, reference, target, options);
        monitor.proceed()?;
        let (reference_voxels, reference_inside) = on_line(reference, pred, target, options);
        Ok(Self { pred: pred_voxels, pred_inside, reference: reference_voxels, reference_inside })
    }
}

/// Voxels of the target's centreline in `map`, and how many of them are the target's in `other`.
fn on_line(map: &Mask, other: &Mask, target: &Target, options: &Options<'_>) -> (u64, u64) {
    let is_target = |label: u8| target.labels.contains(&label);
    let Some(part) = VoxelBox::around(&map.data, map.grid.shape, is_target) else { return (0, 0) };
    let mut vessels = crop(map, &part);
    vessels.data.iter_mut().for_each(|label| *label = u8::from(is_target(*label)));
    let line = skeleton_of(&vessels.data, vessels.grid.shape);
    let [_, height, width] = map.grid.shape;
    let [depth, rows, columns] = vessels.grid.shape;
    let (mut voxels, mut inside) = (0, 0);
    for (at, _) in line.iter().enumerate().filter(|(_, on)| **on != 0) {
        let [z, y, x] = [at / (rows * columns), at / columns % rows, at % columns];
        debug_assert!(z < depth);
        let voxel = ((part.low[0] + z) * height + part.low[1] + y) * width + part.low[2] + x;
        if options.restrictions.iter().all(|restriction| restriction.lets(voxel)) {
            voxels += 1;
            inside += u64::from(is_target(other.data[voxel]));
        }
    }
    (voxels, inside)
}
