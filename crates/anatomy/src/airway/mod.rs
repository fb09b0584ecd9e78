//! Windpipe and bronchi: the lumen, on the scan's own voxels, and where the windpipe divides.

mod trace;
mod wave;
mod windpipe;

use pulmoav_volume::Grid;
use pulmoav_volume::crop::{View, VoxelBox};

use crate::air::Air;
use crate::body::Body;
use crate::coarse::Coarse;
use trace::{Branch, trace};

/// Branches at least this wide, as a share of the windpipe, are no part of a lung: windpipe and main bronchi.
const MAIN_SHARE: f64 = 0.3;
/// A child of the carina carries at least this much lumen.
const LEAST_CHILD_ML: f64 = 1.0;

/// The airways of one scan.
#[derive(Debug, Clone, Default)]
pub struct Airways {
    /// The lumen: places on the canonical grid, in ascending order.
    pub lumen: Vec<u32>,
    /// Where the windpipe divides, voxels `[z, y, x]` of the canonical grid.
    pub carina: Option<[f64; 3]>,
    /// Mean place of the windpipe along x, coarse voxels.
    pub(crate) windpipe_x: Option<f64>,
    /// Lumen of windpipe and main bronchi.
    main: Vec<u32>,
}

impl Airways {
    /// Finds the airways; none where no windpipe is seen.
    pub(crate) fn find(hu: &View<'_, f32>, grid: &Grid, coarse: &Coarse, body: &Body, air: &Air) -> Self {
        let Some(tube) = windpipe::find(coarse, air) else { return Self::default() };
        let branches = trace(hu, grid, coarse, body, &tube);
        let Some(root) = branches.first() else { return Self::default() };
        let least = MAIN_SHARE * root.area_mm2;
        let mut main: Vec<u32> =
            branches.iter().filter(|b| b.area_mm2 >= least).flat_map(|b| b.voxels.iter().copied()).collect();
        main.sort_unstable();
        let mut lumen: Vec<u32> = branches.iter().flat_map(|b| b.voxels.iter().copied()).collect();
        lumen.sort_unstable();
        let carina = carina(&branches, grid);
        Self { lumen, carina, windpipe_x: Some(tube.x), main }
    }

    /// True in windpipe and main bronchi on the coarse grid, wall included, `[z, y, x]`.
    pub(crate) fn outside_lungs(&self, grid: &Grid, coarse: &Coarse) -> Vec<bool> {
        let mut inside = vec![false; coarse.hu.len()];
        for &voxel in &self.main {
            let [z, y, x] = place(voxel as usize, grid.shape);
            let at = [z, y, x].iter().zip(coarse.factor).map(|(&v, f)| v / f).collect::<Vec<_>>();
            inside[(at[0] * coarse.shape[1] + at[1]) * coarse.shape[2] + at[2]] = true;
        }
        let beside = |index: usize| coarse.neighbours(index).any(|other| inside[other]);
        (0..inside.len()).map(|index| inside[index] || beside(index)).collect()
    }

    /// Sets `value` where the lumen lies on `shape` voxels that fill the box `part` of the scan.
    ///
    /// # Shapes
    /// `to`: `[z, y, x]` of `shape`.
    pub fn draw(&self, to: &mut [u8], value: u8, grid: &Grid, part: &VoxelBox, shape: [usize; 3]) {
        let size = part.shape();
        for &voxel in &self.lumen {
            let at = place(voxel as usize, grid.shape);
            if (0..3).all(|a| part.low[a] <= at[a] && at[a] < part.high[a]) {
                let [z, y, x] = [0, 1, 2].map(|a| (at[a] - part.low[a]) * shape[a] / size[a]);
                to[(z * shape[1] + y) * shape[2] + x] = value;
            }
        }
    }
}

/// `[z, y, x]` of an index.
fn place(index: usize, [_, height, width]: [usize; 3]) -> [usize; 3] {
    [index / (height * width), index / width % height, index % width]
}

/// The end of the branch, on the way down from the root, that divides into two that carry a lung each.
fn carina(branches: &[Branch], grid: &Grid) -> Option<[f64; 3]> {
    let voxel_ml = grid.voxel_ml();
    let mut carried: Vec<f64> = branches.iter().map(|b| b.voxels.len() as f64 * voxel_ml).collect();
    for (number, branch) in branches.iter().enumerate().rev() {
        if let Some(parent) = branch.parent {
            carried[parent] += carried[number];
        }
    }
    let mut at = 0;
    loop {
        let mut children: Vec<usize> = (0..branches.len()).filter(|&b| branches[b].parent == Some(at)).collect();
        children.sort_by(|&a, &b| carried[b].total_cmp(&carried[a]));
        match children[..] {
            [_, second, ..] if carried[second] >= LEAST_CHILD_ML => break,
            [first, ..] => at = first,
            [] => return None,
        }
    }
    let end = &branches[at].end;
    let mut sum = [0.0; 3];
    for &voxel in end {
        let at = place(voxel as usize, grid.shape);
        (0..3).for_each(|axis| sum[axis] += at[axis] as f64);
    }
    Some(sum.map(|s| s / end.len().max(1) as f64))
}
