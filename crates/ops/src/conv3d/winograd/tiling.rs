//! Tiles, blocks of tiles, and where their transformed values lie.

use std::ops::Range;

/// Tiles whose values lie side by side, so that the products' register kernels find them at fixed distances.
pub(super) const GROUP: usize = 6;
/// Most tiles of a block, whole groups: enough that weights and sums are worth fetching, few enough that a layer stays in the cache.
pub(super) const BLOCK: usize = 8 * GROUP;
/// Points of a tile: layers along z, rows along y, points along x.
pub(super) const LAYERS: usize = 4;
pub(super) const LAYER_ROWS: usize = 4;
pub(super) const ROW_POINTS: usize = 4;
pub(super) const ROWS: usize = LAYERS * LAYER_ROWS;
pub(super) const POINTS: usize = ROWS * ROW_POINTS;

/// The tiles of a batch of volumes, numbered row by row: 2³ results each, some of which may lie beyond the volume's end.
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
    pub(super) fn new(batch: usize, results: [usize; 3]) -> Self {
        Self { batch, tiles: results.map(|n| n.div_ceil(2)) }
    }

    pub(super) fn count(&self) -> usize {
        self.batch * self.tiles.iter().product::<usize>()
    }

    /// All tiles in blocks of about the same size, which depends on shapes alone.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let tiles = self.count();
        let block = tiles.div_ceil(tiles.div_ceil(BLOCK)).next_multiple_of(GROUP);
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

/// Where a block's transformed values lie: for each row of points the groups, in each the vectors of channels, for each of these a *panel*
/// of points along x, tiles of the group, lanes.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    /// Values of a panel.
    pub(super) panel: usize,
    /// Values between groups and between rows of points.
    pub(super) group: usize,
    pub(super) row: usize,
}

impl Panels {
    /// For blocks of up to `tiles`, `vectors` of `lanes` channels and `row_points` points along x.
    pub(super) fn new(tiles: usize, vectors: usize, lanes: usize, row_points: usize) -> Self {
        let panel = row_points * GROUP * lanes;
        let group = vectors * panel;
        // An odd number of cache lines between rows, or all points of a tile would compete for one set of the cache.
        let row = (tiles.div_ceil(GROUP) * group).next_multiple_of(32) + 16;
        Self { panel, group, row }
    }

    /// The place of a tile's first value, for point 0 and channel 0.
    pub(super) fn tile(&self, tile: usize, lanes: usize) -> usize {
        tile / GROUP * self.group + tile % GROUP * lanes
    }
}
