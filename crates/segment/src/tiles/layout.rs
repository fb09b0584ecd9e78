//! Where tiles lie: layers along z, rows along y in each layer, tiles along x in each row.
//!
//! Each layer, and each row in it, is only as long as what is needed there, so a narrow apex takes fewer tiles than the
//! hila.

use std::ops::Range;

use pulmoav_volume::crop::VoxelBox;
use rayon::prelude::*;

/// The voxels that somebody will look at, as one range along x for each row `[z, y]`; empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    rows: Vec<Range<usize>>,
    shape: [usize; 3],
}

impl Needed {
    /// All voxels of a grid.
    pub fn all(shape: [usize; 3]) -> Self {
        Self { rows: vec![0..shape[2]; shape[0] * shape[1]], shape }
    }

    /// Those that are not 0, and all between them along x.
    ///
    /// # Shapes
    /// `mask`: `[z, y, x]` of `shape`.
    pub fn of(mask: &[u8], shape: [usize; 3]) -> Self {
        let range = |row: &[u8]| {
            let first = row.iter().position(|&value| value > 0)?;
            Some(first..row.iter().rposition(|&value| value > 0)? + 1)
        };
        Self { rows: mask.par_chunks(shape[2].max(1)).map(|row| range(row).unwrap_or(0..0)).collect(), shape }
    }

    /// Those up to `reach` voxels away along each axis too.
    #[must_use]
    pub fn grown(&self, reach: [usize; 3]) -> Self {
        let [depth, height, width] = self.shape;
        let around =
            |at: usize, axis: usize| at.saturating_sub(reach[axis])..(at + reach[axis] + 1).min(self.shape[axis]);
        let row = |index: usize| {
            let found = self.within(&around(index / height, 0), &around(index % height, 1));
            found.map_or(0..0, |xs| xs.start.saturating_sub(reach[2])..(xs.end + reach[2]).min(width))
        };
        Self { rows: (0..depth * height).into_par_iter().map(row).collect(), shape: self.shape }
    }

    /// Those in blocks of `step` voxels that hold one, so that a voxel more or less mostly changes nothing.
    #[must_use]
    pub fn in_blocks(&self, step: usize) -> Self {
        let [depth, height, width] = self.shape;
        let block = |at: usize, size: usize| at / step * step..(at / step * step + step).min(size);
        let row = |index: usize| {
            let found = self.within(&block(index / height, depth), &block(index % height, height));
            found.map_or(0..0, |xs| xs.start / step * step..xs.end.next_multiple_of(step).min(width))
        };
        Self { rows: (0..depth * height).into_par_iter().map(row).collect(), shape: self.shape }
    }

    /// The range along x of what is needed in some rows.
    fn within(&self, zs: &Range<usize>, ys: &Range<usize>) -> Option<Range<usize>> {
        let rows = zs.clone().flat_map(|z| &self.rows[z * self.shape[1]..][ys.clone()]);
        rows.filter(|row| !row.is_empty()).cloned().reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
    }

    /// The range along y of what is needed in some slices.
    fn within_slices(&self, zs: &Range<usize>) -> Option<Range<usize>> {
        let has = |&y: &usize| self.within(zs, &(y..y + 1)).is_some();
        Some((0..self.shape[1]).find(has)?..(0..self.shape[1]).rfind(has)? + 1)
    }

    /// Edges of the box around what is needed, `[z, y, x]`.
    pub fn size(&self) -> [usize; 3] {
        let zs = self.slices().unwrap_or(0..0);
        let ys = self.within_slices(&zs).unwrap_or(0..0);
        let xs = self.within(&zs, &ys).unwrap_or(0..0);
        [zs, ys, xs].map(|range| range.len())
    }

    /// The range along z of what is needed.
    fn slices(&self) -> Option<Range<usize>> {
        let has = |&z: &usize| self.within(&(z..z + 1), &(0..self.shape[1])).is_some();
        Some((0..self.shape[0]).find(has)?..(0..self.shape[0]).rfind(has)? + 1)
    }
}

/// One tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first voxel in the padded grid, `[z, y, x]`.
    pub origin: [usize; 3],
    /// Whether it is one of the dark fields of a chessboard: in its row neighbours differ, and across rows that start
    /// alike.
    pub odd: bool,
}

/// The tiles of a grid. A grid smaller than a tile is padded on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The grid, `[z, y, x]`.
    pub shape: [usize; 3],
    /// The tile, `[z, y, x]`.
    pub tile: [usize; 3],
    /// Voxels padded before the grid.
    pub pad: [usize; 3],
    /// The tiles, z slowest.
    pub places: Vec<Place>,
}

impl Layout {
    /// Tiles that cover all that is needed, neighbours in a row sharing at least `overlap` voxels.
    pub fn new(needed: &Needed, tile: [usize; 3], overlap: [usize; 3]) -> Self {
        let shape = needed.shape;
        let line = |axis: usize, found: Option<Range<usize>>| {
            let starts = found.map_or_else(Vec::new, |range| starts(&range, shape[axis], tile[axis], overlap[axis]));
            own_parts(&starts, shape[axis], tile[axis]).into_iter().zip(starts).enumerate().collect::<Vec<_>>()
        };
        let mut places = Vec::new();
        for (i, (zs, z)) in line(0, needed.slices()) {
            for (j, (ys, y)) in line(1, needed.within_slices(&zs)) {
                let row = line(2, needed.within(&zs, &ys));
                places
                    .extend(row.into_iter().map(|(k, (_, x))| Place { origin: [z, y, x], odd: (i + j + k) % 2 == 1 }));
            }
        }
        let pad = std::array::from_fn(|axis| tile[axis].saturating_sub(shape[axis]) / 2);
        Self { shape, tile, pad, places }
    }

    /// The box of the grid that the tiles cover together; one voxel where there is no tile.
    pub fn part(&self) -> VoxelBox {
        let boxes = self.places.iter().map(|place| {
            let ranges: [Range<usize>; 3] = std::array::from_fn(|axis| self.covered(place.origin, axis).0);
            VoxelBox { low: ranges.each_ref().map(|range| range.start), high: ranges.each_ref().map(|range| range.end) }
        });
        boxes.reduce(|a, b| a.joined(&b)).unwrap_or(VoxelBox { low: [0; 3], high: [1; 3] })
    }

    /// The part of the grid that a tile covers along one axis, and where in the tile it begins.
    pub fn covered(&self, origin: [usize; 3], axis: usize) -> (Range<usize>, usize) {
        let low = origin[axis].saturating_sub(self.pad[axis]);
        let high = (origin[axis] + self.tile[axis] - self.pad[axis]).min(self.shape[axis]);
        (low..high, low + self.pad[axis] - origin[axis])
    }
}

/// First voxels of as few tiles as cover a range of a line of `size` voxels, sharing at least `overlap` with the next;
/// the first and the last end with the range, so that what is to spare makes neighbours share more.
pub(super) fn starts(range: &Range<usize>, size: usize, tile: usize, overlap: usize) -> Vec<usize> {
    if range.len() <= tile {
        let centred = range.start.saturating_sub((tile - range.len()) / 2);
        return vec![centred.min(size.saturating_sub(tile))];
    }
    let last = range.len() - tile;
    let gaps = last.div_ceil(tile - overlap);
    (0..=gaps).map(|i| range.start + (i as f64 * last as f64 / gaps as f64).round() as usize).collect()
}

/// What of a line of `size` voxels lies deeper in each tile than in its neighbours.
fn own_parts(starts: &[usize], size: usize, tile: usize) -> Vec<Range<usize>> {
    let borders: Vec<usize> = starts.windows(2).map(|pair| (pair[0] + pair[1] + tile) / 2).collect();
    let lows = std::iter::once(0).chain(borders.iter().copied());
    let highs = borders.iter().copied().chain([size]);
    lows.zip(highs).map(|(low, high)| low..high).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_range_and_overlap() {
        for (range, size, tile, overlap, expected) in [
            (0..10, 10, 16, 8, vec![0]),
            (0..16, 16, 16, 8, vec![0]),
            (0..17, 17, 16, 8, vec![0, 1]),
            (0..40, 40, 16, 8, vec![0, 8, 16, 24]),
            (0..41, 41, 16, 4, vec![0, 8, 17, 25]),
            (0..20, 20, 4, 0, vec![0, 4, 8, 12, 16]),
            (20..28, 40, 16, 8, vec![16]),
            (0..2, 40, 16, 8, vec![0]),
            (38..40, 40, 16, 8, vec![24]),
            (10..30, 40, 16, 8, vec![10, 14]),
        ] {
            let found = starts(&range, size, tile, overlap);
            assert_eq!(found, expected, "{range:?} of {size}, tile {tile}, overlap {overlap}");
            assert!(found.windows(2).all(|pair| pair[1] - pair[0] <= tile - overlap));
        }
    }

    #[test]
    fn own_parts_share_out_a_line() {
        for starts in [vec![0], vec![0, 8, 17, 25], vec![3, 9]] {
            let parts = own_parts(&starts, 41, 16);
            assert_eq!((parts.len(), parts[0].start, parts[parts.len() - 1].end), (starts.len(), 0, 41));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    /// A cone that stands on the grid's floor.
    fn cone(shape: [usize; 3]) -> Vec<u8> {
        let [depth, height, width] = shape;
        let inside = |index: usize| {
            let (z, y, x) = (index / (height * width), index / width % height, index % width);
            let radius = 0.5 * (depth - z) as f64 / depth as f64;
            let from_middle = |at: usize, size: usize| (at as f64 + 0.5) / size as f64 - 0.5;
            u8::from(from_middle(y, height).hypot(from_middle(x, width)) < radius)
        };
        (0..depth * height * width).map(inside).collect()
    }

    #[test]
    fn what_is_needed_is_covered_and_little_else() {
        let shape = [60, 50, 70];
        let mask = cone(shape);
        let layout = Layout::new(&Needed::of(&mask, shape), [16; 3], [5; 3]);
        let mut covered = vec![false; mask.len()];
        for place in &layout.places {
            let [zs, ys, xs] = [0, 1, 2].map(|axis| layout.covered(place.origin, axis).0);
            for z in zs {
                for y in ys.clone() {
                    covered[(z * shape[1] + y) * shape[2]..][xs.clone()].fill(true);
                }
            }
        }
        assert!(mask.iter().zip(&covered).all(|(&needed, &covered)| needed == 0 || covered));
        let everywhere = Layout::new(&Needed::all(shape), [16; 3], [5; 3]);
        assert!(2 * layout.places.len() < everywhere.places.len(), "{} tiles", layout.places.len());
        assert_eq!(Layout::new(&Needed::of(&vec![0; mask.len()], shape), [16; 3], [5; 3]).places, []);
    }

    #[test]
    fn what_is_needed_grows_along_each_axis_and_stays_in_the_grid() {
        let shape = [3, 4, 6];
        let mut mask = vec![0; 72];
        mask[(4 + 1) * 6 + 2] = 1;
        mask[(4 + 1) * 6 + 4] = 1;
        let needed = Needed::of(&mask, shape);
        assert_eq!((needed.size(), needed.rows[5].clone()), ([1, 1, 3], 2..5));
        let grown = needed.grown([0, 1, 2]);
        assert_eq!((grown.size(), grown.rows[4].clone()), ([1, 3, 6], 0..6));
        assert_eq!(needed.grown([9; 3]), Needed::all(shape));
    }

    #[test]
    fn neighbours_differ_as_on_a_chessboard() {
        let layout = Layout::new(&Needed::all([40, 16, 40]), [16; 3], [8; 3]);
        let odd = |origin| layout.places.iter().find(|place| place.origin == origin).unwrap().odd;
        assert!(!odd([0, 0, 0]) && odd([0, 0, 8]) && !odd([8, 0, 8]) && odd([24, 0, 0]));
    }
}
