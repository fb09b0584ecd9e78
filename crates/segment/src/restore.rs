//! From probabilities on the plan's grid to labels on the scan's own grid.
//!
//! Probabilities travel, labels do not: a thin vessel survives the way back only so (METHOD §7). Each plane of the scan
//! is interpolated (or, along coarse axes, takes what is highest inside its voxels), decided and forgotten, so probabilities never exist at the scan's size unless they are asked for.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use std::ops::Range;

use pulmoav_plan::{BodySide, Crop, Plan};
use pulmoav_simd::{Kernel, Lanes, Level, Taps};
use pulmoav_volume::Volume;
use pulmoav_volume::components::{Connectivity, remove_outside};
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::lungs::{LEFT, Lungs, RIGHT};
use pulmoav_volume::resample::{Pairs, mix};
use rayon::prelude::*;

use crate::prepare::{COARSE_MM, Prepared, WayBack};
use crate::prompt::contains;
use crate::tiles::Probabilities;
use crate::walls;

/// A voxel is labelled above this probability.
const THRESHOLD: f32 = 0.5;

/// Interpolation stays below the threshold where all values do, by more than its rounding.
const SURELY_BELOW: f32 = 0.499;

/// Share of a group of touching vessel voxels that must lie in a lung; others were seen in bone or the chest wall.
const LEAST_LUNG_SHARE: f64 = 0.02;

/// What [`restore`] gives back.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The plan's label values on the scan's own grid.
    pub labels: Volume<u8>,
    /// `[p, z, y, x]` on the scan's own grid, when asked for; the network's, whatever the walls.
    pub probabilities: Option<Vec<f32>>,
}

/// Carries probabilities back, decides each voxel, undoes crop and orientation.
///
/// # Shapes
/// `found.values` `[z, y, x, p]` on the plan's grid, `asked`: the p places among the plan's targets, `ct` `[z, y, x]` → labels
/// on the grid of `ct`.
pub fn restore(
    ct: &Volume<f32>,
    found: &Probabilities,
    prepared: &Prepared,
    plan: &Plan,
    asked: &[usize],
    keep_probabilities: bool,
) -> Restored {
    let way_back = &prepared.way_back;
    let rules = Rules::new(plan, asked);
    // Outside the lungs and the mediastinum beside the hila there is no pulmonary vessel to find (METHOD §4).
    let limited = matches!(plan.crop, Crop::Lungs { .. });
    let least = if keep_probabilities { 0.0 } else { SURELY_BELOW };
    let planes = Planes::new(found, way_back, prepared.lungs.as_ref(), limited, least);
    let part = way_back.part.shape();
    let plane = part[1] * part[2];
    let mut labels = vec![0u8; part[0] * plane];
    let mut kept = vec![0f32; if keep_probabilities { labels.len() * asked.len() } else { 0 }];
    let decide = |z: usize, labels: &mut [u8], mut kept: Option<&mut [f32]>| {
        planes.visit(z, &rules, |row, probabilities| {
            rules.decide(probabilities, &mut labels[row.clone()]);
            if let Some(kept) = &mut kept {
                let kept = &mut kept[row.start * asked.len()..row.end * asked.len()];
                interleave(probabilities, asked.len(), kept);
            }
        });
    };
    if keep_probabilities {
        let chunks = labels.par_chunks_mut(plane).zip(kept.par_chunks_mut(plane * asked.len()));
        chunks.enumerate().for_each(|(z, (labels, kept))| decide(z, labels, Some(kept)));
    } else {
        labels.par_chunks_mut(plane).enumerate().for_each(|(z, labels)| decide(z, labels, None));
    }
    if let Some(lungs) = &prepared.lungs {
        let sides = lungs.sides_in(&way_back.part, part);
        follow_walls(&mut labels, ct, way_back, plan, &sides);
        if limited {
            remove_outside(&mut labels, part, Connectivity::Corners, |voxel| sides[voxel] != 0, LEAST_LUNG_SHARE);
        }
    }
    let probabilities = keep_probabilities.then(|| {
        let of = |prompt: usize| -> Vec<f32> { kept.iter().skip(prompt).step_by(asked.len()).copied().collect() };
        (0..asked.len()).flat_map(|prompt| undo(of(prompt), way_back)).collect()
    });
    Restored { labels: Volume { data: undo(labels, way_back), grid: way_back.original }, probabilities }
}

/// Vessel walls follow the scan where the plan says so and the scan's voxels are small enough to be half filled by a vessel: thick
/// slices of fine pixels are.
///
/// # Shapes
/// `labels` and `sides`: `[z, y, x]` of the canonical part; `ct`: `[z, y, x]` of the original grid.
fn follow_walls(labels: &mut [u8], ct: &Volume<f32>, way_back: &WayBack, plan: &Plan, sides: &[u8]) {
    let spacing_mm = way_back.canonical.spacing_mm;
    let small = spacing_mm.iter().product::<f64>() <= COARSE_MM.powi(3);
    if let Some(walls) = plan.walls.filter(|_| small) {
        let moves = way_back.orientation;
        let hu = View::new(&ct.data, ct.grid.shape).reordered(moves.source, moves.flipped).part(&way_back.part);
        walls::follow(labels, &hu, sides, walls, spacing_mm);
    }
}

/// Puts the part back into the scan's own array order; 0 outside the part.
///
/// # Shapes
/// `part`: `[z, y, x]` of the canonical part → `[z, y, x]` of the original grid.
fn undo<T: Copy + Default + Send + Sync>(part: Vec<T>, way_back: &WayBack) -> Vec<T> {
    if way_back.orientation.is_identity() && way_back.part == VoxelBox::whole(way_back.original.shape) {
        return part;
    }
    let back = way_back.orientation.inverse();
    let view = View::new(&part, way_back.part.shape()).reordered(back.source, back.flipped);
    let shape = way_back.original.shape;
    let size = view.shape();
    let low: [usize; 3] = std::array::from_fn(|axis| {
        let canonical = back.source[axis];
        if back.flipped[axis] { shape[axis] - way_back.part.high[canonical] } else { way_back.part.low[canonical] }
    });
    let mut data = vec![T::default(); shape.iter().product()];
    let planes = data.par_chunks_mut(shape[1] * shape[2]).skip(low[0]).take(size[0]);
    planes.enumerate().for_each(|(z, plane)| {
        for y in 0..size[1] {
            let row = (low[1] + y) * shape[2] + low[2];
            view.copy_row(z, y, &mut plane[row..row + size[2]]);
        }
    });
    data
}

/// How a voxel's label follows from the probabilities of the prompts asked.
struct Rules {
    values: Vec<u8>,
    /// The side a prompt is limited to, as a lung label; 0 = both.
    sides: Vec<u8>,
    /// `narrower[i]`: prompts whose target lies within prompt i's.
    narrower: Vec<Vec<usize>>,
}

impl Rules {
    fn new(plan: &Plan, asked: &[usize]) -> Self {
        let target = |&place: &usize| &plan.targets[place];
        let side = |side: Option<BodySide>| side.map_or(0, |s| if s == BodySide::Left { LEFT } else { RIGHT });
        let within = |wide: &usize| {
            let is_within = |&(_, narrow): &(usize, &usize)| contains(target(wide), target(narrow));
            asked.iter().enumerate().filter(is_within).map(|(index, _)| index).collect()
        };
        Self {
            values: asked.iter().map(|place| target(place).value).collect(),
            sides: asked.iter().map(|place| side(target(place).side)).collect(),
            narrower: asked.iter().map(within).collect(),
        }
    }

    /// The value of the most probable prompt above the threshold; a prompt gives way to one within it that is above too.
    /// Of equals the first asked wins. Blocks of voxels without a branch: near a vessel every guess would be a coin's.
    ///
    /// # Shapes
    /// `probabilities` `[p, x]` → `labels` `[x]`.
    fn decide(&self, probabilities: &[f32], labels: &mut [u8]) {
        Level::current().run(Decide { rules: self, probabilities, labels });
    }
}

/// [`Rules::decide`].
struct Decide<'a> {
    rules: &'a Rules,
    probabilities: &'a [f32],
    labels: &'a mut [u8],
}

impl Kernel for Decide<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { rules, probabilities, labels } = self;
        let width = labels.len();
        let (blocks, rest) = labels.as_chunks_mut::<BLOCK>();
        let done = blocks.len() * BLOCK;
        for (block, labels) in blocks.iter_mut().enumerate() {
            rules.decide_block(|prompt| probabilities[prompt * width..][..width].as_chunks().0[block], labels);
        }
        if !rest.is_empty() {
            let mut labels = [0; BLOCK];
            rules.decide_block(|prompt| padded(&probabilities[prompt * width + done..][..rest.len()]), &mut labels);
            rest.copy_from_slice(&labels[..rest.len()]);
        }
    }
}

impl Rules {
    #[inline(always)]
    fn decide_block(&self, of: impl Fn(usize) -> [f32; BLOCK], labels: &mut [u8; BLOCK]) {
        let mut most = [THRESHOLD; BLOCK];
        // As wide as the probabilities, so that a comparison of these chooses between those as it is.
        let mut found = [0u32; BLOCK];
        for (prompt, narrower) in self.narrower.iter().enumerate() {
            let mut left = of(prompt);
            for &other in narrower {
                left.iter_mut().zip(of(other)).for_each(|(left, p)| *left = if p > THRESHOLD { 0.0 } else { *left });
            }
            let value = u32::from(self.values[prompt]);
            for ((found, most), p) in found.iter_mut().zip(&mut most).zip(left) {
                *found = if p > *most { value } else { *found };
                *most = if p > *most { p } else { *most };
            }
        }
        labels.iter_mut().zip(found).for_each(|(label, found)| *label = found as u8);
    }
}

/// Voxels decided at a time.
const BLOCK: usize = 64;

/// The values, and 0 behind them.
fn padded(values: &[f32]) -> [f32; BLOCK] {
    let mut padded = [0.0; BLOCK];
    padded[..values.len()].copy_from_slice(values);
    padded
}

/// How values get from the plan's grid to a voxel of the scan along one axis.
enum Way {
    /// Linear interpolation.
    Between(Pairs),
    /// The highest inside the voxel, for voxels of [`COARSE_MM`] and more: a vessel that passes through one is thinner than
    /// it, and would fall between the places that interpolation looks at.
    Highest(Vec<Range<usize>>),
}

impl Way {
    /// From `size` values to `new_size` voxels of `voxel_mm`.
    fn new(size: usize, new_size: usize, voxel_mm: f64) -> Self {
        if voxel_mm <= COARSE_MM || size < new_size {
            return Self::Between(Pairs::new(size, new_size));
        }
        let edge = |voxel: usize| (voxel * size + new_size / 2) / new_size;
        Self::Highest((0..new_size).map(|voxel| edge(voxel)..edge(voxel + 1)).collect())
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

/// From the plan's grid to planes of the scan's canonical part.
struct Planes<'a> {
    found: &'a Probabilities,
    lungs: Option<&'a Lungs>,
    part: VoxelBox,
    limited: bool,
    ways: [Way; 3],
    parting: Parting,
    /// `[z, y]` on the plan's grid: whether a value of the row matters.
    matters: Vec<bool>,
}

impl<'a> Planes<'a> {
    /// Rows of the scan that depend on no value above `least` may be left out.
    fn new(found: &'a Probabilities, way_back: &WayBack, lungs: Option<&'a Lungs>, limited: bool, least: f32) -> Self {
        let size = way_back.part.shape();
        let voxel_mm = |axis: usize| way_back.original.spacing_mm[way_back.orientation.source[axis]];
        let ways = std::array::from_fn(|axis| Way::new(found.shape[axis], size[axis], voxel_mm(axis)));
        let rows = found.values.par_chunks(found.shape[2] * found.prompts);
        let matters = rows.map(|row| any_above(row, least)).collect();
        let parting = Parting::new(found.shape[2], found.prompts);
        Self { found, lungs, part: way_back.part, limited, ways, parting, matters }
    }

    fn row_matters(&self, z: usize, y: usize) -> bool {
        let height = self.found.shape[1];
        self.ways[0].sources(z).any(|z| self.ways[1].sources(y).any(|y| self.matters[z * height + y]))
    }

    /// Calls `see(voxels of the plane, probabilities [p, x])` for each row of plane z that matters; where no vessel can lie, and for prompts
    /// of the other side, they are 0.
    fn visit(&self, z: usize, rules: &Rules, mut see: impl FnMut(Range<usize>, &[f32])) {
        let size = self.part.shape();
        let mut rows = (0..size[1]).filter(|&y| self.row_matters(z, y)).peekable();
        if rows.peek().is_none() {
            return;
        }
        let slice = VoxelBox {
            low: [self.part.low[0] + z, self.part.low[1], self.part.low[2]],
            high: [self.part.low[0] + z + 1, self.part.high[1], self.part.high[2]],
        };
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
    /// A row combined along z, `[x, p]`.
    mixed: Vec<f32>,
    /// The last of them, `[p, x]`, each in the place of its number's remainder, and which they are.
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
        Self { planes, z, mixed: row(), last, which: vec![usize::MAX; most], rows: row() }
    }

    /// # Shapes
    /// → `[p, x]`.
    fn rows(&mut self, y: usize) -> &[f32] {
        let [along_z, along_y, _] = &self.planes.ways;
        let found = self.planes.found;
        let (height, size, most) = (found.shape[1], self.rows.len(), self.last.len());
        for from in along_y.sources(y) {
            if self.which[from % most] == from {
                continue;
            }
            let block = |z: usize| &found.values[(z * height + from) * size..][..size];
            along_z.combine_blocks(self.z, block, &mut self.mixed);
            self.planes.parting.part(&self.mixed, &mut self.last[from % most]);
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

    fn part(&self, values: &[f32], rows: &mut [f32]) {
        let width = values.len() / self.0.len();
        for (taps, row) in self.0.iter().zip(rows.chunks_exact_mut(width)) {
            taps.apply(values, row);
        }
    }
}

fn clear_unless(row: &mut [f32], marks: &[u8], stays: impl Fn(u8) -> bool) {
    row.iter_mut().zip(marks).for_each(|(value, &mark)| *value = if stays(mark) { *value } else { 0.0 });
}

/// `[p, x]` → `[x, p]`.
fn interleave(rows: &[f32], prompts: usize, to: &mut [f32]) {
    let width = rows.len() / prompts;
    for (prompt, row) in rows.chunks_exact(width).enumerate() {
        to.iter_mut().skip(prompt).step_by(prompts).zip(row).for_each(|(to, &value)| *to = value);
    }
}

/// Whole blocks without a branch; most rows have nothing at all, and in the others the first block that has something is enough.
fn any_above(values: &[f32], least: f32) -> bool {
    // Without a branch for each value the comparisons are vectorised.
    #[allow(clippy::needless_bitwise_bool)]
    let is_any_above = |block: &[f32]| block.iter().fold(false, |any, &value| any | (value > least));
    values.chunks(256).any(is_any_above)
}

#[cfg(test)]
mod tests {
    use pulmoav_simd::with_level;

    use super::*;
    use crate::fixture::plan;

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
        let coarse = Way::new(9, 4, 4.0);
        let found = [0, 1, 2, 3].map(|voxel| {
            let mut value = [0.0];
            coarse.combine(&values, voxel, &mut value);
            value[0]
        });
        assert_eq!(found, [0.9, 0.3, 0.8, 0.6]);
        let mut between = [0.0];
        Way::new(9, 9, 1.25).combine(&values, 3, &mut between);
        assert_eq!(between, [0.3]);
    }

    #[test]
    fn a_row_is_as_its_voxels_one_by_one() {
        for level in Level::present() {
            with_level(level, || {
                for (size, voxels, voxel_mm) in [(12, 31, 0.7), (12, 4, 4.0), (75, 110, 0.7), (75, 60, 1.2)] {
                    for prompts in 1..=5 {
                        check_row(&Way::new(size, voxels, voxel_mm), size, voxels, prompts);
                    }
                }
            });
        }
    }

    fn check_row(way: &Way, size: usize, voxels: usize, prompts: usize) {
        let values: Vec<f32> = (0..size * prompts).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
        let (mut rows, mut row) = (vec![0f32; size * prompts], vec![0f32; voxels * prompts]);
        Parting::new(size, prompts).part(&values, &mut rows);
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

    #[test]
    fn a_row_is_decided_as_its_voxels_one_by_one() {
        let rules = Rules::new(&plan(), &[0, 1, 2, 4]);
        for width in [1, 63, 64, 65, 200] {
            let rows: Vec<f32> = (0..4 * width).map(|i| ((i * 7919) % 103) as f32 / 102.0).collect();
            let expected: Vec<u8> = (0..width)
                .map(|x| {
                    let mut label = [9];
                    rules.decide(&[0, 1, 2, 3].map(|prompt| rows[prompt * width + x]), &mut label);
                    label[0]
                })
                .collect();
            for level in Level::present() {
                let mut labels = vec![9; width];
                with_level(level, || rules.decide(&rows, &mut labels));
                assert_eq!(labels, expected, "{width} voxels at {level:?}");
            }
        }
    }

    #[test]
    fn the_most_probable_wins_and_the_narrower_goes_first() {
        let plan = plan();
        // artery 1, vein 2, vessels 7
        let rules = Rules::new(&plan, &[0, 1, 4]);
        for (probabilities, expected) in [
            ([0.2, 0.3, 0.4], 0),
            ([0.6, 0.7, 0.1], 2),
            ([0.51, 0.2, 0.99], 1),
            ([0.5, 0.5, 0.8], 7),
            ([0.7, 0.7, 0.9], 1),
        ] {
            let mut label = [9];
            rules.decide(&probabilities, &mut label);
            assert_eq!(label, [expected], "{probabilities:?}");
        }
        // left artery 3 lies within artery 1
        let mut labels = [9; 2];
        Rules::new(&plan, &[0, 2]).decide(&[0.9, 0.8, 0.6, 0.1], &mut labels);
        assert_eq!(labels, [3, 1]);
    }
}
