//! Both directions: blocks of tiles, each transformed, multiplied and transformed back by one task.
//!
//! A block's points are transformed and multiplied a layer and some channels at a time, so that they are still in the
//! cache when they are multiplied. Every result is the same sum in the same order whatever block it falls into.
#![allow(unsafe_code)] // Tasks write their own places of one result.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::product::{CHUNK, Products};
use super::tiling::{Panels, TileRun, Tiling, columns, group, step};
use super::transform::{Layers, Target, TransformDepth, TransformInput, TransformOutput};
use super::transform_weights::TransformWeights;
use crate::conv3d::pack::Transposition;
use crate::conv3d::pass::Pass;
use crate::memory::{Aligned, Results, product};
use crate::simd::Level;

/// Output channels that one task computes at most: the products of all would crowd out the inputs.
const TASK_CHANNELS: usize = 64;

/// Most tiles of a block for tasks of so many channels: enough that weights are worth fetching, few enough that a
/// layer's inputs and all products stay in the second-level cache.
fn most_tiles<const R: usize, const PZ: usize>(task_channels: usize) -> usize {
    match (R, PZ) {
        (2, _) => 48,
        (_, 1) => 32,
        _ => (1024 / task_channels).min(32),
    }
}

thread_local! {
    /// What this thread works on; kept, since fresh memory costs a page fault every 4 KiB.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    depth: Aligned,
    inputs: Aligned,
    products: Aligned,
}

/// A pass of three taps along y and x, and along z three or, for one point, one; stride 1 or, for five points, 2. The input's channels are those of all `inputs`, one
/// behind the other, each with channels in sixteens.
pub(super) fn run<const NZ: usize, const RZ: usize, const PZ: usize, const N: usize, const R: usize, const P: usize>(
    pass: &Pass,
    inputs: &[&[f32]],
    weight: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let voxels = |size: [usize; 3]| pass.batch * size.iter().product::<usize>();
    let length = inputs.iter().map(|values| values.len()).sum::<usize>();
    assert_eq!(length, voxels(pass.input) * pass.input_channels, "the input's length differs from its shape");
    let work = Work::<NZ, RZ, PZ, N, R, P>::new(pass, inputs, weight, bias);
    let tasks = work.tasks();
    // SAFETY: `tasks` shares out all tiles and all vectors of output channels, each once: so every value is written,
    // and by one task. `for_each` returns after the last task.
    unsafe {
        Results::collect(voxels(pass.output) * pass.output_channels, |output| {
            tasks.par_iter().for_each(|task| SCRATCH.with_borrow_mut(|scratch| work.compute(task, scratch, output)));
        })
    }
}

/// Everything that the tasks of a pass share.
struct Work<'a, const NZ: usize, const RZ: usize, const PZ: usize, const N: usize, const R: usize, const P: usize> {
    pass: &'a Pass,
    inputs: Vec<Input<'a>>,
    level: Level,
    tiling: Tiling,
    /// For each vector of output channels the points along z and y, input channels, points along x.
    weights: Aligned,
    bias: Aligned,
    /// A row of the padding.
    zeros: Aligned,
}

/// Some of the input's channels.
struct Input<'a> {
    values: &'a [f32],
    channels: usize,
    /// The first one's place among all.
    first_channel: usize,
}

/// The vectors of an input's channels that are in a chunk of the vectors of all.
struct InputPart<'a> {
    values: &'a [f32],
    channels: usize,
    /// Their places among the input's vectors.
    vectors: Range<usize>,
    /// The first one's place in the chunk.
    place: usize,
}

impl<'a> Input<'a> {
    fn part(&self, chunk: &Range<usize>, lanes: usize) -> Option<InputPart<'a>> {
        let &Self { values, channels, first_channel } = self;
        let first = first_channel / lanes;
        let (start, end) = (chunk.start.max(first), chunk.end.min(first + channels / lanes));
        let part = || InputPart { values, channels, vectors: start - first..end - first, place: start - chunk.start };
        (start < end).then(part)
    }
}

/// A block of tiles, and the vectors of output channels to compute.
struct Task {
    tiles: Range<usize>,
    vectors: Range<usize>,
}

impl<'a, const NZ: usize, const RZ: usize, const PZ: usize, const N: usize, const R: usize, const P: usize>
    Work<'a, NZ, RZ, PZ, N, R, P>
{
    fn new(pass: &'a Pass, inputs: &[&'a [f32]], weight: &[f32], bias: Option<&[f32]>) -> Self {
        let level = Level::current();
        let voxels = pass.batch * pass.input.iter().product::<usize>();
        let mut first_channel = 0;
        let inputs = inputs.iter().map(|&values| {
            let input = Input { values, channels: values.len() / voxels, first_channel };
            first_channel += input.channels;
            input
        });
        let tiling = Tiling::new(pass.batch, pass.output, [RZ, R, R]);
        let mut own_bias = Aligned::zeros(pass.output_channels);
        if let Some(bias) = bias {
            own_bias.copy_from_slice(bias);
        }
        Self {
            pass,
            inputs: inputs.collect(),
            level,
            tiling,
            weights: weights::<PZ, P>(pass, weight, level),
            bias: own_bias,
            zeros: Aligned::zeros(pass.input[2] * pass.input_channels),
        }
    }

    fn tasks(&self) -> Vec<Task> {
        let vectors = self.pass.output_channels / self.level.lanes();
        let most_vectors = vectors.min(TASK_CHANNELS / self.level.lanes());
        let mut tasks = vec![];
        for tiles in self.tiling.blocks(most_tiles::<R, PZ>(most_vectors * self.level.lanes()), group(P)) {
            for first in (0..vectors).step_by(most_vectors) {
                tasks.push(Task { tiles: tiles.clone(), vectors: first..vectors.min(first + most_vectors) });
            }
        }
        tasks
    }

    /// # Safety
    /// Nobody else reads or writes the results of the task's tiles and vectors meanwhile.
    unsafe fn compute(&self, task: &Task, scratch: &mut Scratch, output: Results) {
        let (lanes, tiles) = (self.level.lanes(), task.tiles.len());
        let input_vectors = self.pass.input_channels / lanes;
        let output_panels = Panels::new(tiles, task.vectors.len(), lanes, R);
        scratch.products.grow(PZ * P * output_panels.row);
        let row_weights = self.pass.input_channels * P * lanes;
        for first in (0..input_vectors).step_by(CHUNK / lanes) {
            let chunk = first..input_vectors.min(first + CHUNK / lanes);
            let layer_step = self.transform_depth(task, &chunk, &mut scratch.depth);
            let input_panels = Panels::new(tiles, chunk.len(), lanes, P);
            scratch.inputs.grow(P * input_panels.row);
            for layer in 0..PZ {
                let mut at = layer * layer_step;
                for run in self.tiling.runs(task.tiles.clone()) {
                    self.level.run(TransformInput::<N, P> {
                        from: &scratch.depth[at..],
                        vectors: chunk.len(),
                        tiles: run.tiles,
                        place: run.place,
                        panels: input_panels,
                        to: &mut scratch.inputs,
                    });
                    at += chunk.len() * N * columns(N, P, run.tiles) * lanes;
                }
                for y in 0..P {
                    let row = P * layer + y;
                    let first_weight = (task.vectors.start * PZ * P + row) * row_weights + first * lanes * P * lanes;
                    self.level.run(Products::<R, P> {
                        input: &scratch.inputs[y * input_panels.row..],
                        input_panels,
                        output: &mut scratch.products[row * output_panels.row..],
                        output_panels,
                        groups: tiles.div_ceil(group(P)),
                        weights: &self.weights[first_weight..],
                        vector_step: PZ * P * row_weights,
                        input_vectors: chunk.len(),
                        output_vectors: task.vectors.len(),
                        is_first: first == 0,
                    });
                }
            }
        }
        for run in self.tiling.runs(task.tiles.clone()) {
            // SAFETY: the run's tiles are the task's, whose results `compute`'s contract gives to this thread alone.
            let target = unsafe { self.target(&run, task, output) };
            self.level.run(TransformOutput::<RZ, R, PZ, P> {
                place: run.place,
                panels: output_panels,
                from: &scratch.products,
                bias: &self.bias[task.vectors.start * lanes..],
                vectors: task.vectors.len(),
                tiles: run.tiles,
                target,
            });
        }
    }

    /// The layers of a chunk of the input's vectors, run by run; yields the values of a layer.
    fn transform_depth(&self, task: &Task, chunk: &Range<usize>, to: &mut Aligned) -> usize {
        let lanes = self.level.lanes();
        let length = |run: &TileRun| chunk.len() * N * columns(N, P, run.tiles) * lanes;
        let layer_step = self.tiling.runs(task.tiles.clone()).map(|run| length(&run)).sum::<usize>();
        to.grow(PZ * layer_step);
        let mut at = 0;
        for run in self.tiling.runs(task.tiles.clone()) {
            for part in self.inputs.iter().filter_map(|input| input.part(chunk, lanes)) {
                self.level.run(self.depth_transform(&part, &run, layer_step, &mut to[at..]));
            }
            at += length(&run);
        }
        layer_step
    }

    fn depth_transform<'b>(
        &'b self,
        part: &InputPart<'b>,
        run: &TileRun,
        layer_step: usize,
        to: &'b mut [f32],
    ) -> TransformDepth<'b, NZ, N, PZ> {
        let [depth, height, width] = self.pass.input;
        let InputPart { values, channels, vectors, place } = part;
        let (lanes, low) = (self.level.lanes(), self.pass.low());
        let rows = std::array::from_fn(|y| {
            std::array::from_fn(|z| {
                let z = (step(NZ, PZ) * run.first[0] + z).wrapping_add_signed(low[0]);
                let y = (step(N, P) * run.first[1] + y).wrapping_add_signed(low[1]);
                if z < depth && y < height {
                    let row = (run.sample * depth + z) * height + y;
                    &values[row * width * channels + vectors.start * lanes..]
                } else {
                    &self.zeros[..]
                }
            })
        });
        let columns = columns(N, P, run.tiles);
        TransformDepth {
            layers: Layers::All,
            rows,
            width,
            step: *channels,
            vectors: vectors.len(),
            first: (step(N, P) * run.first[2]) as isize + low[2],
            columns,
            layer_step,
            to: &mut to[place * N * columns * lanes..],
        }
    }

    /// Where a run's results of the task's vectors are written.
    ///
    /// # Safety
    /// Nobody else reads or writes them before the kernel has returned.
    unsafe fn target(&self, run: &TileRun, task: &Task, output: Results) -> Target<RZ, R> {
        let Pass { output: [depth, height, width], output_channels: channels, .. } = *self.pass;
        let lanes = self.level.lanes();
        let [z, y, x] = [RZ * run.first[0], R * run.first[1], R * run.first[2]];
        let place = (((run.sample * depth + z) * height + y) * width + x) * channels + task.vectors.start * lanes;
        let row_steps = [height * width * channels, width * channels];
        let row = [(width - x).min(R * run.tiles), channels];
        // SAFETY: this function's contract is that of `Target::new`: the rows, columns and channels named are these.
        unsafe { Target::new(output.from(place), row_steps, [depth - z, height - y], row, task.vectors.len() * lanes) }
    }
}

/// Transforms the weights, a vector of output channels at a time.
fn weights<const PZ: usize, const P: usize>(pass: &Pass, weight: &[f32], level: Level) -> Aligned {
    let (lanes, channels) = (level.lanes(), pass.input_channels);
    let count = TransformWeights::<PZ, P>::TAPS;
    let tap = |t: usize| {
        if pass.spread == [1; 3] {
            pass.tap_weights(weight, &pass.classes[0], [t / 9, t / 3 % 3, t % 3])
        } else {
            // From coarse to fine, where each class has some of the taps, the kernel is turned around.
            pass.kernel_weights(weight, count - 1 - t)
        }
    };
    let taps: Vec<&[f32]> = (0..count).map(tap).collect();
    let vectors = pass.output_channels / lanes;
    let length = PZ * P * P * channels * lanes;
    // SAFETY: each vector has a task, and `TransformWeights` writes all `length` values: so every value is written, and
    // by one task. `for_each` returns after the last task.
    unsafe {
        Aligned::collect(product([vectors, length]), |weights| {
            (0..vectors).into_par_iter().for_each(|vector| {
                let to = weights.from(vector * length);
                let first = vector * lanes;
                if pass.weight_is_transposed {
                    let own = taps.iter().map(|tap| &tap[first * channels..][..lanes * channels]);
                    let turned = turned(own, count, channels, level);
                    let taps: Vec<&[f32]> = turned.chunks_exact(channels * lanes).collect();
                    level.run(TransformWeights::<PZ, P>::new(&taps, lanes, channels, lanes, to));
                } else {
                    let taps: Vec<&[f32]> = taps.iter().map(|tap| &tap[first..]).collect();
                    level.run(TransformWeights::<PZ, P>::new(&taps, pass.output_channels, channels, lanes, to));
                }
            });
        })
    }
}

/// The weights of a vector of output channels with the output channel last.
fn turned<'a>(taps: impl Iterator<Item = &'a [f32]>, count: usize, channels: usize, level: Level) -> Aligned {
    let lanes = level.lanes();
    let mut turned = Aligned::zeros(count * channels * lanes);
    for (from, to) in taps.zip(turned.chunks_exact_mut(channels * lanes)) {
        level.run(Transposition { from, from_step: channels, to, to_step: lanes, to_first: 0, count: lanes, channels });
    }
    turned
}
