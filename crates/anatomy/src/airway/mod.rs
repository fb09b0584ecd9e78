//! Windpipe and bronchi: the lumen, on the scan's own voxels, and where the windpipe divides.

mod marks;
mod trace;
mod wave;
mod windpipe;

use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::{Grid, Voxel};

use crate::air::Air;
use crate::body::Body;
use crate::coarse::Coarse;
use trace::{Branch, trace};

/// Branches at least this wide, as a share of the windpipe, are no part of a lung: windpipe and main bronchi.
const MAIN_SHARE: f64 = 0.3;
/// A child of the carina carries at least this much lumen.
const MIN_CHILD_ML: f64 = 1.0;
/// A child of a main bronchus at least this much.
const MIN_LOBE_ML: f64 = 0.3;

/// The airways of one scan.
#[derive(Debug, Clone, Default)]
pub struct Airways {
    /// The lumen: indices of the canonical grid, in ascending order.
    pub lumen: Vec<u32>,
    /// Where the windpipe divides, voxels `[z, y, x]` of the canonical grid.
    pub carina: Option<[f64; 3]>,
    /// Lengths of the left and the right main bronchus, mm.
    pub(crate) main_bronchi_mm: Option<[f64; 2]>,
    /// Mean place of the windpipe along x, coarse voxels.
    pub(crate) windpipe_x: Option<f64>,
    /// Lumen of windpipe and main bronchi, indices of the canonical grid in ascending order.
    main: Vec<u32>,
}

impl Airways {
    /// Finds the airways; none where no windpipe is seen.
    pub(crate) fn find(hu: &View<'_, impl Voxel>, grid: &Grid, coarse: &Coarse, body: &Body, air: &Air) -> Self {
        let Some(tube) = windpipe::find(coarse, body, air) else { return Self::default() };
        let branches = trace(hu, grid, coarse, body, &tube);
        let Some(root) = branches.first() else { return Self::default() };
        let least = MAIN_SHARE * root.area_mm2;
        let mut main: Vec<u32> =
            branches.iter().filter(|b| b.area_mm2 >= least).flat_map(|b| b.voxels.iter().copied()).collect();
        main.sort_unstable();
        let mut lumen: Vec<u32> = branches.iter().flat_map(|b| b.voxels.iter().copied()).collect();
        lumen.sort_unstable();
        let (carina, main_bronchi_mm) = divisions(&Tree::new(&branches, grid), grid);
        Self { lumen, carina, main_bronchi_mm, windpipe_x: Some(tube.x), main }
    }

    /// True in windpipe and main bronchi on the coarse grid, wall included, `[z, y, x]`.
    pub(crate) fn outside_lungs(&self, grid: &Grid, coarse: &Coarse) -> Vec<bool> {
        let mut lumen: Vec<usize> =
            self.main.iter().map(|&voxel| coarse.index_of(place(voxel as usize, grid.shape))).collect();
        lumen.dedup();
        let mut inside = vec![false; coarse.hu.len()];
        for index in lumen {
            inside[index] = true;
            coarse.neighbours(index).for_each(|wall| inside[wall] = true);
        }
        inside
    }

    /// The lumen within a box of the canonical grid: indices of the box.
    pub fn lumen_in(&self, part: &VoxelBox, shape: [usize; 3]) -> Vec<u32> {
        let [_, rows, columns] = part.shape();
        let within = |&voxel: &u32| {
            let at = place(voxel as usize, shape);
            let inside = (0..3).all(|axis| (part.low[axis]..part.high[axis]).contains(&at[axis]));
            let [z, y, x] = [0, 1, 2].map(|axis| at[axis].wrapping_sub(part.low[axis]));
            inside.then(|| ((z * rows + y) * columns + x) as u32)
        };
        self.lumen.iter().filter_map(within).collect()
    }

    /// Sets `value` where the lumen lies.
    ///
    /// # Shapes
    /// `to`: `[z, y, x]` of the canonical grid.
    pub fn draw(&self, to: &mut [u8], value: u8) {
        for &voxel in &self.lumen {
            to[voxel as usize] = value;
        }
    }
}

/// `[z, y, x]` of an index.
fn place(index: usize, [_, height, width]: [usize; 3]) -> [usize; 3] {
    [index / (height * width), index / width % height, index % width]
}

/// Branches with what they carry: their own lumen and that of all their children.
struct Tree<'a> {
    branches: &'a [Branch],
    carried_ml: Vec<f64>,
}

impl<'a> Tree<'a> {
    fn new(branches: &'a [Branch], grid: &Grid) -> Self {
        let voxel_ml = grid.voxel_ml();
        let mut carried_ml: Vec<f64> = branches.iter().map(|b| b.voxels.len() as f64 * voxel_ml).collect();
        for (number, branch) in branches.iter().enumerate().rev() {
            if let Some(parent) = branch.parent {
                carried_ml[parent] += carried_ml[number];
            }
        }
        Self { branches, carried_ml }
    }

    /// Children, the one that carries most first.
    fn children(&self, of: usize) -> Vec<usize> {
        let mut children: Vec<usize> =
            (0..self.branches.len()).filter(|&b| self.branches[b].parent == Some(of)).collect();
        children.sort_by(|&a, &b| self.carried_ml[b].total_cmp(&self.carried_ml[a]));
        children
    }

    /// Goes from `at` along what carries most to the first branch with two children of at least `least_ml`, and true;
    /// to the last branch, and false, when there is none.
    fn divides(&self, mut at: usize, least_ml: f64) -> (usize, bool) {
        loop {
            match self.children(at)[..] {
                [_, second, ..] if self.carried_ml[second] >= least_ml => return (at, true),
                [first, ..] => at = first,
                [] => return (at, false),
            }
        }
    }
}

/// Where the windpipe divides, voxels, and the lengths of the left and the right main bronchus from there, mm.
fn divisions(tree: &Tree<'_>, grid: &Grid) -> (Option<[f64; 3]>, Option<[f64; 2]>) {
    let (windpipe, true) = tree.divides(0, MIN_CHILD_ML) else { return (None, None) };
    let end = |branch: usize| centre(&tree.branches[branch].end, grid);
    let carina = end(windpipe);
    let children = tree.children(windpipe);
    let [(a, true), (b, true)] = [0, 1].map(|child| tree.divides(children[child], MIN_LOBE_ML)) else {
        return (Some(carina), None);
    };
    let length_mm = |to: [f64; 3]| {
        (0..3).map(|axis| ((to[axis] - carina[axis]) * grid.spacing_mm[axis]).powi(2)).sum::<f64>().sqrt()
    };
    let (a, b) = (end(a), end(b));
    let (left, right) = if a[2] < b[2] { (a, b) } else { (b, a) };
    (Some(carina), Some([length_mm(left), length_mm(right)]))
}

/// Mean place of voxels.
fn centre(voxels: &[u32], grid: &Grid) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for &voxel in voxels {
        let at = place(voxel as usize, grid.shape);
        for axis in 0..3 {
            sum[axis] += at[axis] as f64;
        }
    }
    sum.map(|s| s / voxels.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{CARINA_MM, STEP_MM, chest, distance_mm};

    #[test]
    fn the_carina_is_where_the_windpipe_divides() {
        let airways = chest().find().airways;
        let found_mm = airways.carina.expect("a carina").map(|at| (at + 0.5) * STEP_MM);
        assert!(distance_mm(found_mm, CARINA_MM) < 15.0, "{found_mm:?}, expected {CARINA_MM:?}");
        let [left_mm, right_mm] = airways.main_bronchi_mm.expect("two main bronchi");
        assert!(left_mm > 1.2 * right_mm, "left {left_mm}, right {right_mm} mm");
    }

    #[test]
    fn the_lumen_is_air() {
        let chest = chest();
        let airways = chest.find().airways;
        assert!(airways.lumen.windows(2).all(|pair| pair[0] < pair[1]));
        let of_tissue = airways.lumen.iter().filter(|&&voxel| chest.hu[voxel as usize] > -500.0).count();
        assert!(of_tissue * 50 < airways.lumen.len(), "{of_tissue} of {}", airways.lumen.len());
    }
}
