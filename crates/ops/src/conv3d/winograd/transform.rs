//! The matrices applied to tiles along all three axes, a vector of channels at a time.
#![allow(unsafe_code)] // Raw loads and stores: bounds checks would cost more than the sums between them.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use super::filter::{gradient_line, gradient_point, input_line, output_line};
use super::tiling::{Panels, columns, group, shared, step};
use crate::memory::{Results, extent};
use crate::simd::{Kernel, Lanes};

/// `Bᵀ x` along z of what neighbouring tiles of a row reach: for each layer, vector of channels and y a row of columns.
///
/// Every voxel is fetched from afar once here, so that the layers find it in the cache. Checks that all rows hold their
/// voxels, and `to` all layers, before it uses them.
pub(super) struct TransformDepth<'a, const NZ: usize, const N: usize, const PZ: usize> {
    pub(super) layers: Layers,
    /// Voxel 0 of the rows along z that the tiles reach, for every y; rows of zeros where the padding lies.
    pub(super) rows: [[&'a [f32]; NZ]; N],
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
    pub(super) to: &'a mut [f32],
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

impl<const NZ: usize, const N: usize, const PZ: usize> Kernel for TransformDepth<'_, NZ, N, PZ> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        self.check::<L>();
        match self.layers {
            Layers::All => self.layers::<L, { Layers::All as usize }>(),
            Layers::Outer => self.layers::<L, { Layers::Outer as usize }>(),
            Layers::Near => self.layers::<L, { Layers::Near as usize }>(),
            Layers::Far => self.layers::<L, { Layers::Far as usize }>(),
        }
    }
}

impl<const NZ: usize, const N: usize, const PZ: usize> TransformDepth<'_, NZ, N, PZ> {
    /// # Panics
    /// If the kernel would read or write beyond what there is.
    #[inline(always)]
    fn check<L: Lanes>(&self) {
        let row = extent([(self.width, self.step)], self.vectors * L::N);
        assert!(self.rows.as_flattened().iter().all(|values| values.len() >= row), "a row ends before its last voxel");
        let layers = if self.layers == Layers::All { PZ } else { 2 };
        let to = extent([(layers, self.layer_step)], self.vectors * N * self.columns * L::N);
        assert!(self.to.len() >= to, "too little room for the layers");
    }

    /// `LAYERS` is one of [`Layers`]: what a pair does not need is never computed.
    #[inline(always)]
    fn layers<L: Lanes, const LAYERS: usize>(&mut self) {
        for y in 0..N {
            for column in 0..self.columns {
                let x = self.first.wrapping_add(column as isize) as usize;
                for vector in 0..self.vectors {
                    // SAFETY: `check`, which `run` called, found all vectors at each voxel below the width, and room
                    // for the vector of each row, column and layer; `Level::run`, below which kernels run, has asserted
                    // that the machine has the instruction set.
                    unsafe {
                        let mut voxels = [L::zero(); NZ];
                        if x < self.width {
                            for z in 0..NZ {
                                voxels[z] = L::load(self.rows[y][z].as_ptr().add(x * self.step + vector * L::N));
                            }
                        }
                        let line = input_line::<L, NZ, PZ>(voxels);
                        let to = self.to.as_mut_ptr().add(((vector * N + y) * self.columns + column) * L::N);
                        if LAYERS == Layers::All as usize {
                            for z in 0..PZ {
                                line[z].store(to.add(z.wrapping_mul(self.layer_step)));
                            }
                        } else {
                            let [first, second] = [Layers::Outer, Layers::Near, Layers::Far][LAYERS - 1].pair(PZ);
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
/// panels. Checks that there are all columns, and room for all tiles, before it uses them.
pub(super) struct TransformInput<'a, const N: usize, const P: usize> {
    /// The layer's rows of columns.
    pub(super) from: &'a [f32],
    pub(super) vectors: usize,
    pub(super) tiles: usize,
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels<P>,
    pub(super) to: &'a mut [f32],
}

impl<const N: usize, const P: usize> Kernel for TransformInput<'_, N, P> {
    type Output = ();

    /// Columns along y pass through registers, those that tiles share serving the next tile too.
    #[inline(always)]
    fn run<L: Lanes>(self) {
        self.check::<L>();
        let to = self.to.as_mut_ptr();
        for vector in 0..self.vectors {
            // SAFETY: the check above found all columns that the tiles reach, and room for P rows of P points of each
            // tile and vector; `Level::run`, below which kernels run, has asserted that the machine has the instruction
            // set.
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
                        let to = to.add(place + y.wrapping_mul(self.panels.row));
                        for x in 0..P {
                            row[x].store(to.add(x * group(P) * L::N));
                        }
                    }
                }
            }
        }
    }
}

impl<const N: usize, const P: usize> TransformInput<'_, N, P> {
    const fn columns(&self) -> usize {
        columns(N, P, self.tiles)
    }

    /// # Panics
    /// If the kernel would read or write beyond what there is.
    #[inline(always)]
    fn check<L: Lanes>(&self) {
        assert!(self.from.len() >= self.vectors * N * self.columns() * L::N, "the layer ends before its last column");
        let to = self.panels.extent(P, self.place + self.tiles, self.vectors, P * group(P) * L::N);
        assert!(self.to.len() >= to, "too little room for the tiles");
    }

    /// The points along y of a column.
    ///
    /// # Safety
    /// The transform has passed [`TransformInput::check`], vector and column are below their numbers, and the machine
    /// has the instruction set of `L`.
    #[inline(always)]
    unsafe fn column<L: Lanes>(&self, vector: usize, column: usize) -> [L; P] {
        // SAFETY: `TransformInput::check` found a vector for each of the vectors, N rows and columns.
        unsafe {
            let mut values = [L::zero(); N];
            for y in 0..N {
                values[y] = L::load(self.from.as_ptr().add(((vector * N + y) * self.columns() + column) * L::N));
            }
            input_line(values)
        }
    }
}

/// `Aᵀ m A` of neighbouring tiles of a row, from panels whose points along x are results already; adds the bias and
/// writes the results. Checks that the panels hold all tiles, and that there is a bias and room for all channels,
/// before it uses them.
pub(super) struct TransformOutput<'a, const RZ: usize, const R: usize, const PZ: usize, const P: usize> {
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels<P>,
    pub(super) from: &'a [f32],
    /// One vector for each vector of channels.
    pub(super) bias: &'a [f32],
    pub(super) vectors: usize,
    pub(super) tiles: usize,
    pub(super) target: Target<RZ, R>,
}

/// Where the results of neighbouring tiles of a row are written.
pub(super) struct Target<const RZ: usize, const R: usize> {
    first: *mut f32,
    row_steps: [usize; 2],
    exist: [usize; 2],
    width: usize,
    step: usize,
    channels: usize,
}

impl<const RZ: usize, const R: usize> Target<RZ, R> {
    /// Of the tiles' RZ · R rows along z and y those that `exist`, `row_steps` values apart, `width` results in each, `step`
    /// values apart, of `channels` channels.
    ///
    /// # Safety
    /// Nobody else reads or writes these results before the kernel has returned.
    ///
    /// # Panics
    /// If `results` has fewer values.
    pub(super) unsafe fn new(
        results: Results,
        row_steps: [usize; 2],
        exist: [usize; 2],
        [width, step]: [usize; 2],
        channels: usize,
    ) -> Self {
        let exist = [exist[0].min(RZ), exist[1].min(R)];
        let rows = [(exist[0], row_steps[0]), (exist[1], row_steps[1]), (width, step)];
        Self { first: results.place(extent(rows, channels)), row_steps, exist, width, step, channels }
    }
}

impl<const RZ: usize, const R: usize, const PZ: usize, const P: usize> Kernel for TransformOutput<'_, RZ, R, PZ, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        self.check::<L>();
        for tile in 0..self.tiles {
            for vector in 0..self.vectors {
                let place = self.panels.tile(self.place + tile, L::N) + vector * self.panels.panel;
                for x in 0..R.min(self.target.width - R * tile) {
                    // SAFETY: the check above found panels of all tiles and vectors and a bias for each of these; x is
                    // below R and the result below the width; `Level::run`, below which kernels run, has asserted that
                    // the machine has the instruction set.
                    unsafe {
                        let from = self.from.as_ptr().add(place + x * (group(P) * L::N));
                        let to = self.target.first.add((R * tile + x) * self.target.step + vector * L::N);
                        self.results(from, L::load(self.bias.as_ptr().add(vector * L::N)), to);
                    }
                }
            }
        }
    }
}

impl<const RZ: usize, const R: usize, const PZ: usize, const P: usize> TransformOutput<'_, RZ, R, PZ, P> {
    /// # Panics
    /// If the kernel would read or write beyond what there is.
    #[inline(always)]
    fn check<L: Lanes>(&self) {
        let from = self.panels.extent(PZ * P, self.place + self.tiles, self.vectors, R * group(P) * L::N);
        assert!(self.from.len() >= from && self.bias.len() >= self.vectors * L::N, "panels or bias end too early");
        let fits = self.vectors * L::N == self.target.channels && R * self.tiles < self.target.width + R;
        assert!(fits, "results that are not the target's");
    }

    /// The results of one x.
    ///
    /// # Safety
    /// The transform has passed [`TransformOutput::check`]; `from` is where a point along x of one tile and vector
    /// starts, `to` the place of a result of the first row that exists; the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn results<L: Lanes>(&self, from: *const f32, bias: L, to: *mut f32) {
        // SAFETY: `TransformOutput::check` found PZ · P rows of panels; rows of results are written if they `exist`, for
        // which `Target::new` found room, and its contract gives them to this thread alone.
        unsafe {
            let mut values = [[L::zero(); P]; RZ];
            for y in 0..P {
                let mut column = [L::zero(); PZ];
                for z in 0..PZ {
                    column[z] = L::load(from.add((P * z + y).wrapping_mul(self.panels.row)));
                }
                let line = output_line::<L, RZ, PZ>(column);
                for z in 0..RZ {
                    values[z][y] = line[z];
                }
            }
            for z in 0..RZ {
                let line = output_line::<L, R, P>(values[z]);
                for y in 0..R {
                    if z < self.target.exist[0] && y < self.target.exist[1] {
                        let [along_z, along_y] = self.target.row_steps;
                        let place = z.wrapping_mul(along_z).wrapping_add(y.wrapping_mul(along_y));
                        line[y].plus(bias).store(to.add(place));
                    }
                }
            }
        }
    }
}

/// One layer of `A dy Aᵀ`, its points of one z, for neighbouring tiles of a row, into panels. Checks that all rows hold
/// their voxels, and that there is room for all tiles, before it uses them.
pub(super) struct TransformGradient<'a, const R: usize, const P: usize> {
    pub(super) layer: usize,
    /// The first tile's first voxel in its rows along z, for every y; rows of zeros beyond the volume's end.
    pub(super) rows: [[&'a [f32]; R]; R],
    /// Voxels left in the row, and values between them.
    pub(super) width: usize,
    pub(super) step: usize,
    /// Vectors of channels to transform.
    pub(super) vectors: usize,
    pub(super) tiles: usize,
    /// The first tile's number in the block, and where the block's panels lie.
    pub(super) place: usize,
    pub(super) panels: Panels<P>,
    pub(super) to: &'a mut [f32],
}

impl<const R: usize, const P: usize> Kernel for TransformGradient<'_, R, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        self.check::<L>();
        let to = self.to.as_mut_ptr();
        for vector in 0..self.vectors {
            for tile in 0..self.tiles {
                let place = self.panels.tile(self.place + tile, L::N) + vector * self.panels.panel;
                // SAFETY: the check above found all vectors at each voxel of all rows, and room for P rows of P points
                // of each tile and vector; `Level::run`, below which kernels run, has asserted that the machine has the
                // instruction set.
                unsafe {
                    let to = to.add(place);
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

impl<const R: usize, const P: usize> TransformGradient<'_, R, P> {
    /// # Panics
    /// If the kernel would read or write beyond what there is.
    #[inline(always)]
    fn check<L: Lanes>(&self) {
        let row = extent([(self.width, self.step)], self.vectors * L::N);
        assert!(self.rows.as_flattened().iter().all(|values| values.len() >= row), "a row ends before its last voxel");
        let to = self.panels.extent(P, self.place + self.tiles, self.vectors, P * group(P) * L::N);
        assert!(self.to.len() >= to, "too little room for the tiles");
    }

    /// # Safety
    /// The transform has passed [`TransformGradient::check`], `channel` is the first of one of its vectors, `to` the
    /// place of a tile and vector in the panels' first row, and the machine has the instruction set of `L`.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const LAYER: usize>(&self, tile: usize, channel: usize, to: *mut f32) {
        // SAFETY: voxels are read if they lie within the width, for which `TransformGradient::check` found all vectors;
        // it also found room for P points in P rows of the panels.
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
