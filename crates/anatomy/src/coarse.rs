//! The scan averaged to voxels of about 2.8 mm, with what is no scan at all told apart.

#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use pulmoav_simd::{Kernel, Lanes, Level};
use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::dilation::dilated;
use pulmoav_volume::{Grid, Voxel};
use rayon::prelude::*;

/// Voxel size aimed at.
const COARSE_MM: f64 = 2.8;
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
    pub(crate) fn average(scan: &View<'_, impl Voxel>, grid: &Grid) -> Self {
        let fine = scan.shape();
        let factor = grid.spacing_mm.map(|mm| ((COARSE_MM / mm).round() as usize).max(1));
        let shape: [usize; 3] = std::array::from_fn(|axis| fine[axis].div_ceil(factor[axis]));
        let padding = padding_hu(scan);
        let left_out = if AIR_PADDING_HU.contains(&padding) { f32::NAN } else { padding };
        let mut means = vec![0f32; shape.iter().product()];
        let (level, plane) = (Level::current(), (shape[1] * shape[2]).max(1));
        let block = |axis: usize, at: usize| at * factor[axis]..((at + 1) * factor[axis]).min(fine[axis]);
        means.par_chunks_mut(plane).enumerate().for_each_init(
            || (vec![0f32; fine[2]], Sums::new(fine[2])),
            |(buffer, sums), (cz, means)| {
                for (cy, means) in means.chunks_exact_mut(shape[2].max(1)).enumerate() {
                    sums.clear();
                    let mut is_reversed = false;
                    for z in block(0, cz) {
                        for y in block(1, cy) {
                            let hu;
                            (hu, is_reversed) = scan.values_either_way(z, y, buffer);
                            level.run(Add { hu, sums, padding, left_out });
                        }
                    }
                    if is_reversed {
                        sums.reverse();
                    }
                    sums.write_means(means, factor[2]);
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

    /// The part in a box, as a scan of its own.
    pub(crate) fn cropped(&self, part: &VoxelBox) -> Self {
        Self {
            hu: View::new(&self.hu, self.shape).part(part).to_vec(),
            unseen: View::new(&self.unseen, self.shape).part(part).to_vec(),
            shape: part.shape(),
            ..*self
        }
    }

    /// What is true, grown by one length and then shrunk by another: gaps of up to twice the smaller one are closed.
    pub(crate) fn closed(&self, is: impl Fn(usize) -> bool + Sync, grown_mm: f64, shrunk_mm: f64) -> Vec<bool> {
        let grown = dilated(is, self.shape, self.spacing_mm, grown_mm);
        let mut closed = dilated(|index| !grown[index], self.shape, self.spacing_mm, shrunk_mm);
        closed.par_iter_mut().for_each(|open| *open = !*open);
        closed
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
        // Half the bits divide in half the time, and no coarse grid needs more.
        let (index, [height, width]) = (index as u32, [self.shape[1] as u32, self.shape[2] as u32]);
        let row = index / width;
        [row / height, row % height, index % width].map(|at| at as usize)
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

/// Sums over the rows of a block, for each voxel along x.
struct Sums {
    /// HU of the voxels that count, how many those are, and how many of them are not padding.
    hu: Vec<f32>,
    counted: Vec<f32>,
    seen: Vec<f32>,
}

impl Sums {
    fn new(width: usize) -> Self {
        Self { hu: vec![0.0; width], counted: vec![0.0; width], seen: vec![0.0; width] }
    }

    fn clear(&mut self) {
        for sums in [&mut self.hu, &mut self.counted, &mut self.seen] {
            sums.fill(0.0);
        }
    }

    /// Turns the order along x around.
    fn reverse(&mut self) {
        for sums in [&mut self.hu, &mut self.counted, &mut self.seen] {
            sums.reverse();
        }
    }

    /// The mean of each block of `factor` voxels along x; NaN where nothing was seen.
    fn write_means(&self, means: &mut [f32], factor: usize) {
        let blocks = self.hu.chunks(factor).zip(self.counted.chunks(factor)).zip(self.seen.chunks(factor));
        for (mean, ((hu, counted), seen)) in means.iter_mut().zip(blocks) {
            let is_seen = seen.iter().any(|&seen| seen > 0.0);
            *mean = if is_seen { hu.iter().sum::<f32>() / counted.iter().sum::<f32>() } else { f32::NAN };
        }
    }
}

/// Adds one row of the scan to the sums.
struct Add<'a> {
    hu: &'a [f32],
    sums: &'a mut Sums,
    /// The padding's value, and the same where it does not count.
    padding: f32,
    left_out: f32,
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Sums { hu, counted, seen } = self.sums;
        for (((&from, hu), counted), seen) in self.hu.iter().zip(hu).zip(counted).zip(seen) {
            // NaN is not above.
            let counts = from > PADDING_BELOW_HU && from != self.left_out;
            *hu += if counts { from.clamp(AIR_HU, BONE_HU) } else { 0.0 };
            *counted += if counts { 1.0 } else { 0.0 };
            *seen += if counts && from != self.padding { 1.0 } else { 0.0 };
        }
    }
}

/// The value that fills the corners of the slices; NaN when there is none.
fn padding_hu(hu: &View<'_, impl Voxel>) -> f32 {
    let [depth, height, width] = hu.shape();
    if depth * height * width == 0 {
        return f32::NAN;
    }
    let corners: Vec<f32> = (0..depth)
        .flat_map(|z| {
            [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)].map(|(y, x)| hu.value(z, y, x))
        })
        .collect();
    let of = |value: f32| corners.iter().filter(|&&hu| hu == value).count() as f64;
    let likely = corners[corners.len() / 2];
    let candidate = corners.iter().copied().take(4).chain([likely]).max_by(|&a, &b| of(a).total_cmp(&of(b)));
    candidate.filter(|&hu| of(hu) >= PADDED_CORNERS * corners.len() as f64).unwrap_or(f32::NAN)
}
