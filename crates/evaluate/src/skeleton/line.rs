//! A centreline: its voxels, and the length that each stands for.

use pulmoav_tree::skeleton_of_bits;
use pulmoav_volume::bits::Bits;

/// A centreline.
pub(crate) struct Line {
    pub(crate) bits: Bits,
    /// In scan order.
    pub(crate) points: Vec<Point>,
}

/// A voxel of a centreline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// `[z, y, x]`.
    pub(crate) at: [usize; 3],
    /// Half the steps to its neighbours on the line, mm; a voxel without any stands for the shortest step.
    pub(crate) length_mm: f64,
}

impl Line {
    /// By thinning a mask, none of whose outermost voxels is set.
    pub(crate) fn of(mask: Bits, spacing_mm: [f64; 3]) -> Self {
        let bits = skeleton_of_bits(mask);
        let shortest_mm = spacing_mm.into_iter().fold(f64::INFINITY, f64::min);
        let length_mm = |at: [usize; 3]| {
            let step_mm = |to: [usize; 3]| {
                let squared = (0..3).map(|axis| (at[axis].abs_diff(to[axis]) as f64 * spacing_mm[axis]).powi(2));
                squared.sum::<f64>().sqrt()
            };
            let steps_mm: f64 = neighbours(&bits, at).map(step_mm).sum();
            if steps_mm > 0.0 { steps_mm / 2.0 } else { shortest_mm }
        };
        let points = bits.iter().map(|at| Point { at, length_mm: length_mm(at) }).collect();
        Self { bits, points }
    }

    /// The number of the point at a voxel of the line.
    pub(crate) fn number(&self, at: [usize; 3]) -> Option<usize> {
        self.points.binary_search_by_key(&at, |point| point.at).ok()
    }
}

/// The voxels that are set beside one, across faces, edges and corners.
pub(crate) fn neighbours(bits: &Bits, [z, y, x]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..27)
        .filter(|&k| k != 13)
        .map(move |k| [z + k / 9 - 1, y + k / 3 % 3 - 1, x + k % 3 - 1])
        .filter(move |&at| bits.get(at))
}
