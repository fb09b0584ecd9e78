//! The sliding window: where tiles lie, how they are weighted, and the sum of what the network says of them.

mod layout;

use std::cmp::Reverse;

use candle_core::Tensor;
use pulmoav_model::{Mode, Network, prompt_embeddings};
use pulmoav_ops::device::{from_host, to_host};
use pulmoav_plan::{Blend, Channel, Crop, Plan};
use pulmoav_task::Monitor;
use pulmoav_volume::crop::VoxelBox;
use rayon::prelude::*;

use crate::error::SegmentError;
use crate::prepare::{Prepared, STEP_VOXELS, make_channels};
pub use layout::{Layout, Needed, Place};

/// Weights below this share of the centre's count as this.
const MIN_WEIGHT: f32 = 1e-3;
/// How far from a lung there is something to look at when the crop is not the lungs'.
const MARGIN_MM: f64 = 25.0;

/// What segmenting needs of a network: the logits of one tile.
pub trait TileNetwork {
    /// The logits of the targets `asked` (places in the plan).
    ///
    /// # Shapes
    /// `tile`: `[z, y, x, c]` of `shape` → `[z, y, x, p]`.
    fn logits(&self, tile: Vec<f32>, shape: [usize; 3], asked: &[usize]) -> Result<Vec<f32>, SegmentError>;
}

/// A network with the embeddings of all of its plan's targets, on its device.
#[derive(Debug)]
pub struct PromptedNetwork<'a> {
    network: &'a Network,
    prompts: Tensor,
    channels: usize,
}

impl<'a> PromptedNetwork<'a> {
    /// Pairs a network with its plan's embeddings.
    pub fn new(network: &'a Network, plan: &Plan) -> Result<Self, SegmentError> {
        Ok(Self { network, prompts: prompt_embeddings(plan, network.device())?, channels: plan.channels.len() })
    }
}

impl TileNetwork for PromptedNetwork<'_> {
    fn logits(&self, tile: Vec<f32>, shape: [usize; 3], asked: &[usize]) -> Result<Vec<f32>, SegmentError> {
        let [depth, height, width] = shape;
        let x = from_host(tile, (1, depth, height, width, self.channels), self.network.device())?;
        let scales = self.network.forward_asked(&x, &self.prompts, asked, Mode::Infer)?;
        drop(x);
        let finest = scales.into_iter().next().ok_or_else(|| candle_core::Error::Msg("no logits".to_owned()))?;
        Ok(to_host(&finest)?)
    }
}

/// Probabilities on the plan's grid.
#[derive(Debug, Clone)]
pub struct Probabilities {
    /// `[z, y, x, p]` of `part`; 0 where no tile lay, and outside the part.
    pub values: Vec<f32>,
    /// The box of all tiles.
    pub part: VoxelBox,
    /// The plan's grid, `[z, y, x]`.
    pub shape: [usize; 3],
    /// Number of prompts p.
    pub prompts: usize,
}

impl Probabilities {
    /// The values of a row that lie in the part, `[x, p]`; none where the row does not.
    pub(crate) fn row(&self, z: usize, y: usize) -> Option<&[f32]> {
        let [_, height, width] = self.part.shape();
        let [z, y] = [(z, 0), (y, 1)].map(|(at, axis)| {
            (self.part.low[axis]..self.part.high[axis]).contains(&at).then(|| at - self.part.low[axis])
        });
        let size = width * self.prompts;
        Some(&self.values[(z? * height + y?) * size..][..size])
    }
}

/// Runs the network over a prepared scan, tile after tile.
///
/// # Shapes
/// `prepared.hu` `[z, y, x]` → `[z, y, x, p]`, p as in `asked`, 0 where no tile lies since nothing is `needed`. `tile`:
/// `[z, y, x]`.
///
/// # Errors
/// What the network returns; `CANCELLED`, looked at before each tile.
pub fn run(
    prepared: &Prepared,
    needed: &Needed,
    plan: &Plan,
    tile: [usize; 3],
    network: &dyn TileNetwork,
    asked: &[usize],
    monitor: &dyn Monitor,
) -> Result<Probabilities, SegmentError> {
    let layout = Layout::new(needed, tile, overlap_voxels(plan, tile));
    let weights = gaussian(tile);
    let total = layout.places.len() as u64;
    let mut sum = Sum::new(&layout, asked.len(), plan.tiles.blend);
    let may_mirror = plan.tiles.mirror && asked.iter().all(|&place| plan.targets[place].side.is_none());
    for (done, &Place { origin, odd }) in (0..).zip(&layout.places) {
        monitor.proceed()?;
        monitor.report("network", done, total);
        let mirrored = may_mirror && odd;
        let mut input = cut(prepared, plan, &layout, origin);
        if mirrored {
            mirror_input(&mut input, plan, tile);
        }
        let mut answer = network.logits(input, tile, asked)?;
        if mirrored {
            mirror_rows(&mut answer, tile[2], asked.len());
        }
        if plan.tiles.blend == Blend::Probabilities {
            answer.par_iter_mut().with_min_len(1 << 14).for_each(|v| *v = sigmoid(*v));
        }
        sum.add(&answer, &weights, &layout, origin);
    }
    monitor.report("network", total, total);
    Ok(sum.finish())
}

/// The plan's overlap of a tile in voxels.
pub(crate) fn overlap_voxels(plan: &Plan, tile: [usize; 3]) -> [usize; 3] {
    tile.map(|edge| edge - ((edge as f64 * (1.0 - plan.tiles.overlap)).floor() as usize).max(1))
}

/// The plan's tile with each edge shortened by up to a third, so that the tiles along the edges `size` of what is
/// needed have as few voxels together as possible; of equals, the largest tile.
pub fn fitted(size: [usize; 3], plan: &Plan) -> [usize; 3] {
    let multiple = plan.edge_multiple();
    std::array::from_fn(|axis| {
        let edge = plan.tiles.tile[axis];
        let edges = ((edge - edge / 3).next_multiple_of(multiple)..=edge).step_by(multiple);
        let voxels = |edge: usize| {
            edge * layout::starts(&(0..size[axis]), size[axis], edge, overlap_voxels(plan, [edge; 3])[axis]).len()
        };
        edges.min_by_key(|&edge| (voxels(edge), Reverse(edge))).unwrap_or(edge)
    })
}

/// The voxels that tiles must cover: where a plan that looks at lungs keeps vessels, all near a lung where it skips
/// what is empty, or all.
pub fn needed(prepared: &Prepared, plan: &Plan) -> Needed {
    let (shape, inverse) = (prepared.shape, &prepared.inverse);
    let Some(lungs) = prepared.lungs().filter(|_| plan.tiles.skip_empty) else { return Needed::all(shape) };
    let (mask, reach_mm) = match plan.crop {
        // The inverse transform looks at the neighbours of each of the scan's voxels.
        Crop::Lungs { .. } => (lungs.vessel_region_in(inverse.extent, shape), inverse.canonical.spacing_mm),
        _ => (lungs.sides_in(inverse.extent, shape), [MARGIN_MM; 3]),
    };
    let needed = Needed::of(&mask, shape)
        .grown(std::array::from_fn(|axis| 1 + (reach_mm[axis] / prepared.grid.spacing_mm[axis]).ceil() as usize));
    if matches!(plan.crop, Crop::Lungs { .. }) { needed.in_blocks(STEP_VOXELS) } else { needed }
}

/// Cuts a tile's input out; beyond the grid windows hold their low end and the side channel its border value.
fn cut(prepared: &Prepared, plan: &Plan, layout: &Layout, origin: [usize; 3]) -> Vec<f32> {
    let count = plan.channels.len();
    let [_, height, width] = layout.shape;
    let [(zs, to_z), (ys, to_y), (xs, to_x)] = std::array::from_fn(|axis| layout.covered(origin, axis));
    let [_, tile_y, tile_x] = layout.tile;
    let mut input = vec![0f32; layout.tile.iter().product::<usize>() * count];
    let planes = input.par_chunks_mut(tile_y * tile_x * count).skip(to_z).take(zs.len());
    planes.zip(zs).for_each(|(plane, z)| {
        for (j, y) in ys.clone().enumerate() {
            let hu = &prepared.hu[(z * height + y) * width..][xs.clone()];
            let row = &mut plane[((to_y + j) * tile_x + to_x) * count..][..xs.len() * count];
            make_channels(hu, &prepared.side[xs.clone()], &plan.channels, row);
        }
    });
    for (channel, _) in plan.channels.iter().enumerate().filter(|(_, c)| matches!(c, Channel::Side)) {
        // The side channel depends on x alone.
        let line: Vec<f32> = (0..tile_x)
            .map(|x| {
                let inside = (origin[2] + x).saturating_sub(layout.pad[2]).min(width - 1);
                prepared.side[inside]
            })
            .collect();
        for row in input.chunks_exact_mut(tile_x * count) {
            row.iter_mut().skip(channel).step_by(count).zip(&line).for_each(|(to, &value)| *to = value);
        }
    }
    input
}

/// Mirrors a tile's input left–right: the side channel says the other side then.
fn mirror_input(input: &mut [f32], plan: &Plan, tile: [usize; 3]) {
    let count = plan.channels.len();
    mirror_rows(input, tile[2], count);
    for (channel, _) in plan.channels.iter().enumerate().filter(|(_, kind)| matches!(kind, Channel::Side)) {
        input.iter_mut().skip(channel).step_by(count).for_each(|side| *side = -*side);
    }
}

/// Turns rows of `width` voxels around, each of `count` values.
fn mirror_rows(values: &mut [f32], width: usize, count: usize) {
    for row in values.chunks_exact_mut(width * count) {
        for x in 0..width / 2 {
            let (left, right) = row.split_at_mut((width - 1 - x) * count);
            left[x * count..][..count].swap_with_slice(&mut right[..count]);
        }
    }
}

/// Gaussian weights of a tile, σ an eighth of each edge, 1 at the centre and never below `MIN_WEIGHT`.
///
/// # Shapes
/// → `[z, y, x]` of `tile`.
pub fn gaussian(tile: [usize; 3]) -> Vec<f32> {
    let line = |size: usize| -> Vec<f64> {
        let (centre, sigma) = ((size as f64 - 1.0) / 2.0, size as f64 / 8.0);
        (0..size).map(|i| (-0.5 * ((i as f64 - centre) / sigma).powi(2)).exp()).collect()
    };
    let [zs, ys, xs] = tile.map(line);
    let mut weights = Vec::with_capacity(tile.iter().product());
    for z in &zs {
        for y in &ys {
            weights.extend(xs.iter().map(|x| ((z * y * x) as f32).max(MIN_WEIGHT)));
        }
    }
    weights
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// Weighted sums on the plan's grid, in the box of all tiles.
struct Sum {
    found: Probabilities,
    /// Of each plane that tiles still add to.
    weights: Vec<Vec<f32>>,
    /// Planes that no tile adds to any more.
    finished: usize,
    blend: Blend,
}

impl Sum {
    fn new(layout: &Layout, prompts: usize, blend: Blend) -> Self {
        let part = layout.part();
        let voxels = part.shape().iter().product::<usize>();
        let found = Probabilities { values: vec![0.0; voxels * prompts], part, shape: layout.shape, prompts };
        Self { found, weights: vec![Vec::new(); part.shape()[0]], finished: 0, blend }
    }

    /// Adds one tile. Tiles come in one order, along z the lowest first, and within a tile each voxel is added to once:
    /// the same bits for any number of threads.
    fn add(&mut self, answer: &[f32], weights: &[f32], layout: &Layout, origin: [usize; 3]) {
        let (prompts, part) = (self.found.prompts, self.found.part);
        let [_, height, width] = part.shape();
        let [(zs, from_z), (ys, from_y), (xs, from_x)] = std::array::from_fn(|axis| {
            let (range, from) = layout.covered(origin, axis);
            (range.start - part.low[axis]..range.end - part.low[axis], from)
        });
        let [_, tile_y, tile_x] = layout.tile;
        let plane = height * width;
        self.finish_below(zs.start);
        let values = self.found.values.par_chunks_mut(plane * prompts);
        values.zip(&mut self.weights).skip(zs.start).take(zs.len()).enumerate().for_each(|(i, (values, sums))| {
            sums.resize(plane, 0.0);
            for (j, y) in ys.clone().enumerate() {
                let from = ((from_z + i) * tile_y + from_y + j) * tile_x + from_x;
                let to = y * width + xs.start;
                let line = &weights[from..from + xs.len()];
                sums[to..to + xs.len()].iter_mut().zip(line).for_each(|(sum, weight)| *sum += weight);
                let values = values[to * prompts..(to + xs.len()) * prompts].chunks_exact_mut(prompts);
                let answers = answer[from * prompts..].chunks_exact(prompts);
                for ((values, answers), &weight) in values.zip(answers).zip(line) {
                    values.iter_mut().zip(answers).for_each(|(to, value)| *to += weight * value);
                }
            }
        });
    }

    /// Divides the planes below one by their weights, which are let go.
    fn finish_below(&mut self, plane: usize) {
        let (prompts, blend, [_, height, width]) = (self.found.prompts, self.blend, self.found.part.shape());
        let planes = self.found.values.par_chunks_mut(height * width * prompts).zip(&mut self.weights);
        planes.take(plane).skip(self.finished).for_each(|(values, weights)| {
            for (values, weight) in values.chunks_exact_mut(prompts).zip(std::mem::take(weights)) {
                for value in values {
                    *value = match blend {
                        _ if weight == 0.0 => 0.0,
                        Blend::Probabilities => *value / weight,
                        Blend::Logits => sigmoid(*value / weight),
                    };
                }
            }
        });
        self.finished = plane;
    }

    fn finish(mut self) -> Probabilities {
        self.finish_below(self.weights.len());
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{FakeNetwork, channels, chest, plan};
    use crate::prepare::prepare;
    use pulmoav_model::Parameters;
    use pulmoav_ops::device::Transfers;
    use pulmoav_task::Silent;

    #[test]
    fn fitted_tiles_compute_fewer_voxels_and_keep_the_overlap() {
        let mut plan = plan();
        plan.tiles.tile = [96; 3];
        plan.tiles.overlap = 1.0 / 3.0;
        let size = [50, 287, 192];
        let tile = fitted(size, &plan);
        for axis in 0..3 {
            assert!(tile[axis].is_multiple_of(plan.edge_multiple()) && (64..=96).contains(&tile[axis]), "{tile:?}");
            let overlap = |edge: usize| overlap_voxels(&plan, [edge; 3])[axis];
            let starts = |edge: usize| layout::starts(&(0..size[axis]), size[axis], edge, overlap(edge));
            assert!(starts(tile[axis]).len() * tile[axis] <= starts(96).len() * 96, "{tile:?}");
            let least = overlap_voxels(&plan, tile)[axis];
            assert!(starts(tile[axis]).windows(2).all(|pair| pair[0] + tile[axis] >= pair[1] + least), "{tile:?}");
        }
        assert_eq!(overlap_voxels(&plan, [48; 3]), [16; 3]);
    }

    #[test]
    fn a_tile_crosses_to_the_device_once_and_back_once() {
        let plan = plan();
        let network = Network::build(&plan, &mut Parameters::new(7)).unwrap();
        let prompted = PromptedNetwork::new(&network, &plan).unwrap();
        let before = Transfers::so_far();
        prompted.logits(vec![0.0; 16 * 16 * 16 * 2], [16; 3], &[0, 1]).unwrap();
        assert_eq!(before.since(), Transfers { uploads: 1, downloads: 1 });
    }

    #[test]
    fn a_constant_answer_blends_to_itself() {
        struct Constant;
        impl TileNetwork for Constant {
            fn logits(&self, tile: Vec<f32>, _: [usize; 3], asked: &[usize]) -> Result<Vec<f32>, SegmentError> {
                Ok(vec![1.25; tile.len() / 2 * asked.len()])
            }
        }
        let mut plan = plan();
        plan.tiles.skip_empty = false;
        for blend in [Blend::Logits, Blend::Probabilities] {
            plan.tiles.blend = blend;
            let prepared = prepare(&chest(), &plan, &Silent).unwrap();
            let found =
                run(&prepared, &needed(&prepared, &plan), &plan, [16; 3], &Constant, &[0, 1, 2], &Silent).unwrap();
            assert_eq!(found.values.len(), prepared.shape.iter().product::<usize>() * 3);
            assert!(found.values.iter().all(|p| (p - sigmoid(1.25)).abs() < 1e-5));
        }
    }

    #[test]
    fn padding_is_taken_off_again() {
        let mut plan = plan();
        plan.tiles.skip_empty = false;
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let tile = [64, 96, 112];
        let found = run(&prepared, &needed(&prepared, &plan), &plan, tile, &FakeNetwork, &[0], &Silent).unwrap();
        let direct = FakeNetwork.logits(channels(&prepared, &plan), prepared.shape, &[0]).unwrap();
        for (a, b) in found.values.iter().zip(direct) {
            assert!((a - sigmoid(b)).abs() < 1e-6);
        }
    }

    #[test]
    fn mirrored_tiles_see_the_other_side_and_are_turned_back() {
        let mut rows = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        mirror_rows(&mut rows, 3, 2);
        assert_eq!(rows, [3.0, 30.0, 2.0, 20.0, 1.0, 10.0]);
        // A network that looks at each voxel alone, and not at the side, answers as it did.
        let mut plan = plan();
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let plain = run(&prepared, &needed(&prepared, &plan), &plan, [16; 3], &FakeNetwork, &[0], &Silent).unwrap();
        plan.tiles.mirror = true;
        let mirrored = run(&prepared, &needed(&prepared, &plan), &plan, [16; 3], &FakeNetwork, &[0], &Silent).unwrap();
        assert!(plain.values == mirrored.values);
    }

    #[test]
    fn a_plan_that_looks_at_lungs_runs_where_vessels_are_kept() {
        struct Counting(std::sync::atomic::AtomicUsize);
        impl TileNetwork for Counting {
            fn logits(&self, tile: Vec<f32>, shape: [usize; 3], asked: &[usize]) -> Result<Vec<f32>, SegmentError> {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                FakeNetwork.logits(tile, shape, asked)
            }
        }
        let count = |crop: Crop, skip_empty: bool| {
            let (mut plan, network) = (plan(), Counting(0.into()));
            (plan.crop, plan.tiles.skip_empty) = (crop, skip_empty);
            let prepared = prepare(&chest(), &plan, &Silent).unwrap();
            let found = run(&prepared, &needed(&prepared, &plan), &plan, [16; 3], &network, &[0], &Silent).unwrap();
            (network.0.into_inner(), found, prepared)
        };
        let (few, found, prepared) = count(Crop::Lungs { margin_mm: 25.0, body_only: false }, true);
        let (all, everywhere, _) = count(Crop::Lungs { margin_mm: 25.0, body_only: false }, false);
        assert!(few < all, "{few} of {all} tiles");
        let region = prepared.lungs().unwrap().vessel_region_in(prepared.inverse.extent, prepared.shape);
        let [_, height, width] = prepared.shape;
        let value = |found: &Probabilities, voxel: usize| {
            let row = found.row(voxel / (height * width), voxel / width % height)?;
            row.get((voxel % width).checked_sub(found.part.low[2])?).copied()
        };
        for (voxel, _) in region.iter().enumerate().filter(|&(_, &inside)| inside > 0) {
            assert!((value(&found, voxel).unwrap() - value(&everywhere, voxel).unwrap()).abs() < 1e-5);
        }
        let (near, all) = (count(Crop::None, true).0, count(Crop::None, false).0);
        assert!(few < near && near <= all, "{few}, {near} of {all} tiles");
    }

    #[test]
    fn weights_peak_in_the_middle() {
        let weights = gaussian([5, 7, 9]);
        let peak = weights.iter().copied().fold(0.0, f32::max);
        assert_eq!(weights[(2 * 7 + 3) * 9 + 4], peak);
        assert_eq!(weights[0], MIN_WEIGHT);
    }
}
