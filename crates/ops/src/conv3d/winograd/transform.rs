//! The matrices applied to tiles along all three axes, a vector of channels at a time.
#![allow(unsafe_code)] // Raw loads and stores: bounds checks would cost more than the sums between them.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use super::filter::{gradient_line, gradient_point, input_line, output_line, weight_gradient_line, weight_line};
use super::tiling::{Panels, group, shared, step};
use crate::simd::{Kernel, Lanes};

/// `Bᵀ x` along z of what neighbouring tiles of a row reach: for each layer, vector of channels and y a row of columns.
///
/// Every voxel is fetched from afar once here, so that the layers find it in the cache.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct TransformDepth<const N: usize, const P: usize> {
    pub(super) layers: Layers,
    /// Voxel 0 of the rows along z that the tiles reach, for every y; rows of zeros where the padding lies.
    pub(super) rows: [[*const f32; N]; N],
    /// Voxels of a row, and values between them.
    pub(super) width: usize,
    pub(super) step: usize,
    /// Vectors of channels to transform.
    pub(super) vectors: usize,
    /// The first voxel that the first tile reaches; negative = in the padding.
    pub(super) first: isize,
    pub(super) columns: usize,
    /// Values between layers.
    pub(super) layer_step: usize,
    pub(super) to: *mut f32,
}

/// Some points along z.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layers {
    All,
    /// 0 and ∞.
    Outer,
    /// The next two.
    Near,
    /// What is left.
    Far,
}

impl Layers {
    /// All points, two by two.
    pub(super) fn pairs(points: usize) -> &'static [Self] {
        if points == 4 { &[Self::Outer, Self::Near] } else { &[Self::Outer, Self::Near, Self::Far] }
    }

    /// The places of a pair among the `points`; of five the last stands alone, twice.
    pub(super) const fn pair(self, points: usize) -> [usize; 2] {
        match self {
            Self::All | Self::Outer => [0, points - 1],
            Self::Near => [1, 2],
            Self::Far => [3, points - 2],
        }
    }
}

impl<const N: usize, const P: usize> Kernel for TransformDepth<N, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        match self.layers {
            Layers::All => self.layers::<L, { Layers::All as usize }>(),
            Layers::Outer => self.layers::<L, { Layers::Outer as usize }>(),
            Layers::Near => self.layers::<L, { Layers::Near as usize }>(),
            Layers::Far => self.layers::<L, { Layers::Far as usize }>(),
        }
    }
}

impl<const N: usize, const P: usize> TransformDepth<N, P> {
    /// `LAYERS` is one of [`Layers`]: what a pair does not need is never computed.
    #[inline(always)]
    fn layers<L: Lanes, const LAYERS: usize>(&self) {
        for y in 0..N {
            for column in 0..self.columns {
                let x = self.first.wrapping_add(column as isize) as usize;
                for vector in 0..self.vectors {
                    // SAFETY: see the fields; voxels exist if they lie within the row. `Level::run` vouches for the
                    // instruction set.
                    unsafe {
                        let mut voxels = [L::zero(); N];
                        if x < self.width {
                            for z in 0..N {
                                voxels[z] = L::load(self.rows[y][z].add(x * self.step + vector * L::N));
                            }
                        }
                        let line = input_line::<L, N, P>(voxels);
                        let to = self.to.add(((vector * N + y) * self.columns + column) * L::N);
                        if LAYERS == Layers::All as usize {
                            for z in 0..P {
                                line[z].store(to.add(z.wrapping_mul(self.layer_step)));
                            }
                        } else {
                            let [first, second] = [Layers::Outer, Layers::Near, Layers::Far][LAYERS - 1].pair(P);
                            line[first].store(to);
                            line[second].store(to.add(self.layer_step));
                        }
                    }
                }
            }
        }
    }
}

/// One layer of `Bᵀ x B`, its points of one z, for neighbouring tiles of a row, from what [`TransformDepth`] made into
/// panels.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct TransformInput<const N: usize, const P: usize> {
    /// The layer's rows of columns.
    pub(super) from: *const f32,
    pub(super) columns: usize,
    pub(super) vectors: usize,
    pub(super) tiles: usize,
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels<P>,
    pub(super) to: *mut f32,
}

impl<const N: usize, const P: usize> Kernel for TransformInput<N, P> {
    type Output = ();

    /// Columns along y pass through registers, those that tiles share serving the next tile too.
    #[inline(always)]
    fn run<L: Lanes>(self) {
        for vector in 0..self.vectors {
            // SAFETY: see the fields; `Level::run` vouches for the instruction set.
            unsafe {
                let step = step(N, P);
                let mut columns = [[L::zero(); P]; N];
                for x in 0..shared(P) {
                    columns[step + x] = self.column(vector, x);
                }
                for tile in 0..self.tiles {
                    for x in 0..N {
                        columns[x] =
                            if x < shared(P) { columns[step + x] } else { self.column(vector, step * tile + x) };
                    }
                    let place = self.panels.tile(self.place + tile, L::N) + vector * self.panels.panel;
                    for y in 0..P {
                        let mut row = [L::zero(); N];
                        for x in 0..N {
                            row[x] = columns[x][y];
                        }
                        let row = input_line::<L, N, P>(row);
                        let to = self.to.add(place + y.wrapping_mul(self.panels.row));
                        for x in 0..P {
                            row[x].store(to.add(x * group(P) * L::N));
                        }
                    }
                }
            }
        }
    }
}

impl<const N: usize, const P: usize> TransformInput<N, P> {
    /// The points along y of a column.
    #[inline(always)]
    unsafe fn column<L: Lanes>(&self, vector: usize, column: usize) -> [L; P] {
        // SAFETY: the caller's column exists.
        unsafe {
            let mut values = [L::zero(); N];
            for y in 0..N {
                values[y] = L::load(self.from.add(((vector * N + y) * self.columns + column) * L::N));
            }
            input_line(values)
        }
    }
}

/// `Aᵀ m A` of neighbouring tiles of a row, from panels whose points along x are results already; adds the bias and
/// writes the results.
///
/// # Safety
/// Whoever builds one makes sure of what the fields say.
pub(super) struct TransformOutput<const R: usize, const P: usize> {
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels<P>,
    pub(super) from: *const f32,
    /// One vector for each vector of channels.
    pub(super) bias: *const f32,
    pub(super) vectors: usize,
    pub(super) tiles: usize,
    /// The first tile's first result; of its rows along z and y those can be written that `exist`, `width` results of
    /// `channels` each.
    pub(super) output: *mut f32,
    pub(super) row_steps: [usize; 2],
    pub(super) exist: [usize; 2],
    pub(super) width: usize,
    pub(super) channels: usize,
}

impl<const R: usize, const P: usize> Kernel for TransformOutput<R, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for tile in 0..self.tiles {
            for vector in 0..self.vectors {
                let place = self.panels.tile(self.place + tile, L::N) + vector * self.panels.panel;
                for x in 0..R.min(self.width - R * tile) {
                    // SAFETY: see the fields; `Level::run` vouches for the instruction set.
                    unsafe {
                        let from = self.from.add(place + x * (group(P) * L::N));
                        let to = self.output.add((R * tile + x) * self.channels + vector * L::N);
                        self.results(from, L::load(self.bias.add(vector * L::N)), to);
                    }
                }
            }
        }
    }
}

impl<const R: usize, const P: usize> TransformOutput<R, P> {
    /// The results of one x.
    #[inline(always)]
    unsafe fn results<L: Lanes>(&self, from: *const f32, bias: L, to: *mut f32) {
        // SAFETY: the caller's tile lies within the panels, and only results that exist are written.
        unsafe {
            let mut values = [[L::zero(); P]; R];
            for y in 0..P {
                let mut column = [L::zero(); P];
                for z in 0..P {
                    column[z] = L::load(from.add((P * z + y).wrapping_mul(self.panels.row)));
                }
                let line = output_line::<L, R, P>(column);
                for z in 0..R {
                    values[z][y] = line[z];
                }
            }
            for z in 0..R {
                let line = output_line::<L, R, P>(values[z]);
                for y in 0..R {
                    if z < self.exist[0] && y < self.exist[1] {
                        let place = z.wrapping_mul(self.row_steps[0]).wrapping_add(y.wrapping_mul(self.row_steps[1]));
                        line[y].plus(bias).store(to.add(place));
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
pub(super) struct TransformGradient<const R: usize, const P: usize> {
    pub(super) layer: usize,
    /// The first tile's first voxel in its rows along z, for every y; rows of zeros beyond the volume's end.
    pub(super) rows: [[*const f32; R]; R],
    /// Voxels left in the row, and values between them.
    pub(super) width: usize,
    pub(super) step: usize,
    /// Vectors of channels to transform.
    pub(super) vectors: usize,
    pub(super) tiles: usize,
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels<P>,
    pub(super) to: *mut f32,
}

impl<const R: usize, const P: usize> Kernel for TransformGradient<R, P> {
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
                        3 => self.tile::<L, 3>(tile, vector * L::N, to),
                        4 if P > 4 => self.tile::<L, 4>(tile, vector * L::N, to),
                        _ if P > 5 => self.tile::<L, 5>(tile, vector * L::N, to),
                        _ => {}
                    }
                }
            }
        }
    }
}

impl<const R: usize, const P: usize> TransformGradient<R, P> {
    #[inline(always)]
    unsafe fn tile<L: Lanes, const LAYER: usize>(&self, tile: usize, channel: usize, to: *mut f32) {
        // SAFETY: the caller's tile and channels exist; its other voxels are read if they do.
        unsafe {
            let mut columns = [[L::zero(); P]; R];
            for x in 0..R {
                if R * tile + x < self.width {
                    let at = (R * tile + x).wrapping_mul(self.step).wrapping_add(channel);
                    let mut values = [L::zero(); R];
                    for y in 0..R {
                        values[y] = gradient_point::<L, R, P, LAYER>(&self.rows[y], at);
                    }
                    columns[x] = gradient_line(values);
                }
            }
            for y in 0..P {
                let mut row = [L::zero(); R];
                for x in 0..R {
                    row[x] = columns[x][y];
                }
                let row = gradient_line::<L, R, P>(row);
                for x in 0..P {
                    row[x].store(to.add(y.wrapping_mul(self.panels.row)).add(x * group(P) * L::N));
                }
            }
        }
    }
}

/// `Gᵀ u G` of the sums of some parts, for some pairs of fine and coarse channels.
///
/// # Safety
/// Whoever builds one makes sure that `values` values, whole vectors, can be read for every part and point and written
/// for every tap.
pub(super) struct TransformWeightGradient<const P: usize> {
    pub(super) sums: *const f32,
    pub(super) parts: usize,
    /// Values between points, and between taps.
    pub(super) step: usize,
    pub(super) values: usize,
    pub(super) to: *mut f32,
}

impl<const P: usize> Kernel for TransformWeightGradient<P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for at in (0..self.values).step_by(L::N) {
            // SAFETY: see the fields; `Level::run` vouches for the instruction set.
            unsafe {
                let mut along_x = [[[L::zero(); 3]; P]; P];
                for z in 0..P {
                    for y in 0..P {
                        let mut line = [L::zero(); P];
                        for x in 0..P {
                            line[x] = self.sum((P * z + y) * P + x, at);
                        }
                        along_x[z][y] = weight_gradient_line(line);
                    }
                }
                for x in 0..3 {
                    let mut along_y = [[L::zero(); P]; 3];
                    for z in 0..P {
                        let mut line = [L::zero(); P];
                        for y in 0..P {
                            line[y] = along_x[z][y][x];
                        }
                        let line = weight_gradient_line(line);
                        for y in 0..3 {
                            along_y[y][z] = line[y];
                        }
                    }
                    for y in 0..3 {
                        let line = weight_gradient_line(along_y[y]);
                        for z in 0..3 {
                            line[z].store(self.to.add((9 * z + 3 * y + x).wrapping_mul(self.step) + at));
                        }
                    }
                }
            }
        }
    }
}

impl<const P: usize> TransformWeightGradient<P> {
    /// A point's sums over all parts.
    #[inline(always)]
    unsafe fn sum<L: Lanes>(&self, point: usize, at: usize) -> L {
        // SAFETY: see the fields.
        unsafe {
            let mut from = self.sums.add(point.wrapping_mul(self.step) + at);
            let mut sum = L::load(from);
            for _ in 1..self.parts {
                from = from.add((P * P * P).wrapping_mul(self.step));
                sum = sum.plus(L::load(from));
            }
            sum
        }
    }
}

/// `G w Gᵀ` for one vector of output channels: for each point along z and y and each input channel the points along x.
///
/// # Safety
/// Whoever builds one makes sure that a vector can be read at `taps[t] + c · step` for every tap and channel, and all
/// points written.
pub(super) struct TransformWeights<const P: usize> {
    pub(super) taps: [*const f32; 27],
    pub(super) step: usize,
    pub(super) channels: usize,
    pub(super) to: *mut f32,
}

impl<const P: usize> Kernel for TransformWeights<P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let row_step = self.channels * P * L::N;
        for channel in 0..self.channels {
            // SAFETY: see the fields; `Level::run` vouches for the instruction set.
            unsafe {
                let mut along_z = [[[L::zero(); 3]; 3]; P];
                for row in 0..9 {
                    let mut line = [L::zero(); 3];
                    for z in 0..3 {
                        line[z] = L::load(self.taps[9 * z + row].add(channel * self.step));
                    }
                    let line = weight_line::<L, P>(line);
                    for z in 0..P {
                        along_z[z][row / 3][row % 3] = line[z];
                    }
                }
                for z in 0..P {
                    let mut along_y = [[L::zero(); 3]; P];
                    for x in 0..3 {
                        let line = weight_line::<L, P>([along_z[z][0][x], along_z[z][1][x], along_z[z][2][x]]);
                        for y in 0..P {
                            along_y[y][x] = line[y];
                        }
                    }
                    for y in 0..P {
                        let line = weight_line::<L, P>(along_y[y]);
                        let to = self.to.add((P * z + y) * row_step + channel * (P * L::N));
                        for x in 0..P {
                            line[x].store(to.add(x * L::N));
                        }
                    }
                }
            }
        }
    }
}
