//! Tiles, blocks of tiles, and where their transformed values lie.
//!
//! `N` stands for the inputs that a tile reaches along y and x, `R` for its results, `P` for its points: rows along y,
//! points along x. `NZ`, `RZ` and `PZ` are those along z, whose points are layers; flat tiles have one of each.
#![allow(clippy::inline_always)] // Called by kernels, see `simd::Kernel`.

use std::ops::Range;

use crate::memory::extent;

/// Tiles whose values lie side by side, so that the products' register kernels find them at fixed distances.
pub(super) const fn group(points: usize) -> usize {
    if points == 4 { 6 } else { 4 }
}

/// Inputs from one tile to the next along an axis: neighbours share two, with stride 2 one, of one tap none.
pub(super) const fn step(inputs: usize, points: usize) -> usize {
    inputs - shared(points)
}

/// Inputs that neighbouring tiles share along an axis.
pub(super) const fn shared(points: usize) -> usize {
    match points {
        1 => 0,
        5 => 1,
        _ => 2,
    }
}

/// Inputs that so many neighbouring tiles of a row reach along it.
pub(super) const fn columns(inputs: usize, points: usize, tiles: usize) -> usize {
    step(inputs, points) * tiles + shared(points)
}

/// The tiles of a batch of volumes, numbered row by row, some of whose results may lie beyond the volume's end.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    batch: usize,
    /// Tiles along z, y, x.
    tiles: [usize; 3],
}

/// Neighbouring tiles of one row.
pub(super) struct TileRun {
    pub(super) sample: usize,
    /// The first tile's place in its volume, in tiles.
    pub(super) first: [usize; 3],
    pub(super) tiles: usize,
    /// The first tile's number in its block.
    pub(super) place: usize,
}

impl Tiling {
    /// `tile` are a tile's results along z, y, x.
    pub(super) fn new(batch: usize, results: [usize; 3], tile: [usize; 3]) -> Self {
        Self { batch, tiles: [0, 1, 2].map(|axis| results[axis].div_ceil(tile[axis])) }
    }

    pub(super) fn count(&self) -> usize {
        self.batch * self.tiles.iter().product::<usize>()
    }

    /// All tiles in blocks of about the same size, which depends on shapes alone: `most` or, of whole groups, fewer.
    pub(super) fn blocks(&self, most: usize, group: usize) -> impl Iterator<Item = Range<usize>> {
        let tiles = self.count();
        let block = tiles.div_ceil(tiles.div_ceil(most)).next_multiple_of(group);
        (0..tiles).step_by(block).map(move |first| first..tiles.min(first + block))
    }

    /// A block of tiles, row by row.
    pub(super) fn runs(self, block: Range<usize>) -> impl Iterator<Item = TileRun> {
        let [depth, height, width] = self.tiles;
        let mut next = block.start;
        std::iter::from_fn(move || {
            if next >= block.end {
                return None;
            }
            let (row, x) = (next / width, next % width);
            let first = [row / height % depth, row % height, x];
            let tiles = (width - x).min(block.end - next);
            let run = TileRun { sample: row / (height * depth), first, tiles, place: next - block.start };
            next += tiles;
            Some(run)
        })
    }
}

/// Where a block's transformed values lie: for each row of points the groups, in each the vectors of channels, for each
/// of these a *panel* of points along x, tiles of the group, lanes.
#[derive(Clone, Copy)]
pub(super) struct Panels<const P: usize> {
    /// Values of a panel.
    pub(super) panel: usize,
    /// Values between groups and between rows of points.
    pub(super) group: usize,
    pub(super) row: usize,
}

impl<const P: usize> Panels<P> {
    /// For blocks of up to `tiles`, `vectors` of `lanes` channels and `row_points` points along x.
    pub(super) fn new(tiles: usize, vectors: usize, lanes: usize, row_points: usize) -> Self {
        let panel = row_points * group(P) * lanes;
        let group_values = vectors * panel;
        // An odd number of cache lines between rows, or all points of a tile would compete for one set of the cache.
        let row = (tiles.div_ceil(group(P)) * group_values).next_multiple_of(32) + 16;
        Self { panel, group: group_values, row }
    }

    /// Values up to the end of the group of the last of `tiles` tiles, for `rows` rows of points and `vectors` vectors
    /// of channels, of each of whose panels `values` are looked at.
    #[inline(always)]
    pub(super) fn extent(&self, rows: usize, tiles: usize, vectors: usize, values: usize) -> usize {
        extent([(rows, self.row), (tiles.div_ceil(group(P)), self.group), (vectors, self.panel)], values)
    }

    /// The place of a tile's first value, for point 0 and channel 0.
    pub(super) fn tile(&self, tile: usize, lanes: usize) -> usize {
        tile / group(P) * self.group + tile % group(P) * lanes
    }
}
