//! The passes by definition: work is cut into blocks of fixed size, which run on the cores of the surrounding rayon
//! pool.
//!
//! A block of results packs its inputs with their halo into a scratch of this thread (`pack.rs`) and walks over it with
//! the register kernel (`register_block.rs`), one vector of output channels at a time so that its weights stay in the
//! cache. With one tap it reads them where they lie; few output channels have a kernel of their own (`narrow.rs`).
#![allow(unsafe_code)] // Tasks write their own places of one result.

use std::cell::RefCell;

use rayon::prelude::*;

use super::geometry::{Geometry, WeightOrder};
use super::pack::{self, PackRow, RowLayout};
use super::pass::{Class, Pass};
use super::register_block::{RegisterBlocks, RegisterBlocksInPlace, Rows, Segments, Streamed, Target};
use super::{narrow, weight};
use crate::memory::{Aligned, Results, product};
use crate::simd::Level;

/// Packed inputs of one block should stay in the second-level cache together with one vector's weights.
const BLOCK_BYTES: usize = 768 << 10;
/// Planes and rows of results in a block, if [`BLOCK_BYTES`] allows.
const BLOCK_PLANES: usize = 4;
const BLOCK_ROWS: usize = 16;
/// Results of fewer bytes may still be in a cache when they are read.
const MIN_STREAMED_BYTES: usize = 32 << 20;
const LINE_BYTES: usize = 64;
/// With fewer blocks than this, output channels are shared out too.
const MIN_TASKS: usize = 16;

thread_local! {
    /// Packed inputs of the block that this thread works on; kept, since fresh memory costs a page fault every 4 KiB.
    static SCRATCH: RefCell<Aligned> = RefCell::default();
}

/// See [`super::reference::to_coarse`].
pub fn to_coarse(g: &Geometry, fine: &[f32], weight: &[f32], order: WeightOrder, bias: Option<&[f32]>) -> Vec<f32> {
    g.assert_fits_memory();
    run(&Pass::to_coarse(g, order), fine, weight, bias)
}

/// See [`super::reference::to_fine`].
pub fn to_fine(g: &Geometry, coarse: &[f32], weight: &[f32], order: WeightOrder, bias: Option<&[f32]>) -> Vec<f32> {
    g.assert_fits_memory();
    run(&Pass::to_fine(g, order), coarse, weight, bias)
}

/// See [`super::reference::weight_gradient`].
pub fn weight_gradient(g: &Geometry, fine: &[f32], coarse: &[f32], order: WeightOrder) -> Vec<f32> {
    g.assert_fits_memory();
    weight::weight_gradient(g, fine, coarse, order)
}

fn run(pass: &Pass, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let voxels = |size: [usize; 3]| pass.batch * size.iter().product::<usize>();
    assert_eq!(input.len(), voxels(pass.input) * pass.input_channels, "the input's length differs from its shape");
    let level = Level::current();
    if narrow::suits(pass, level) {
        return narrow::run(pass, level, input, weight, bias);
    }
    let work = Work::new(pass, level, input, weight, bias);
    let tasks = work.tasks();
    // SAFETY: `Pass` shares out all output voxels between the classes, `tasks` all results of a class between the
    // blocks and all channels between the vectors, each once: so every value is written, and by one task. `for_each`
    // returns after the last task.
    unsafe {
        Results::collect(voxels(pass.output) * pass.output_channels, |output| {
            tasks.par_iter().for_each(|task| {
                SCRATCH.with_borrow_mut(|scratch| {
                    if !work.in_place {
                        work.pack(task, scratch);
                    }
                    work.compute(task, scratch, output);
                });
            });
        })
    }
}

/// Everything that the tasks of a pass share.
struct Work<'a> {
    pass: &'a Pass,
    input: &'a [f32],
    level: Level,
    registers: RegisterShape,
    /// Planes and rows of results in a block.
    block: [usize; 2],
    layout: RowLayout,
    /// Whether inputs are read where they lie: each result has one tap, so packing would take longer than it saves.
    in_place: bool,
    classes: Vec<(&'a Class, Segments, Aligned)>,
    bias: Aligned,
}

/// Rows and results of a register block.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RegisterShape {
    rows: usize,
    results: usize,
}

/// A block of results of one sample, and the vectors of output channels to compute.
struct Task {
    sample: usize,
    planes: [usize; 2],
    rows: [usize; 2],
    vectors: [usize; 2],
}

impl<'a> Work<'a> {
    fn new(pass: &'a Pass, level: Level, input: &'a [f32], weight: &[f32], bias: Option<&[f32]>) -> Self {
        let lanes = level.lanes();
        let in_place = lies_ready(pass);
        let registers = if in_place {
            RegisterShape { rows: if level == Level::Avx512 { 4 } else { 2 }, results: 4 }
        } else {
            RegisterShape::choose(level, pass.largest_count())
        };
        let (block, layout) = blocks(pass, registers);
        let classes = pass
            .classes
            .iter()
            .map(|class| (class, pack::segments(pass, class, &layout), pack::weights(pass, class, weight, lanes)))
            .collect();
        let mut padded_bias = Aligned::zeros(pass.output_channels.next_multiple_of(lanes));
        if let Some(bias) = bias {
            padded_bias[..pass.output_channels].copy_from_slice(bias);
        }
        Self { pass, input, level, registers, block, layout, in_place, classes, bias: padded_bias }
    }

    fn tasks(&self) -> Vec<Task> {
        let [planes, rows, _] = self.pass.largest_count();
        let blocks = self.pass.batch * planes.div_ceil(self.block[0]) * rows.div_ceil(self.block[1]);
        let vectors = self.pass.output_channels.div_ceil(self.level.lanes());
        let group = vectors.div_ceil(MIN_TASKS.div_ceil(blocks).min(vectors));
        let mut tasks = vec![];
        for sample in 0..self.pass.batch {
            for z in (0..planes).step_by(self.block[0]) {
                for y in (0..rows).step_by(self.block[1]) {
                    for vector in (0..vectors).step_by(group) {
                        tasks.push(Task {
                            sample,
                            planes: [z, planes.min(z + self.block[0])],
                            rows: [y, rows.min(y + self.block[1])],
                            vectors: [vector, vectors.min(vector + group)],
                        });
                    }
                }
            }
        }
        tasks
    }

    /// Brings a block's inputs, with halo, into the scratch.
    fn pack(&self, task: &Task, scratch: &mut Aligned) {
        let (pass, low, reach) = (self.pass, self.pass.low(), self.pass.reach());
        let [depth, height, width] = pass.input;
        let planes = (task.planes[1] - task.planes[0] - 1) * pass.step[0] + reach[0];
        scratch.grow(product([planes, self.layout.rows, self.layout.row]));
        for (row, to) in scratch.chunks_exact_mut(self.layout.row).enumerate() {
            let z = (task.planes[0] * pass.step[0] + row / self.layout.rows) as isize + low[0];
            let y = (task.rows[0] * pass.step[1] + row % self.layout.rows) as isize + low[1];
            let inside = (0..depth as isize).contains(&z) && (0..height as isize).contains(&y);
            let from = inside.then(|| {
                let row = (task.sample * depth + z as usize) * height + y as usize;
                &self.input[row * width * pass.input_channels..][..width * pass.input_channels]
            });
            let row = PackRow {
                from,
                to,
                layout: self.layout,
                channels: pass.input_channels,
                low: low[2],
                step: pass.step[2],
            };
            self.level.run(row);
        }
    }

    /// Computes a block's results from its inputs, packed or where they lie.
    ///
    /// # Safety
    /// Nobody else reads or writes the results of the task's block and vectors meanwhile.
    unsafe fn compute(&self, task: &Task, packed: &Aligned, output: Results) {
        let (stream, channels) = (self.streams(output), self.pass.input_channels);
        for vector in task.vectors[0]..task.vectors[1] {
            for (class, segments, weights) in &self.classes {
                let vector_weights = weights.len() / self.bias.len() * self.level.lanes();
                for z in task.planes[0]..task.planes[1].min(class.count[0]) {
                    for y in (task.rows[0]..task.rows[1].min(class.count[1])).step_by(self.registers.rows) {
                        let inputs = if self.in_place {
                            let [depth, height, width] = self.pass.input;
                            let row = (task.sample * depth + z * self.pass.step[0]) * height + y * self.pass.step[1];
                            &self.input[row * width * channels..]
                        } else {
                            let row = (z - task.planes[0]) * self.pass.step[0] * self.layout.rows
                                + (y - task.rows[0]) * self.pass.step[1];
                            &packed[row * self.layout.row..]
                        };
                        let rows = Rows {
                            input: inputs,
                            row_step: self.pass.step[1]
                                * if self.in_place { self.pass.input[2] * channels } else { self.layout.row },
                            pitch: self.layout.pitch,
                            place_step: self.pass.step[2] * channels,
                            channels,
                            segments,
                            weights: &weights[vector * vector_weights..],
                            bias: &self.bias[vector * self.level.lanes()..],
                            // SAFETY: planes, rows and vector are the task's, which `compute`'s contract gives to this
                            // thread alone, and those to stream are streamed below.
                            target: unsafe { self.target((task.sample, z, y, vector), class, output, stream) },
                        };
                        if self.in_place {
                            self.registers.run_in_place(self.level, &rows);
                        } else {
                            self.registers.run(self.level, &rows);
                        }
                    }
                }
            }
        }
        if stream {
            self.level.run(Streamed);
        }
    }

    /// Whether results are written past the caches, which saves reading what is overwritten: whole cache lines of more
    /// than stays there.
    fn streams(&self, output: Results) -> bool {
        let bytes =
            self.pass.batch * self.pass.output.iter().product::<usize>() * self.pass.output_channels * size_of::<f32>();
        let lines = self.level.lanes() * size_of::<f32>() == LINE_BYTES
            && self.pass.output_channels.is_multiple_of(LINE_BYTES / size_of::<f32>());
        lines && bytes >= MIN_STREAMED_BYTES && output.place(0).addr().is_multiple_of(LINE_BYTES)
    }

    /// Where the results from row `y` of plane `z` of a class on are written.
    ///
    /// # Safety
    /// Nobody else reads or writes these rows' results of this vector before the kernel has returned, or with `stream`
    /// before this thread has run [`Streamed`].
    unsafe fn target(
        &self,
        (sample, z, y, vector): (usize, usize, usize, usize),
        class: &Class,
        output: Results,
        stream: bool,
    ) -> Target {
        let Pass { output: [depth, height, width], output_channels: channels, spread, .. } = *self.pass;
        let first = vector * self.level.lanes();
        let out_z = class.offset[0] + z * spread[0];
        let out_y = class.offset[1] + y * spread[1];
        let place = (((sample * depth + out_z) * height + out_y) * width + class.offset[2]) * channels + first;
        let steps = [spread[1] * width * channels, spread[2] * channels];
        let sizes = [self.registers.rows.min(class.count[1] - y), class.count[2]];
        // SAFETY: `target`'s contract is that of `Target::new`: the rows, columns and channels named are these.
        unsafe { Target::new(output.from(place), steps, sizes, self.level.lanes().min(channels - first), stream) }
    }
}

impl RegisterShape {
    /// The shape that wastes the fewest results beyond the volume's edge; the first of equals.
    fn choose(level: Level, count: [usize; 3]) -> Self {
        let shapes: &[(usize, usize)] = match level {
            Level::Avx512 => &[(1, 16), (2, 8), (4, 4)],
            Level::Portable | Level::Avx2 => &[(1, 8), (2, 4)],
        };
        let cost =
            |&&(rows, results): &&(usize, usize)| count[1].next_multiple_of(rows) * count[2].next_multiple_of(results);
        let (rows, results) = *shapes.iter().min_by_key(cost).unwrap_or(&(1, 8));
        Self { rows, results }
    }

    fn run(self, level: Level, rows: &Rows) {
        match (self.rows, self.results) {
            (1, 16) => level.run(RegisterBlocks::<1, 16>(rows)),
            (2, 8) => level.run(RegisterBlocks::<2, 8>(rows)),
            (4, 4) => level.run(RegisterBlocks::<4, 4>(rows)),
            (1, 8) => level.run(RegisterBlocks::<1, 8>(rows)),
            _ => level.run(RegisterBlocks::<2, 4>(rows)),
        }
    }

    fn run_in_place(self, level: Level, rows: &Rows) {
        match self.rows {
            4 => level.run(RegisterBlocksInPlace::<4, 4>(rows)),
            _ => level.run(RegisterBlocksInPlace::<2, 4>(rows)),
        }
    }
}

/// Whether each result has a single tap, on an input that exists, and rows and results are whole register blocks.
fn lies_ready(pass: &Pass) -> bool {
    pass.classes.iter().all(|class| {
        (0..3).all(|axis| {
            let (step, count) = (pass.step[axis], class.count[axis]);
            let exists = class.origin[axis] == 0 && (count - 1) * step < pass.input[axis];
            class.taps[axis] == 1 && exists && (axis == 0 || count.is_multiple_of(4))
        })
    })
}

/// Planes and rows of results in a block, and the layout of its inputs. Depends on shapes alone.
fn blocks(pass: &Pass, registers: RegisterShape) -> ([usize; 2], RowLayout) {
    let [planes, rows, _] = pass.largest_count();
    let reach = pass.reach();
    let mut block = [planes.clamp(1, BLOCK_PLANES), rows.clamp(1, BLOCK_ROWS).next_multiple_of(registers.rows)];
    loop {
        let layout = RowLayout::new(pass, registers.results, (block[1] - 1) * pass.step[1] + reach[1]);
        let bytes = ((block[0] - 1) * pass.step[0] + reach[0]) * layout.rows * layout.row * size_of::<f32>();
        if bytes <= BLOCK_BYTES || block == [1, registers.rows] {
            return (block, layout);
        }
        if block[0] > 1 {
            block[0] /= 2;
        } else {
            block[1] = (block[1] / 2).next_multiple_of(registers.rows);
        }
    }
}
