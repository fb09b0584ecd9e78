//! The matrices of F(2, 3) applied to tiles along all three axes, a vector of channels at a time.
#![allow(unsafe_code)] // Raw loads and stores: bounds checks would cost more than the sums between them.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use super::tiling::{GROUP, PLANE_POINTS, Panels, ROW_POINTS};
use crate::simd::{Kernel, Lanes};

/// Lanes of the widest vector.
const MOST_LANES: usize = 16;

/// `Bᵀ d`.
#[inline(always)]
unsafe fn input_line<L: Lanes>(d: [L; 4]) -> [L; 4] {
    // SAFETY: the caller found the instruction set.
    unsafe { [d[0].minus(d[2]), d[1].plus(d[2]), d[2].minus(d[1]), d[1].minus(d[3])] }
}

/// `G w`.
#[inline(always)]
unsafe fn weight_line<L: Lanes>(w: [L; 3], half: L) -> [L; 4] {
    // SAFETY: the caller found the instruction set.
    unsafe {
        let outer = w[0].plus(w[2]);
        let (sum, difference) = (outer.plus(w[1]), outer.minus(w[1]));
        [w[0], L::zero().plus_product(sum, half), L::zero().plus_product(difference, half), w[2]]
    }
}

/// `Aᵀ m`.
#[inline(always)]
pub(super) unsafe fn output_line<L: Lanes>(m: [L; 4]) -> [L; 2] {
    // SAFETY: the caller found the instruction set.
    unsafe { [m[0].plus(m[1]).plus(m[2]), m[1].minus(m[2]).minus(m[3])] }
}

/// Four vectors, `step` values apart.
#[inline(always)]
unsafe fn load_line<L: Lanes>(from: *const f32, step: usize) -> [L; 4] {
    // SAFETY: the caller lets them be read and found the instruction set.
    unsafe {
        let mut line = [L::zero(); 4];
        for i in 0..4usize {
            line[i] = L::load(from.add(i.wrapping_mul(step)));
        }
        line
    }
}

/// `Bᵀ x B` of neighbouring tiles of a row, into panels.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct TransformInput {
    /// Voxel 0 of the 4 × 4 rows that the tiles reach, z first; rows of zeros where the padding lies.
    pub(super) rows: [*const f32; PLANE_POINTS],
    /// Voxels of a row and channels of a voxel, whole vectors.
    pub(super) width: usize,
    pub(super) channels: usize,
    /// The first voxel that the first tile reaches; negative = in the padding.
    pub(super) first: isize,
    pub(super) tiles: usize,
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels,
    pub(super) to: *mut f32,
}

/// Columns transformed along z and y, of which two serve the next tile too.
#[repr(align(64))]
struct Columns([f32; 4 * PLANE_POINTS * MOST_LANES]);

impl Kernel for TransformInput {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let mut columns = Columns([0.0; 4 * PLANE_POINTS * MOST_LANES]);
        let columns = columns.0.as_mut_ptr();
        for vector in 0..self.channels / L::N {
            // SAFETY: see the fields; `Level::run` vouches for the instruction set; four columns have room.
            unsafe {
                let halves = [columns, columns.add(2 * PLANE_POINTS * L::N)];
                self.two_columns::<L>(vector, 0, halves[0]);
                for tile in 0..self.tiles {
                    let (now, next) = (halves[tile % 2], halves[(tile + 1) % 2]);
                    self.two_columns::<L>(vector, 2 * tile + 2, next);
                    let place = self.panels.tile(self.place + tile, L::N) + vector * self.panels.panel;
                    along_x::<L>([now, next], self.to.add(place), self.panels.point);
                }
            }
        }
    }
}

impl TransformInput {
    #[inline(always)]
    unsafe fn two_columns<L: Lanes>(&self, vector: usize, column: usize, to: *mut f32) {
        // SAFETY: the caller has room for two columns.
        unsafe {
            self.column::<L>(vector, column, to);
            self.column::<L>(vector, column + 1, to.add(PLANE_POINTS * L::N));
        }
    }

    /// Transforms the `column`th voxels of the rows along z and y.
    #[inline(always)]
    unsafe fn column<L: Lanes>(&self, vector: usize, column: usize, to: *mut f32) {
        let x = self.first.wrapping_add(column as isize) as usize;
        // SAFETY: the voxel exists or isn't read; the caller has room for a column.
        unsafe {
            let mut values = [[L::zero(); 4]; 4];
            if x < self.width {
                let at = x * self.channels + vector * L::N;
                for y in 0..4 {
                    let mut line = [L::zero(); 4];
                    for z in 0..4 {
                        line[z] = L::load(self.rows[4 * z + y].add(at));
                    }
                    line = input_line(line);
                    for z in 0..4 {
                        values[z][y] = line[z];
                    }
                }
            }
            for z in 0..4 {
                let line = input_line(values[z]);
                for y in 0..4 {
                    line[y].store(to.add((4 * z + y) * L::N));
                }
            }
        }
    }
}

/// Transforms twice two columns along x, for each point along z and y.
#[inline(always)]
unsafe fn along_x<L: Lanes>(halves: [*mut f32; 2], to: *mut f32, point_step: usize) {
    for point in 0..PLANE_POINTS {
        // SAFETY: the caller's columns hold all points, and so do its panels.
        unsafe {
            let mut line = [L::zero(); 4];
            for x in 0..4 {
                line[x] = L::load(halves[x / 2].add((x % 2 * PLANE_POINTS + point) * L::N));
            }
            line = input_line(line);
            for x in 0..ROW_POINTS {
                line[x].store(to.add(point.wrapping_mul(point_step)).add(x * GROUP * L::N));
            }
        }
    }
}

/// `Aᵀ m A` of neighbouring tiles of a row, from panels whose two points along x are results already; adds the bias and writes the results.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct TransformOutput {
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels,
    pub(super) from: *const f32,
    /// One vector for each vector of channels.
    pub(super) bias: *const f32,
    pub(super) vectors: usize,
    pub(super) tiles: usize,
    /// The first tile's first result; `rows` (2 × 2, z first) of `width` results can be written where `exists` says so.
    pub(super) output: *mut f32,
    pub(super) rows: [usize; 4],
    pub(super) exists: [bool; 4],
    pub(super) width: usize,
    pub(super) channels: usize,
}

impl Kernel for TransformOutput {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for vector in 0..self.vectors {
            for tile in 0..self.tiles {
                let place = self.panels.tile(self.place + tile, L::N) + vector * self.panels.panel;
                for x in 0..2.min(self.width - 2 * tile) {
                    // SAFETY: see the fields; `Level::run` vouches for the instruction set.
                    unsafe {
                        let from = self.from.add(place + x * (GROUP * L::N));
                        let to = self.output.add((2 * tile + x) * self.channels + vector * L::N);
                        self.results(from, L::load(self.bias.add(vector * L::N)), to);
                    }
                }
            }
        }
    }
}

impl TransformOutput {
    /// Four results of one x.
    #[inline(always)]
    unsafe fn results<L: Lanes>(&self, from: *const f32, bias: L, to: *mut f32) {
        // SAFETY: the caller's tile lies within the panels, and only results that exist are written.
        unsafe {
            let mut values = [[L::zero(); 4]; 2];
            for y in 0..4usize {
                let column = from.add(y.wrapping_mul(self.panels.point));
                let line = output_line(load_line(column, self.panels.point.wrapping_mul(4)));
                for z in 0..2 {
                    values[z][y] = line[z];
                }
            }
            for z in 0..2 {
                let line = output_line(values[z]);
                for y in 0..2 {
                    if self.exists[2 * z + y] {
                        line[y].plus(bias).store(to.add(self.rows[2 * z + y]));
                    }
                }
            }
        }
    }
}

/// `G w Gᵀ` for one vector of output channels: for each point along z and y and each input channel the points along x.
///
/// # Safety
/// Whoever builds one makes sure that a vector can be read at `taps[t] + c · step` for every tap and channel, and all points written.
pub(super) struct TransformWeights {
    pub(super) taps: [*const f32; 27],
    pub(super) step: usize,
    pub(super) channels: usize,
    pub(super) to: *mut f32,
}

impl Kernel for TransformWeights {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let point_step = self.channels * ROW_POINTS * L::N;
        for channel in 0..self.channels {
            // SAFETY: see the fields; `Level::run` vouches for the instruction set.
            unsafe {
                let half = L::splat(&raw const HALF);
                let mut along_z = [[[L::zero(); 3]; 3]; 4];
                for row in 0..9 {
                    let mut line = [L::zero(); 3];
                    for z in 0..3 {
                        line[z] = L::load(self.taps[9 * z + row].add(channel * self.step));
                    }
                    let line = weight_line(line, half);
                    for z in 0..4 {
                        along_z[z][row / 3][row % 3] = line[z];
                    }
                }
                for z in 0..4 {
                    let mut along_y = [[L::zero(); 3]; 4];
                    for x in 0..3 {
                        let line = weight_line([along_z[z][0][x], along_z[z][1][x], along_z[z][2][x]], half);
                        for y in 0..4 {
                            along_y[y][x] = line[y];
                        }
                    }
                    for y in 0..4 {
                        let line = weight_line(along_y[y], half);
                        let to = self.to.add((4 * z + y) * point_step + channel * (ROW_POINTS * L::N));
                        for x in 0..4 {
                            line[x].store(to.add(x * L::N));
                        }
                    }
                }
            }
        }
    }
}

static HALF: f32 = 0.5;
