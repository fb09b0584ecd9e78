//! The weight's gradient, the adjoint of the other passes: `dw = Gᵀ[Σ over tiles (Bᵀ x B) ⊙ (A dy Aᵀ)]G`.
//!
//! Tiles are cut into parts whose number depends on shapes alone. A task sums one or two layers of points, or all, of
//! one part for some fine and coarse channels, block by block; the parts are added in their order before `Gᵀ … G`, so
//! the result has the same bits for any number of threads.
#![allow(unsafe_code)] // Tasks write their own places of the parts' sums.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::outer::{OuterProducts, Sums};
use super::tiling::{Panels, TileRun, Tiling, columns, step};
use super::transform::{Layers, TransformDepth, TransformGradient, TransformInput};
use super::transform_weights::TransformWeightGradient;
use crate::conv3d::geometry::{Geometry, WeightOrder};
use crate::conv3d::pack::Transposition;
use crate::memory::{Aligned, Results, product};
use crate::simd::Level;

/// Fine and coarse channels of one task at most.
const TASK_CHANNELS: usize = 64;
/// A part has at least this many tiles, or writing and reading its sums would take longer than computing them.
const MIN_PART_TILES: usize = 256;
const MAX_PARTS: usize = 16;
/// With at least so many parts and at most so many bytes of sums a task takes all layers, so that the third-level cache
/// has the block's inputs but for the first of them.
const MIN_PARTS: usize = 4;
const TASK_BYTES: usize = 1800 << 10;
/// Bytes of all parts' sums together, unless a single part needs more.
const PARTS_BYTES: usize = 64 << 20;
/// Values transformed back by one task.
const BACK_CHUNK: usize = 1024;

/// Tiles of a block, whole groups of either kind: enough that sums are worth fetching, few enough that a layer stays in
/// the second-level cache.
const BLOCK: usize = 48;

thread_local! {
    /// What this thread works on; kept, since fresh memory costs a page fault every 4 KiB.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    depth: Aligned,
    fine: Aligned,
    coarse: Aligned,
}

/// See [`crate::conv3d::reference::weight_gradient`].
pub(super) fn weight_gradient<const R: usize, const P: usize>(
    g: &Geometry,
    fine: &[f32],
    coarse: &[f32],
    order: WeightOrder,
) -> Vec<f32> {
    let length = |shape: [usize; 5]| shape.iter().product::<usize>();
    assert_eq!(coarse.len(), length(g.coarse_shape()), "the coarse array's length differs from its shape");
    assert_eq!(fine.len(), length(g.fine_shape()), "the fine array's length differs from its shape");
    let work = Work::<R, P>::new(g, fine, coarse);
    let tasks = work.tasks();
    let part = P * P * P * g.fine_channels * g.coarse_channels;
    // SAFETY: `tasks` shares out the parts' layers and channels, each once, and `compute` writes all points of its own:
    // so every value is written, and by one task. `for_each` returns after the last task.
    let sums = unsafe {
        Results::collect(product([work.parts(), part]), |sums| {
            tasks.par_iter().for_each(|task| {
                SCRATCH.with_borrow_mut(|scratch| work.compute(task, scratch, sums.from(task.part * part)));
            });
        })
    };
    let gradient = work.transform_back(&sums);
    match order {
        WeightOrder::FineCoarse => gradient,
        WeightOrder::CoarseFine => turned(g, &gradient, work.level),
    }
}

struct Work<'a, const R: usize, const P: usize> {
    g: &'a Geometry,
    fine: &'a [f32],
    coarse: &'a [f32],
    level: Level,
    tiling: Tiling,
    /// Tiles of a part, whole blocks.
    part: usize,
    /// A row of the padding, fine or coarse.
    zeros: Aligned,
}

/// Some layers of points, two by two, and some channels of one part.
struct Task {
    part: usize,
    layers: &'static [Layers],
    fine: Range<usize>,
    coarse: Range<usize>,
}

impl<'a, const R: usize, const P: usize> Work<'a, R, P> {
    fn new(g: &'a Geometry, fine: &'a [f32], coarse: &'a [f32]) -> Self {
        let tiling = Tiling::new(g.batch, g.coarse, [R; 3]);
        let bytes = P * P * P * g.fine_channels * g.coarse_channels * size_of::<f32>();
        let parts = (tiling.count() / MIN_PART_TILES).min(PARTS_BYTES / bytes).clamp(1, MAX_PARTS);
        let zeros = (g.fine[2] * g.fine_channels).max(g.coarse[2] * g.coarse_channels);
        Self {
            g,
            fine,
            coarse,
            level: Level::current(),
            tiling,
            part: tiling.count().div_ceil(parts).next_multiple_of(BLOCK),
            zeros: Aligned::zeros(zeros),
        }
    }

    fn parts(&self) -> usize {
        self.tiling.count().div_ceil(self.part)
    }

    fn tasks(&self) -> Vec<Task> {
        let channels = |all: usize| all.min(TASK_CHANNELS);
        let sums = P * P * P * channels(self.g.fine_channels) * channels(self.g.coarse_channels) * size_of::<f32>();
        let pairs = Layers::pairs(P);
        let together = if sums <= TASK_BYTES && self.parts() >= MIN_PARTS { pairs.len() } else { 1 };
        let mut tasks = vec![];
        for part in 0..self.parts() {
            for layers in pairs.chunks(together) {
                for fine in ranges(self.g.fine_channels) {
                    tasks.extend(ranges(self.g.coarse_channels).map(|coarse| Task {
                        part,
                        layers,
                        fine: fine.clone(),
                        coarse,
                    }));
                }
            }
        }
        tasks
    }

    /// Sums some layers' points, block by block.
    ///
    /// # Safety
    /// Nobody else reads or writes the sums of the task's layers and channels meanwhile.
    unsafe fn compute(&self, task: &Task, scratch: &mut Scratch, sums: Results) {
        let tiles = task.part * self.part..self.tiling.count().min((task.part + 1) * self.part);
        for first in tiles.clone().step_by(BLOCK) {
            let block = first..tiles.end.min(first + BLOCK);
            for &layers in task.layers {
                let layer_step = self.transform_depth(task, layers, &block, &mut scratch.depth);
                let [first_layer, second_layer] = layers.pair(P);
                let count = usize::from(first_layer != second_layer) + 1;
                for (i, layer) in [first_layer, second_layer].into_iter().take(count).enumerate() {
                    let depth = &scratch.depth[i * layer_step..];
                    let to = (&mut scratch.fine, &mut scratch.coarse);
                    // SAFETY: the layer is the task's, whose sums `compute`'s contract gives to this thread alone;
                    // those of the part's first block are the first, and later blocks find all of them written.
                    unsafe { self.add_layer(task, layer, &block, depth, to, first == tiles.start, sums) };
                }
            }
        }
    }

    /// Adds the products of one layer of a block of tiles to the sums, or writes them if they are the first.
    ///
    /// # Safety
    /// Nobody else reads or writes the layer's sums of the task's channels meanwhile, and all of them have been written
    /// unless they are the first.
    unsafe fn add_layer(
        &self,
        task: &Task,
        layer: usize,
        tiles: &Range<usize>,
        depth: &[f32],
        (to_fine, to_coarse): (&mut Aligned, &mut Aligned),
        is_first: bool,
        sums: Results,
    ) {
        let lanes = self.level.lanes();
        let (fine, coarse) = (self.g.fine_channels, self.g.coarse_channels);
        let fine_panels = Panels::new(tiles.len(), task.fine.len() / lanes, lanes, P);
        let coarse_panels = Panels::new(tiles.len(), task.coarse.len() / lanes, lanes, P);
        to_fine.grow(P * fine_panels.row);
        to_coarse.grow(P * coarse_panels.row);
        let mut at = 0;
        for run in self.tiling.runs(tiles.clone()) {
            self.level.run(TransformInput::<P, P> {
                from: &depth[at..],
                vectors: task.fine.len() / lanes,
                tiles: run.tiles,
                place: run.place,
                panels: fine_panels,
                to: to_fine,
            });
            at += task.fine.len() * P * columns(P, P, run.tiles);
            self.level.run(self.coarse_transform(&run, task, layer, coarse_panels, to_coarse));
        }
        for y in 0..P {
            let first_sum = ((P * layer + y) * P * fine + task.fine.start) * coarse + task.coarse.start;
            let channels = [task.fine.len(), task.coarse.len()];
            // SAFETY: points of the layer and channels of the task, which `add_layer`'s contract gives to this thread
            // alone, and has written if they are not the first.
            let sums = unsafe { Sums::new::<P>(sums.from(first_sum), channels, [fine * coarse, coarse], is_first) };
            self.level.run(OuterProducts::<P> {
                fine: &to_fine[y * fine_panels.row..],
                fine_panels,
                coarse: &to_coarse[y * coarse_panels.row..],
                coarse_panels,
                tiles: tiles.len(),
                fine_vectors: task.fine.len() / lanes,
                coarse_vectors: task.coarse.len() / lanes,
                sums,
            });
        }
    }

    /// The fine values of a block along z, run by run; yields the values of a layer.
    fn transform_depth(&self, task: &Task, layers: Layers, tiles: &Range<usize>, to: &mut Aligned) -> usize {
        let length = |run: &TileRun| task.fine.len() * P * columns(P, P, run.tiles);
        let layer_step = self.tiling.runs(tiles.clone()).map(|run| length(&run)).sum::<usize>();
        to.grow(2 * layer_step);
        let mut at = 0;
        for run in self.tiling.runs(tiles.clone()) {
            self.level.run(self.depth_transform(&run, task, layers, layer_step, &mut to[at..]));
            at += length(&run);
        }
        layer_step
    }

    fn depth_transform<'b>(
        &'b self,
        run: &TileRun,
        task: &Task,
        layers: Layers,
        layer_step: usize,
        to: &'b mut [f32],
    ) -> TransformDepth<'b, P, P, P> {
        let Geometry { fine: [depth, height, width], fine_channels: channels, padding, .. } = *self.g;
        let [first_z, first_y, first_x] = run.first.map(|tile| step(P, P) * tile);
        let rows = std::array::from_fn(|y| {
            std::array::from_fn(|z| {
                let z = (first_z + z).wrapping_sub(padding[0]);
                let y = (first_y + y).wrapping_sub(padding[1]);
                if z < depth && y < height {
                    let row = (run.sample * depth + z) * height + y;
                    &self.fine[row * width * channels + task.fine.start..]
                } else {
                    &self.zeros[..]
                }
            })
        });
        TransformDepth {
            layers,
            rows,
            width,
            step: channels,
            vectors: task.fine.len() / self.level.lanes(),
            first: first_x as isize - padding[2] as isize,
            columns: columns(P, P, run.tiles),
            layer_step,
            to,
        }
    }

    fn coarse_transform<'b>(
        &'b self,
        run: &TileRun,
        task: &Task,
        layer: usize,
        panels: Panels<P>,
        to: &'b mut [f32],
    ) -> TransformGradient<'b, R, P> {
        let Geometry { coarse: [depth, height, width], coarse_channels: channels, .. } = *self.g;
        let [first_z, first_y, first_x] = run.first.map(|tile| R * tile);
        let rows = std::array::from_fn(|y| {
            std::array::from_fn(|z| {
                let (z, y) = (first_z + z, first_y + y);
                if z < depth && y < height {
                    let row = (run.sample * depth + z) * height + y;
                    &self.coarse[(row * width + first_x) * channels + task.coarse.start..]
                } else {
                    &self.zeros[..]
                }
            })
        });
        TransformGradient {
            layer,
            rows,
            width: width - first_x,
            step: channels,
            vectors: task.coarse.len() / self.level.lanes(),
            tiles: run.tiles,
            place: run.place,
            panels,
            to,
        }
    }

    /// Adds the parts and applies `Gᵀ … G`.
    fn transform_back(&self, sums: &[f32]) -> Vec<f32> {
        let tap_step = self.g.fine_channels * self.g.coarse_channels;
        // SAFETY: the chunks share out all values of a tap, and the kernel writes those of every tap: so every value is
        // written, and by one task. `for_each` returns after the last task.
        unsafe {
            Results::collect(27 * tap_step, |gradient| {
                (0..tap_step.div_ceil(BACK_CHUNK)).into_par_iter().for_each(|chunk| {
                    let first = chunk * BACK_CHUNK;
                    let values = BACK_CHUNK.min(tap_step - first);
                    let (sums, to) = (&sums[first..], gradient.from(first));
                    self.level.run(TransformWeightGradient::<P>::new(sums, self.parts(), tap_step, values, to));
                });
            })
        }
    }
}

/// All channels, cut as tasks want them.
fn ranges(channels: usize) -> impl Iterator<Item = Range<usize>> {
    (0..channels).step_by(TASK_CHANNELS).map(move |first| first..channels.min(first + TASK_CHANNELS))
}

/// The gradient with the coarse channel first.
fn turned(g: &Geometry, gradient: &[f32], level: Level) -> Vec<f32> {
    let mut turned = vec![0f32; gradient.len()];
    let tap = g.fine_channels * g.coarse_channels;
    turned.par_chunks_exact_mut(tap).zip(gradient.par_chunks_exact(tap)).for_each(|(to, from)| {
        level.run(Transposition {
            from,
            from_step: g.coarse_channels,
            to,
            to_step: g.fine_channels,
            to_first: 0,
            count: g.fine_channels,
            channels: g.coarse_channels,
        });
    });
    turned
}
