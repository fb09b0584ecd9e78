//! The matrices of F(2, 3) applied to tiles along all three axes, a vector of channels at a time.
#![allow(unsafe_code)] // Raw loads and stores: bounds checks would cost more than the sums between them.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use super::tiling::{GROUP, LAYERS, POINTS, Panels, ROW_POINTS, ROWS};
use crate::simd::{Kernel, Lanes};

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

/// `A d`.
#[inline(always)]
unsafe fn gradient_line<L: Lanes>(d: [L; 2]) -> [L; 4] {
    // SAFETY: the caller found the instruction set.
    unsafe { [d[0], d[0].plus(d[1]), d[0].minus(d[1]), L::zero().minus(d[1])] }
}

/// `Gᵀ u`.
#[inline(always)]
unsafe fn weight_gradient_line<L: Lanes>(u: [L; 4], half: L) -> [L; 3] {
    // SAFETY: the caller found the instruction set.
    unsafe {
        let (sum, difference) = (u[1].plus(u[2]), u[1].minus(u[2]));
        [u[0].plus_product(sum, half), L::zero().plus_product(difference, half), u[3].plus_product(sum, half)]
    }
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

/// One layer of `Bᵀ x B`, its points of one z, for neighbouring tiles of a row, into panels.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct TransformInput {
    /// Voxel 0 of the four rows along y that the tiles reach, in the two planes whose sum or difference the layer is; rows of zeros where the
    /// padding lies.
    pub(super) rows: [[*const f32; 4]; 2],
    pub(super) is_sum: bool,
    /// Voxels of a row, and values between them.
    pub(super) width: usize,
    pub(super) step: usize,
    /// Vectors of channels to transform.
    pub(super) vectors: usize,
    /// The first voxel that the first tile reaches; negative = in the padding.
    pub(super) first: isize,
    pub(super) tiles: usize,
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels,
    pub(super) to: *mut f32,
}

impl TransformInput {
    /// The planes of a tile that make up a layer, and whether it is their sum: the rows of `Bᵀ`.
    pub(super) const PLANES: [([usize; 2], bool); LAYERS] =
        [([0, 2], false), ([1, 2], true), ([2, 1], false), ([1, 3], false)];

    /// Columns along y pass through registers, two of them serving the next tile too.
    #[inline(always)]
    unsafe fn vector<L: Lanes, const SUM: bool>(&self, vector: usize) {
        // SAFETY: see the fields.
        unsafe {
            let mut columns = [[L::zero(); 4]; 4];
            columns[2] = self.column::<L, SUM>(vector, 0);
            columns[3] = self.column::<L, SUM>(vector, 1);
            for tile in 0..self.tiles {
                columns[0] = columns[2];
                columns[1] = columns[3];
                columns[2] = self.column::<L, SUM>(vector, 2 * tile + 2);
                columns[3] = self.column::<L, SUM>(vector, 2 * tile + 3);
                let place = self.panels.tile(self.place + tile, L::N) + vector * self.panels.panel;
                for y in 0..4usize {
                    let line = input_line([columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
                    let to = self.to.add(place + y.wrapping_mul(self.panels.row));
                    for x in 0..ROW_POINTS {
                        line[x].store(to.add(x * GROUP * L::N));
                    }
                }
            }
        }
    }

    /// The `column`th voxels of the rows: the layer's point along z, all points along y.
    #[inline(always)]
    unsafe fn column<L: Lanes, const SUM: bool>(&self, vector: usize, column: usize) -> [L; 4] {
        let x = self.first.wrapping_add(column as isize) as usize;
        // SAFETY: the voxels exist if they lie within the row.
        unsafe {
            let mut values = [L::zero(); 4];
            if x >= self.width {
                return values;
            }
            let at = x.wrapping_mul(self.step).wrapping_add(vector * L::N);
            for y in 0..4 {
                let (a, b) = (L::load(self.rows[0][y].add(at)), L::load(self.rows[1][y].add(at)));
                values[y] = if SUM { a.plus(b) } else { a.minus(b) };
            }
            input_line(values)
        }
    }
}

impl Kernel for TransformInput {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for vector in 0..self.vectors {
            // SAFETY: see the fields; `Level::run` vouches for the instruction set.
            unsafe {
                if self.is_sum {
                    self.vector::<L, true>(vector);
                } else {
                    self.vector::<L, false>(vector);
                }
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
        for tile in 0..self.tiles {
            for vector in 0..self.vectors {
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
                let column = from.add(y.wrapping_mul(self.panels.row));
                let line = output_line(load_line(column, self.panels.row.wrapping_mul(4)));
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

/// One layer of `A dy Aᵀ`, its points of one z, for neighbouring tiles of a row, into panels.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct TransformGradient {
    pub(super) layer: usize,
    /// The first tile's first voxel in its 2 × 2 rows, z first; rows of zeros beyond the volume's end.
    pub(super) rows: [*const f32; 4],
    /// Voxels left in the row, and values between them.
    pub(super) width: usize,
    pub(super) step: usize,
    /// Vectors of channels to transform.
    pub(super) vectors: usize,
    pub(super) tiles: usize,
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels,
    pub(super) to: *mut f32,
}

impl Kernel for TransformGradient {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for vector in 0..self.vectors {
            for tile in 0..self.tiles {
                let place = self.panels.tile(self.place + tile, L::N) + vector * self.panels.panel;
                // SAFETY: see the fields; `Level::run` vouches for the instruction set.
                unsafe {
                    let to = self.to.add(place);
                    match self.layer {
                        0 => self.tile::<L, 0>(tile, vector * L::N, to),
                        1 => self.tile::<L, 1>(tile, vector * L::N, to),
                        2 => self.tile::<L, 2>(tile, vector * L::N, to),
                        _ => self.tile::<L, 3>(tile, vector * L::N, to),
                    }
                }
            }
        }
    }
}

impl TransformGradient {
    #[inline(always)]
    unsafe fn tile<L: Lanes, const Z: usize>(&self, tile: usize, channel: usize, to: *mut f32) {
        let at = (2 * tile).wrapping_mul(self.step).wrapping_add(channel);
        // SAFETY: the caller's tile and channels exist; its second voxel is read if it does.
        unsafe {
            let mut columns = [[L::zero(); 4]; 2];
            columns[0] = gradient_line([self.voxel::<L, Z>(0, at), self.voxel::<L, Z>(1, at)]);
            if 2 * tile + 1 < self.width {
                let at = at.wrapping_add(self.step);
                columns[1] = gradient_line([self.voxel::<L, Z>(0, at), self.voxel::<L, Z>(1, at)]);
            }
            for y in 0..4usize {
                let line = gradient_line([columns[0][y], columns[1][y]]);
                for x in 0..ROW_POINTS {
                    line[x].store(to.add(y.wrapping_mul(self.panels.row)).add(x * GROUP * L::N));
                }
            }
        }
    }

    /// Point `Z` along z of the voxels at `at` in the rows of one y.
    #[inline(always)]
    unsafe fn voxel<L: Lanes, const Z: usize>(&self, y: usize, at: usize) -> L {
        // SAFETY: the caller's voxels exist.
        unsafe {
            let (low, high) = (self.rows[y].add(at), self.rows[2 + y].add(at));
            match Z {
                0 => L::load(low),
                1 => L::load(low).plus(L::load(high)),
                2 => L::load(low).minus(L::load(high)),
                _ => L::zero().minus(L::load(high)),
            }
        }
    }
}

/// `Gᵀ u G` of the sums of some parts, for some pairs of fine and coarse channels.
///
/// # Safety
/// Whoever builds one makes sure that `values` values, whole vectors, can be read for every part and point and written for every tap.
pub(super) struct TransformWeightGradient {
    pub(super) sums: *const f32,
    pub(super) parts: usize,
    /// Values between points, and between taps.
    pub(super) step: usize,
    pub(super) values: usize,
    pub(super) to: *mut f32,
}

impl Kernel for TransformWeightGradient {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for at in (0..self.values).step_by(L::N) {
            // SAFETY: see the fields; `Level::run` vouches for the instruction set.
            unsafe {
                let half = L::splat(&raw const HALF);
                let mut along_x = [[[L::zero(); 3]; 4]; 4];
                for zy in 0..ROWS {
                    let mut line = [L::zero(); 4];
                    for x in 0..4 {
                        line[x] = self.sum(4 * zy + x, at);
                    }
                    along_x[zy / 4][zy % 4] = weight_gradient_line(line, half);
                }
                for x in 0..3 {
                    let mut along_y = [[L::zero(); 4]; 3];
                    for z in 0..4 {
                        let v = &along_x[z];
                        let line = weight_gradient_line([v[0][x], v[1][x], v[2][x], v[3][x]], half);
                        for y in 0..3 {
                            along_y[y][z] = line[y];
                        }
                    }
                    for y in 0..3 {
                        let line = weight_gradient_line(along_y[y], half);
                        for z in 0..3 {
                            line[z].store(self.to.add((9 * z + 3 * y + x).wrapping_mul(self.step) + at));
                        }
                    }
                }
            }
        }
    }
}

impl TransformWeightGradient {
    /// A point's sums over all parts.
    #[inline(always)]
    unsafe fn sum<L: Lanes>(&self, point: usize, at: usize) -> L {
        // SAFETY: see the fields.
        unsafe {
            let mut from = self.sums.add(point.wrapping_mul(self.step) + at);
            let mut sum = L::load(from);
            for _ in 1..self.parts {
                from = from.add(POINTS.wrapping_mul(self.step));
                sum = sum.plus(L::load(from));
            }
            sum
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
