//! The scan averaged to voxels of about 2.5 mm, with what is no scan at all told apart.

use pulmoav_volume::Grid;
use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::crop::View;
use rayon::prelude::*;

/// Voxel size aimed at.
const COARSE_MM: f64 = 2.5;
/// Ringing below air counts as air.
const AIR_HU: f32 = -1024.0;
/// Metal counts as bone.
const BONE_HU: f32 = 1000.0;
/// Nothing in a scanner is below; such values pad what the scanner did not see.
const PADDING_BELOW_HU: f32 = -1100.0;
/// Padding within these counts as air where it lies beside what was seen.
const AIR_PADDING_HU: std::ops::RangeInclusive<f32> = PADDING_BELOW_HU..=-950.0;
/// The share of the corners of all slices that hold one value where it is padding.
const PADDED_CORNERS: f64 = 0.7;

/// A coarse copy of a scan in the canonical frame.
pub(crate) struct Coarse {
    /// Mean HU, `[z, y, x]`; air where nothing was scanned.
    pub(crate) hu: Vec<f32>,
    /// True where nothing was scanned: padding that reaches the border of the array.
    pub(crate) unseen: Vec<bool>,
    /// Voxels, `[z, y, x]`.
    pub(crate) shape: [usize; 3],
    /// Whole voxels of the scan in one coarse voxel, `[z, y, x]`.
    pub(crate) factor: [usize; 3],
    /// Coarse voxel size, mm, `[z, y, x]`.
    pub(crate) spacing_mm: [f64; 3],
}

impl Coarse {
    /// Means over blocks of whole voxels, padding left out; the last block of an axis may be smaller.
    pub(crate) fn average(hu: &View<'_, f32>, grid: &Grid) -> Self {
        let fine = hu.shape();
        let factor = grid.spacing_mm.map(|mm| ((COARSE_MM / mm).round() as usize).max(1));
        let shape: [usize; 3] = std::array::from_fn(|axis| fine[axis].div_ceil(factor[axis]));
        let padding = padding_hu(hu);
        let left_out = if AIR_PADDING_HU.contains(&padding) { f32::NAN } else { padding };
        let mut means = vec![0f32; shape.iter().product()];
        let plane = (shape[1] * shape[2]).max(1);
        means.par_chunks_mut(plane).enumerate().for_each_init(
            || (vec![0f32; fine[2]], vec![[0f32; 2]; plane]),
            |(row, counts), (cz, out)| {
                counts.fill([0.0; 2]);
                for z in cz * factor[0]..((cz + 1) * factor[0]).min(fine[0]) {
                    for y in 0..fine[1] {
                        let row = hu.row(z, y, row);
                        let start = y / factor[1] * shape[2];
                        let to = out[start..].iter_mut().zip(&mut counts[start..]);
                        for ((sum, [count, seen]), block) in to.zip(row.chunks(factor[2])) {
                            for &hu in block {
                                // NaN is not above.
                                let counts = hu > PADDING_BELOW_HU && hu != left_out;
                                *sum += if counts { hu.clamp(AIR_HU, BONE_HU) } else { 0.0 };
                                *count += f32::from(u8::from(counts));
                                *seen += f32::from(u8::from(counts && hu != padding));
                            }
                        }
                    }
                }
                for (sum, &[count, seen]) in out.iter_mut().zip(&*counts) {
                    *sum = if seen > 0.0 { *sum / count } else { f32::NAN };
                }
            },
        );
        let spacing_mm = std::array::from_fn(|axis| grid.spacing_mm[axis] * factor[axis] as f64);
        let mut coarse = Self { hu: means, unseen: Vec::new(), shape, factor, spacing_mm };
        coarse.find_unseen(padding);
        coarse
    }

    /// Where no voxel was seen: unseen if it hangs together with the border, else the padding's value was tissue's own.
    fn find_unseen(&mut self, padding: f32) {
        self.unseen = self.hu.iter().map(|hu| hu.is_nan()).collect();
        if !self.unseen.contains(&true) {
            return;
        }
        let empty: Vec<u8> = self.unseen.iter().map(|&v| u8::from(v)).collect();
        let found = components(&empty, self.shape, Connectivity::Faces);
        let mut at_border = vec![false; found.sizes.len() + 1];
        for (index, &label) in found.labels.iter().enumerate().filter(|&(_, &label)| label > 0) {
            at_border[label as usize] |= self.is_border(index);
        }
        let inner_hu = if padding > PADDING_BELOW_HU { padding.clamp(AIR_HU, BONE_HU) } else { AIR_HU };
        for (index, &label) in found.labels.iter().enumerate().filter(|&(_, &label)| label > 0) {
            self.unseen[index] = at_border[label as usize];
            self.hu[index] = if self.unseen[index] { AIR_HU } else { inner_hu };
        }
    }

    /// Volume of one coarse voxel, ml.
    pub(crate) fn voxel_ml(&self) -> f64 {
        self.spacing_mm.iter().product::<f64>() / 1000.0
    }

    /// The index of the coarse voxel that holds a voxel of the scan, `[z, y, x]`.
    pub(crate) fn index_of(&self, voxel: [usize; 3]) -> usize {
        let [z, y, x] = std::array::from_fn(|axis| voxel[axis] / self.factor[axis]);
        (z * self.shape[1] + y) * self.shape[2] + x
    }

    /// `[z, y, x]` of an index.
    pub(crate) fn place(&self, index: usize) -> [usize; 3] {
        let [_, height, width] = self.shape;
        [index / (height * width), index / width % height, index % width]
    }

    /// Whether a voxel lies on one of the four borders of its slice.
    pub(crate) fn is_border(&self, index: usize) -> bool {
        let [_, y, x] = self.place(index);
        y == 0 || x == 0 || y + 1 == self.shape[1] || x + 1 == self.shape[2]
    }

    /// The indices across the faces of a voxel.
    pub(crate) fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
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

/// The value that fills the corners of the slices; NaN when there is none.
fn padding_hu(hu: &View<'_, f32>) -> f32 {
    let [depth, height, width] = hu.shape();
    if depth * height * width == 0 {
        return f32::NAN;
    }
    let corners: Vec<f32> = (0..depth)
        .flat_map(|z| [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)].map(|(y, x)| hu.at(z, y, x)))
        .collect();
    let of = |value: f32| corners.iter().filter(|&&hu| hu == value).count() as f64;
    let likely = corners[corners.len() / 2];
    let candidate = corners.iter().copied().take(4).chain([likely]).max_by(|&a, &b| of(a).total_cmp(&of(b)));
    candidate.filter(|&hu| of(hu) >= PADDED_CORNERS * corners.len() as f64).unwrap_or(f32::NAN)
}
