//! The network's axes and the scan's.

use pulmoav_plan::ClassPlan;
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::{Grid, Orientation};

use crate::error::SegmentError;

/// How the network's axes lie in the scan's array. Nothing is moved: both ends are read and written through this.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// The scan's grid as it came.
    pub(super) grid: Grid,
    /// Network axis `a` is axis `source[a]` of the scan's array, reversed where `flipped[a]`.
    moves: Orientation,
    /// Voxels along the network's axes.
    pub(super) shape: [usize; 3],
    /// Their lengths, mm.
    pub(super) spacing_mm: [f64; 3],
}

impl Frame {
    /// The plan's frame on a grid.
    ///
    /// # Errors
    /// `ERR_GEOMETRY` for an affine without three directions.
    pub(super) fn of(grid: &Grid, plan: &ClassPlan) -> Result<Self, SegmentError> {
        // Refused even where nothing is turned: such a scan has no place in the body.
        let canonical = Orientation::of(&grid.affine)?;
        let turned = if plan.reorient { canonical } else { Orientation::IDENTITY };
        let moves = Orientation {
            source: plan.axes.map(|axis| turned.source[axis]),
            flipped: plan.axes.map(|axis| turned.flipped[axis]),
        };
        Ok(Self {
            grid: *grid,
            moves,
            shape: moves.source.map(|axis| grid.shape[axis]),
            spacing_mm: moves.source.map(|axis| grid.spacing_mm[axis]),
        })
    }

    /// An array on the scan's grid along the network's axes.
    pub(super) fn view<'a, T: Copy>(&self, data: &'a [T]) -> View<'a, T> {
        View::new(data, self.grid.shape).reordered(self.moves.source, self.moves.flipped)
    }

    /// A box of the scan's array along the network's axes.
    pub(super) fn network_box(&self, part: &VoxelBox) -> VoxelBox {
        let bounds: [[usize; 2]; 3] = std::array::from_fn(|axis| {
            let (source, size) = (self.moves.source[axis], self.shape[axis]);
            let (low, high) = (part.low[source], part.high[source]);
            if self.moves.flipped[axis] { [size - high, size - low] } else { [low, high] }
        });
        VoxelBox { low: bounds.map(|[low, _]| low), high: bounds.map(|[_, high]| high) }
    }

    /// A box along the network's axes in the scan's array.
    pub(super) fn scan_box(&self, part: &VoxelBox) -> VoxelBox {
        let mut scan = *part;
        for axis in 0..3 {
            let (source, size) = (self.moves.source[axis], self.shape[axis]);
            let (low, high) = (part.low[axis], part.high[axis]);
            (scan.low[source], scan.high[source]) =
                if self.moves.flipped[axis] { (size - high, size - low) } else { (low, high) };
        }
        scan
    }

    /// Where voxels of a box lie in the scan's array, for axes in another order: axis `k` is the network's `order[k]`.
    pub(super) fn place(&self, part: &VoxelBox, order: [usize; 3]) -> Place {
        let [_, height, width] = self.grid.shape;
        let scan = [(height * width) as isize, width as isize, 1];
        let mut origin = 0;
        let strides: [isize; 3] = std::array::from_fn(|axis| {
            let stride = scan[self.moves.source[axis]];
            let (first, stride) = if self.moves.flipped[axis] {
                (stride * (self.shape[axis] as isize - 1), -stride)
            } else {
                (0, stride)
            };
            origin += first + part.low[axis] as isize * stride;
            stride
        });
        Place { origin, strides: order.map(|axis| strides[axis]) }
    }
}

/// Where voxels lie in the scan's array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    origin: isize,
    strides: [isize; 3],
}

impl Place {
    /// The places of a row of voxels, x changing.
    pub(super) fn row(&self, z: usize, y: usize) -> impl Iterator<Item = usize> + use<> {
        let [along_z, along_y, along_x] = self.strides;
        let first = self.origin + z as isize * along_z + y as isize * along_y;
        (0..).map(move |x: isize| (first + x * along_x) as usize)
    }
}

#[cfg(test)]
mod tests {
    use pulmoav_volume::Affine;

    use super::*;
    use crate::classes::fixture::plan;

    #[test]
    fn what_is_read_from_a_place_is_written_back_to_it() {
        let shape = [3, 4, 5];
        let mut affine = Affine::from_spacing([3.0, 2.0, 1.0]);
        // x runs to the left, y and z are exchanged.
        affine.0[0][0] = -1.0;
        (affine.0[1], affine.0[2]) = ([0.0, 0.0, 3.0, 7.0], [0.0, 2.0, 0.0, -3.0]);
        let grid = Grid { shape, spacing_mm: [3.0, 2.0, 1.0], affine };
        let data: Vec<u16> = (0..60).collect();
        for (axes, reorient) in [([0, 1, 2], false), ([0, 1, 2], true), ([2, 0, 1], true), ([1, 0, 2], false)] {
            let frame = Frame::of(&grid, &ClassPlan { axes, reorient, ..plan() }).unwrap();
            let view = frame.view(&data);
            assert_eq!(view.shape(), frame.shape);
            let part = VoxelBox { low: [1, 0, 1], high: frame.shape };
            assert_eq!(frame.network_box(&frame.scan_box(&part)), part);
            let order = [1, 2, 0];
            let seen = view.part(&part);
            let place = frame.place(&part, order);
            for a in 0..part.shape()[1] {
                for b in 0..part.shape()[2] {
                    for (c, at) in (0..part.shape()[0]).zip(place.row(a, b)) {
                        assert_eq!(data[at], seen.at(c, a, b), "{axes:?} {reorient}");
                    }
                }
            }
        }
        let turned = Frame::of(&grid, &ClassPlan { reorient: true, ..plan() }).unwrap();
        assert_eq!(turned.spacing_mm, [2.0, 3.0, 1.0]);
    }
}
