//! The scan averaged to voxels of about 2.5 mm.

use rayon::prelude::*;

use pulmoav_volume::crop::View;
use pulmoav_volume::volume::Grid;

/// Voxel size aimed at.
const COARSE_MM: f64 = 2.5;
/// Padding and ringing below air count as air.
const AIR_HU: f32 = -1024.0;
/// Metal counts as bone.
const BONE_HU: f32 = 1000.0;

/// A coarse copy of a scan in the canonical frame.
pub(super) struct Coarse {
    /// Mean HU, `[z, y, x]`.
    pub(super) hu: Vec<f32>,
    /// Voxels, `[z, y, x]`.
    pub(super) shape: [usize; 3],
    /// Whole voxels of the scan in one coarse voxel, `[z, y, x]`.
    pub(super) factor: [usize; 3],
    /// Coarse voxel size, mm, `[z, y, x]`.
    pub(super) spacing_mm: [f64; 3],
}

impl Coarse {
    /// Means over blocks of whole voxels; the last block of an axis may be smaller.
    pub(super) fn average(hu: &View<'_, f32>, grid: &Grid) -> Self {
        let fine = hu.shape();
        let factor = grid.spacing_mm.map(|mm| ((COARSE_MM / mm).round() as usize).max(1));
        let shape: [usize; 3] = std::array::from_fn(|axis| fine[axis].div_ceil(factor[axis]));
        let mut means = vec![0f32; shape.iter().product()];
        let plane = (shape[1] * shape[2]).max(1);
        means.par_chunks_mut(plane).enumerate().for_each_init(
            || vec![0f32; fine[2]],
            |row, (cz, out)| {
                let depths = cz * factor[0]..((cz + 1) * factor[0]).min(fine[0]);
                let layers = depths.len();
                for z in depths {
                    for y in 0..fine[1] {
                        hu.copy_row(z, y, row);
                        let to = &mut out[y / factor[1] * shape[2]..][..shape[2]];
                        for (mean, block) in to.iter_mut().zip(row.chunks(factor[2])) {
                            *mean += block.iter().map(|&hu| bounded(hu)).sum::<f32>();
                        }
                    }
                }
                for (cy, to) in out.chunks_exact_mut(shape[2]).enumerate() {
                    let rows = factor[1].min(fine[1] - cy * factor[1]);
                    for (cx, mean) in to.iter_mut().enumerate() {
                        let columns = factor[2].min(fine[2] - cx * factor[2]);
                        *mean /= (layers * rows * columns) as f32;
                    }
                }
            },
        );
        let spacing_mm = std::array::from_fn(|axis| grid.spacing_mm[axis] * factor[axis] as f64);
        Self { hu: means, shape, factor, spacing_mm }
    }

    /// Volume of one coarse voxel, ml.
    pub(super) fn voxel_ml(&self) -> f64 {
        self.spacing_mm.iter().product::<f64>() / 1000.0
    }

    /// `[z, y, x]` of an index.
    pub(super) fn place(&self, index: usize) -> [usize; 3] {
        let [_, height, width] = self.shape;
        [index / (height * width), index / width % height, index % width]
    }

    /// The indices across the faces of a voxel.
    pub(super) fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        let [depth, height, width] = self.shape;
        let [z, y, x] = self.place(index);
        let plane = height * width;
        [
            (z > 0).then(|| index - plane),
            (z + 1 < depth).then(|| index + plane),
            (y > 0).then(|| index - width),
            (y + 1 < height).then(|| index + width),
            (x > 0).then(|| index - 1),
            (x + 1 < width).then(|| index + 1),
        ]
        .into_iter()
        .flatten()
    }
}

/// HU within air and bone; NaN is air, which `clamp` would keep.
fn bounded(hu: f32) -> f32 {
    if hu > AIR_HU { hu.min(BONE_HU) } else { AIR_HU }
}
