//! Few output channels: those of a stem's input gradient, of a head.
//!
//! They would leave most lanes of a vector idle, so here lanes are input channels, which lie side by side in memory: a
//! result is a dot product of the voxels around it with the weights of one output channel, its lanes added up at the
//! end. Nothing is packed. `V` neighbouring results share each load of a weight, and each loaded input serves all `O`
//! output channels.
#![allow(unsafe_code)] // Raw loads: bounds checks in the innermost loop would cost more than its arithmetic.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use std::ops::Range;

use rayon::prelude::*;

use super::pass::{Class, Pass};
use crate::memory::{Aligned, Results, extent, product};
use crate::simd::{Kernel, Lanes, Level, MAX_LANES};

/// More output channels fill enough of a vector.
const MAX_OUTPUTS: usize = 4;
/// Adding up the lanes of one sum costs about as much as this many multiply-adds.
const COST_OF_LANES: usize = 8;

/// Whether results of a pass are cheaper as dot products, and have a single class whose taps lie side by side.
pub(super) fn suits(pass: &Pass, level: Level) -> bool {
    let [class] = &pass.classes[..] else { return false };
    let (products, lanes) = (class.taps.iter().product::<usize>() * pass.input_channels, level.lanes());
    pass.step == [1; 3]
        && pass.output_channels <= MAX_OUTPUTS
        && pass.input_channels.is_multiple_of(lanes)
        && pass.output_channels * (products / lanes + COST_OF_LANES) < products
}

/// All results of a pass that [`suits`].
pub(super) fn run(pass: &Pass, level: Level, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let class = &pass.classes[0];
    let weights = weights(pass, class, weight, level.lanes());
    let [depth, height, width] = pass.output;
    let voxels = pass.input.iter().product::<usize>() * pass.input_channels;
    let no_bias = vec![0f32; pass.output_channels];
    let row = width * pass.output_channels;
    let write = |index: usize, output: Results| {
        let (sample, z, y) = (index / (depth * height), index / height % depth, index % height);
        let row = Row {
            pass,
            class,
            input: &input[sample * voxels..][..voxels],
            weights: &weights,
            bias: bias.unwrap_or(&no_bias),
            place: [z, y],
            // SAFETY: rows do not overlap, and each has one task.
            target: unsafe { Target::new(output.from(index * row), row) },
        };
        match pass.output_channels {
            1 => level.run(Outputs::<1, 8>(row)),
            2 => level.run(Outputs::<2, 4>(row)),
            3 => level.run(Outputs::<3, 4>(row)),
            _ => level.run(Outputs::<4, 4>(row)),
        }
    };
    let rows = pass.batch * depth * height;
    // SAFETY: the rows are all results, `Outputs` writes each value of a row, and `for_each` returns after the last
    // task.
    unsafe {
        Results::collect(product([rows, row]), |output| {
            (0..rows).into_par_iter().with_min_len(4).for_each(|index| write(index, output));
        })
    }
}

/// For each tap, vector of input channels and output channel one vector.
fn weights(pass: &Pass, class: &Class, weight: &[f32], lanes: usize) -> Aligned {
    let (inputs, outputs) = (pass.input_channels, pass.output_channels);
    let [planes, rows, columns] = class.taps;
    let mut packed = Aligned::zeros(planes * rows * columns * inputs * outputs);
    for (index, to) in packed.chunks_exact_mut(inputs * outputs).enumerate() {
        let tap = [index / (rows * columns), index / columns % rows, index % columns];
        let matrix = pass.tap_weights(weight, class, tap);
        for (place, to) in to.iter_mut().enumerate() {
            let (input, output) = (place / (lanes * outputs) * lanes + place % lanes, place / lanes % outputs);
            *to = if pass.weight_is_transposed {
                matrix[output * inputs + input]
            } else {
                matrix[input * outputs + output]
            };
        }
    }
    packed
}

/// One row of results.
struct Row<'a> {
    pass: &'a Pass,
    class: &'a Class,
    /// One sample.
    input: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    /// z and y.
    place: [usize; 2],
    target: Target,
}

/// Where a row's results are written.
struct Target {
    first: *mut f32,
    values: usize,
}

impl Target {
    /// # Safety
    /// Nobody else reads or writes these results before the kernel has returned.
    ///
    /// # Panics
    /// If `results` has fewer values.
    unsafe fn new(results: Results, values: usize) -> Self {
        Self { first: results.place(values), values }
    }
}

impl Row<'_> {
    /// # Panics
    /// If a kernel of `O` output channels would read or write beyond what there is.
    #[inline(always)]
    fn check<L: Lanes, const O: usize>(&self) {
        let (channels, [depth, height, width]) = (self.pass.input_channels, self.pass.input);
        let voxels = extent([(depth, height * width * channels), (height * width, channels)], channels);
        let taps = extent([(self.class.taps.iter().product(), channels * O)], channels * O);
        assert!(self.input.len() >= voxels && self.weights.len() >= taps, "inputs or weights end too early");
        let results = extent([(self.pass.output[2], O)], O);
        assert!(self.target.values >= results && self.bias.len() >= O, "a row that is not for this kernel");
        assert!(channels.is_multiple_of(L::N), "channels that are not whole vectors");
    }
}

/// Taps that meet the input, of those of a result at `at` along an axis.
fn taps_inside(row: &Row, axis: usize, at: usize) -> Range<usize> {
    let first = at as isize + row.class.origin[axis];
    let taps = row.class.taps[axis] as isize;
    let low = (-first).clamp(0, taps);
    let high = (row.pass.input[axis] as isize - first).clamp(low, taps);
    low as usize..high as usize
}

/// Computes a [`Row`] of `O` output channels, `V` results at a time where all their taps along x meet the input.
struct Outputs<'a, const O: usize, const V: usize>(Row<'a>);

impl<const O: usize, const V: usize> Kernel for Outputs<'_, O, V> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let row = self.0;
        row.check::<L, O>();
        let width = row.pass.output[2];
        let columns = row.class.taps[2];
        let whole = |x: &usize| taps_inside(&row, 2, *x).len() == columns;
        let inner = (0..width).find(whole).map_or(0..0, |low| low..(low..width).rfind(whole).unwrap_or(low) + 1);
        let inner = if inner.len() < V { 0..0 } else { inner };
        for x in inner.clone().step_by(V) {
            // The last register block ends with the row, and computes some results again.
            let x = x.min(inner.end - V);
            // SAFETY: the check above; `whole` has found that all taps of these results meet the input along x; and
            // `Level::run`, below which kernels run, has asserted that the machine has the instruction set.
            unsafe { register_block::<L, O, V>(&row, x, 0..columns) };
        }
        for x in (0..inner.start).chain(inner.end..width) {
            let taps = taps_inside(&row, 2, x);
            // SAFETY: the check above; `taps_inside` gives taps that meet the input; and `Level::run`, below which
            // kernels run, has asserted that the machine has the instruction set.
            unsafe { register_block::<L, O, 1>(&row, x, taps) };
        }
    }
}

/// # Safety
/// `row` has passed [`Row::check`]; the `V` results from `x` on are of the row; their taps `columns` meet the input
/// along x; the machine has the instruction set of `L`.
#[inline(always)]
unsafe fn register_block<L: Lanes, const O: usize, const V: usize>(row: &Row, x: usize, columns: Range<usize>) {
    let channels = row.pass.input_channels;
    let [_, height, width] = row.pass.input;
    let [z, y] = row.place;
    let at = |axis: usize, place: usize, tap: usize| (place + tap).wrapping_add_signed(row.class.origin[axis]);
    // SAFETY: `taps_inside` gives taps along z and y that meet the input, this function's contract those along x, so
    // their voxels are some of those that `Row::check` found; it also found a vector of weights for each tap, vector of
    // channels and output.
    let sums = unsafe {
        let mut sums = [[L::zero(); O]; V];
        for plane in taps_inside(row, 0, z) {
            for line in taps_inside(row, 1, y) {
                let voxels = (at(0, z, plane) * height + at(1, y, line)) * width;
                for column in columns.clone() {
                    let from = (voxels + at(2, x, column)) * channels;
                    let tap = (plane * row.class.taps[1] + line) * row.class.taps[2] + column;
                    let mut inputs = row.input.as_ptr().wrapping_add(from);
                    let mut weights = row.weights.as_ptr().wrapping_add(tap * channels * O);
                    for _ in 0..channels / L::N {
                        let mut taps = [L::zero(); O];
                        for o in 0..O {
                            taps[o] = L::load(weights.wrapping_add(o * L::N));
                        }
                        for v in 0..V {
                            let value = L::load(inputs.wrapping_add(v * channels));
                            for o in 0..O {
                                sums[v][o] = sums[v][o].plus_product(value, taps[o]);
                            }
                        }
                        inputs = inputs.wrapping_add(L::N);
                        weights = weights.wrapping_add(O * L::N);
                    }
                }
            }
        }
        sums
    };
    for v in 0..V {
        for o in 0..O {
            // SAFETY: by this function's contract the results are of the row, for whose width `Row::check` found room,
            // and the contract of `Target::new` gives them to this thread alone; the machine has the instruction set.
            unsafe { row.target.first.add((x + v) * O + o).write(row.bias[o] + sum_of_lanes(sums[v][o])) };
        }
    }
}

/// Halves are added to each other until one value is left.
///
/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
unsafe fn sum_of_lanes<L: Lanes>(vector: L) -> f32 {
    let mut values = [0f32; MAX_LANES];
    // SAFETY: `Lanes` promises that no vector has more than `MAX_LANES` lanes; the machine has the instruction set.
    unsafe { vector.store(values.as_mut_ptr()) };
    for half in [8, 4, 2, 1] {
        if half < L::N {
            for i in 0..half {
                values[i] += values[half + i];
            }
        }
    }
    values[0]
}
