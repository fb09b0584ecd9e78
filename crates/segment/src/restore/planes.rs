//! Probabilities on the planes of the scan.
//!
//! A plane's rows are combined along z while their prompts lie side by side, as the plan's grid has them, then taken
//! apart once; along y and x each prompt's row is a row of its own.

use std::ops::Range;

use pulmoav_anatomy::lungs::Lungs;
use pulmoav_ops::resample::Line;
use pulmoav_simd::Taps;
use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::resample::{Pairs, mix};
use rayon::prelude::*;

use super::decide::Rules;
use crate::prepare::{COARSE_MM, InverseTransform};
use crate::tiles::Probabilities;

/// From the plan's grid to planes of the scan's canonical part.
pub(super) struct Planes<'a> {
    found: &'a Probabilities,
    lungs: Option<&'a Lungs>,
    part: VoxelBox,
    limited: bool,
    ways: [Way; 3],
    parting: Parting,
    /// `[z, y]` of the box that was found: whether a value of the row matters.
    matters: Vec<bool>,
    /// A row without any value.
    nothing: Vec<f32>,
}

impl<'a> Planes<'a> {
    /// Rows of the scan that depend on no value above `least` may be left out.
    pub(super) fn new(
        found: &'a Probabilities,
        inverse: &InverseTransform,
        lungs: Option<&'a Lungs>,
        limited: bool,
        least: f32,
    ) -> Self {
        let ways = ways(inverse, found.shape);
        let width = found.part.shape()[2];
        let rows = found.values.par_chunks(width * found.prompts);
        let matters = rows.map(|row| any_above(row, least)).collect();
        let parting = Parting::new(width, found.prompts);
        let nothing = vec![0.0; width * found.prompts];
        Self { found, lungs, part: inverse.part, limited, ways, parting, matters, nothing }
    }

    fn row_matters(&self, z: usize, y: usize) -> bool {
        let [zs, ys] = [(0, z), (1, y)].map(|(axis, at)| {
            let (low, high) = (self.found.part.low[axis], self.found.part.high[axis]);
            let sources = self.ways[axis].sources(at);
            sources.start.clamp(low, high) - low..sources.end.clamp(low, high) - low
        });
        let height = self.found.part.shape()[1];
        zs.into_iter().any(|z| ys.clone().any(|y| self.matters[z * height + y]))
    }

    /// Values of a row, `[x, p]` of the box that was found.
    fn row(&self, z: usize, y: usize) -> &[f32] {
        self.found.row(z, y).unwrap_or(&self.nothing)
    }

    /// Calls `see(voxels of the plane, probabilities [p, x])` for each row of plane z that matters; where no vessel can
    /// lie, and for prompts of the other side, they are 0.
    pub(super) fn visit(&self, z: usize, rules: &Rules, mut see: impl FnMut(Range<usize>, &[f32])) {
        let size = self.part.shape();
        let mut rows = (0..size[1]).filter(|&y| self.row_matters(z, y)).peekable();
        if rows.peek().is_none() {
            return;
        }
        let slice = self.part.plane(z);
        let one_plane = [1, size[1], size[2]];
        let sided = rules.sides.iter().any(|&side| side > 0);
        let nearest = self.lungs.filter(|_| sided).map(|lungs| lungs.nearest_in(&slice, one_plane));
        let region = self.lungs.filter(|_| self.limited).map(|lungs| lungs.vessel_region_in(&slice, one_plane));
        let mut blended = Blended::new(self, z);
        let mut probabilities = vec![0f32; size[2] * self.found.prompts];
        for y in rows {
            let rows = blended.rows(y).chunks_exact(self.found.shape[2]);
            for (from, to) in rows.zip(probabilities.chunks_exact_mut(size[2])) {
                self.ways[2].combine_row(from, to);
            }
            let voxels = y * size[2]..(y + 1) * size[2];
            for (row, &side) in probabilities.chunks_exact_mut(size[2]).zip(&rules.sides) {
                if let Some(region) = &region {
                    clear_unless(row, &region[voxels.clone()], |region| region != 0);
                }
                if let Some(nearest) = nearest.as_ref().filter(|_| side > 0) {
                    clear_unless(row, &nearest[voxels.clone()], |nearest| nearest == side);
                }
            }
            see(voxels, &probabilities);
        }
    }
}

/// Rows of one of the scan's planes, still as wide as the plan's grid.
struct Blended<'a> {
    planes: &'a Planes<'a>,
    z: usize,
    /// A row combined along z, `[x, p]` of the box that was found.
    mixed: Vec<f32>,
    /// The last of them, `[p, x]` of the plan's grid, each in the place of its number's remainder, and which they are.
    last: Vec<Vec<f32>>,
    which: Vec<usize>,
    rows: Vec<f32>,
}

impl<'a> Blended<'a> {
    fn new(planes: &'a Planes<'a>, z: usize) -> Self {
        let along_y = &planes.ways[1];
        let most = (0..planes.part.shape()[1]).map(|y| along_y.sources(y).len()).max().unwrap_or(0);
        let row = || vec![0f32; planes.found.shape[2] * planes.found.prompts];
        let last = (0..most).map(|_| row()).collect();
        Self { planes, z, mixed: planes.nothing.clone(), last, which: vec![usize::MAX; most], rows: row() }
    }

    /// # Shapes
    /// → `[p, x]`.
    fn rows(&mut self, y: usize) -> &[f32] {
        let [along_z, along_y, _] = &self.planes.ways;
        let found = self.planes.found;
        let most = self.last.len();
        for from in along_y.sources(y) {
            if self.which[from % most] == from {
                continue;
            }
            along_z.combine_blocks(self.z, |z| self.planes.row(z, from), &mut self.mixed);
            let rows = self.last[from % most].chunks_exact_mut(found.shape[2]);
            self.planes.parting.part(&self.mixed, rows.map(|row| &mut row[found.part.low[2]..found.part.high[2]]));
            self.which[from % most] = from;
        }
        along_y.combine_blocks(y, |from| &self.last[from % most], &mut self.rows);
        &self.rows
    }
}

/// `[x, p]` → `[p, x]`: for each prompt every p-th value.
struct Parting(Vec<Taps<1>>);

impl Parting {
    fn new(width: usize, prompts: usize) -> Self {
        let of = |prompt: usize| (0..width).map(move |voxel| (voxel * prompts + prompt, [1.0]));
        Self((0..prompts).map(|prompt| Taps::new(width * prompts, of(prompt))).collect())
    }

    /// `rows`: one of each prompt.
    fn part<'r>(&self, values: &[f32], rows: impl Iterator<Item = &'r mut [f32]>) {
        self.0.iter().zip(rows).for_each(|(taps, row)| taps.apply(values, row));
    }
}

/// From the plan's grid of `shape` to the scan's canonical part, axis by axis.
pub(super) fn ways(inverse: &InverseTransform, shape: [usize; 3]) -> [Way; 3] {
    let size = inverse.part.shape();
    let voxel_mm = |axis: usize| inverse.original.spacing_mm[inverse.orientation.source[axis]];
    let back = inverse.extent.seen_from(&inverse.part).inverse(size, shape);
    std::array::from_fn(|axis| Way::new(shape[axis], [back.low[axis], back.high[axis]], size[axis], voxel_mm(axis)))
}

/// How values get from the plan's grid to a voxel of the scan along one axis.
pub(super) enum Way {
    /// Linear interpolation.
    Between(Pairs),
    /// The highest inside the voxel, for voxels of [`COARSE_MM`] and more: a vessel that passes through one is thinner
    /// than it, and would fall between the places that interpolation looks at.
    Highest(Vec<Range<usize>>),
}

impl Way {
    /// From `size` values to `new_size` voxels of `voxel_mm` that fill the range between two faces among them.
    fn new(size: usize, [low, high]: [f64; 2], new_size: usize, voxel_mm: f64) -> Self {
        let step = (high - low) / new_size as f64;
        if voxel_mm <= COARSE_MM || step < 1.0 {
            return Self::Between(Pairs::within(size, [low, high], new_size));
        }
        let edge = |voxel: usize| ((low + voxel as f64 * step).round().max(0.0) as usize).min(size);
        // A voxel beyond the values takes the nearest.
        let inside = |voxel: usize| match edge(voxel)..edge(voxel + 1) {
            range if range.is_empty() => range.start.min(size - 1)..range.start.min(size - 1) + 1,
            range => range,
        };
        Self::Highest((0..new_size).map(inside).collect())
    }

    /// The same for a device.
    pub(super) fn line(&self, voxels: usize) -> Line {
        match self {
            Self::Between(pairs) => Line::sums((0..voxels).map(|voxel| pairs.of(voxel))),
            Self::Highest(inside) => Line::highest(inside.iter().map(|inside| [inside.start, inside.end - 1])),
        }
    }

    /// What a voxel depends on.
    fn sources(&self, voxel: usize) -> Range<usize> {
        match self {
            Self::Between(pairs) => {
                let ([low, high], _) = pairs.of(voxel);
                low..high + 1
            }
            Self::Highest(inside) => inside[voxel].clone(),
        }
    }

    /// Combines blocks of values, `block(source)`, into one voxel's.
    fn combine_blocks<'b>(&self, voxel: usize, block: impl Fn(usize) -> &'b [f32], sum: &mut [f32]) {
        match self {
            Self::Between(pairs) => {
                let ([low, high], weights) = pairs.of(voxel);
                mix(block(low), block(high), weights, sum);
            }
            Self::Highest(inside) => {
                sum.fill(0.0);
                for from in inside[voxel].clone() {
                    sum.iter_mut().zip(block(from)).for_each(|(to, &value)| *to = to.max(value));
                }
            }
        }
    }

    /// All voxels of a row.
    ///
    /// # Shapes
    /// `values` `[x]` → `row` `[x']`.
    fn combine_row(&self, values: &[f32], row: &mut [f32]) {
        match self {
            Self::Between(pairs) => pairs.apply(values, row),
            Self::Highest(inside) => {
                for (to, inside) in row.iter_mut().zip(inside) {
                    *to = values[inside.clone()].iter().copied().fold(0.0, f32::max);
                }
            }
        }
    }
}

fn clear_unless(row: &mut [f32], marks: &[u8], stays: impl Fn(u8) -> bool) {
    row.iter_mut().zip(marks).for_each(|(value, &mark)| *value = if stays(mark) { *value } else { 0.0 });
}

/// Whole blocks without a branch; most rows have nothing at all, and in the others the first block that has something
/// is enough.
fn any_above(values: &[f32], least: f32) -> bool {
    // Without a branch for each value the comparisons are vectorised.
    #[allow(clippy::needless_bitwise_bool)]
    let is_any_above = |block: &[f32]| block.iter().fold(false, |any, &value| any | (value > least));
    values.chunks(256).any(is_any_above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::interleave;

    impl Way {
        /// One voxel of blocks that lie side by side.
        fn combine(&self, values: &[f32], voxel: usize, sum: &mut [f32]) {
            let size = sum.len();
            self.combine_blocks(voxel, |from| &values[from * size..][..size], sum);
        }
    }

    #[test]
    fn coarse_voxels_take_the_highest_inside_them() {
        let values = [0.1, 0.9, 0.2, 0.3, 0.0, 0.4, 0.8, 0.1, 0.6];
        let coarse = Way::new(9, [0.0, 9.0], 4, 4.0);
        let found = [0, 1, 2, 3].map(|voxel| {
            let mut value = [0.0];
            coarse.combine(&values, voxel, &mut value);
            value[0]
        });
        assert_eq!(found, [0.9, 0.3, 0.8, 0.6]);
        let mut between = [0.0];
        Way::new(9, [0.0, 9.0], 9, 1.25).combine(&values, 3, &mut between);
        assert_eq!(between, [0.3]);
    }

    #[test]
    fn a_row_is_as_its_voxels_one_by_one() {
        for (size, voxels, voxel_mm) in [(12, 31, 0.7), (12, 4, 4.0), (75, 110, 0.7), (75, 60, 1.2)] {
            for prompts in 1..=5 {
                check_row(&Way::new(size, [0.0, size as f64], voxels, voxel_mm), size, voxels, prompts);
            }
        }
    }

    fn check_row(way: &Way, size: usize, voxels: usize, prompts: usize) {
        let values: Vec<f32> = (0..size * prompts).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
        let (mut rows, mut row) = (vec![0f32; size * prompts], vec![0f32; voxels * prompts]);
        Parting::new(size, prompts).part(&values, rows.chunks_exact_mut(size));
        for (from, to) in rows.chunks_exact(size).zip(row.chunks_exact_mut(voxels)) {
            way.combine_row(from, to);
        }
        let mut found = vec![0f32; voxels * prompts];
        interleave(&row, prompts, &mut found);
        let mut expected = vec![0f32; prompts];
        for (voxel, found) in found.chunks_exact(prompts).enumerate() {
            way.combine(&values, voxel, &mut expected);
            assert_eq!(found, expected, "{size} → {voxels}, {prompts} prompts, voxel {voxel}");
        }
    }
}
