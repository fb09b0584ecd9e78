//! Resampling along the axes: `scipy.ndimage.zoom(order = k, grid_mode = True, mode = "nearest")`.
//!
//! Voxel `o` of the result lies at `(o + ½) · n / m − ½` of the source (n source voxels, m new ones), so the volume's
//! outer faces and its centre stay. Coordinates and weights are f64, voxels f32. Each new plane is one block of work,
//! so the numbers do not depend on the thread count.

//!
//! What others computed in their own ways, and a network has learnt from, is repeated to the last bit or nearly so in
//! files of its own: [`skimage`], [`torch`] and [`corners`].

#[cfg(test)]
mod conformance;
pub mod corners;
mod filter;
mod line;
mod linear;
mod products;
mod rows;
pub mod skimage;
mod slabs;
mod spline;
pub mod torch;

use crate::crop::{Extent, View, VoxelBox};
use crate::volume::{Affine, Grid, Volume};
use crate::voxels::Voxel;
pub use linear::{Pairs, mix};

/// Spline order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nearest voxel, order 0.
    Nearest,
    /// Trilinear, order 1.
    Linear,
    /// Interpolating cubic B-spline, order 3.
    Cubic,
}

/// Number of voxels after resampling: `round(n · from / to)`, at least 1.
pub fn new_size(size: usize, from_mm: f64, to_mm: f64) -> usize {
    ((size as f64 * from_mm / to_mm).round_ties_even() as usize).max(1)
}

/// Shape after resampling to a voxel size, `[z, y, x]`.
pub fn new_shape(grid: &Grid, spacing_mm: [f64; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| new_size(grid.shape[axis], grid.spacing_mm[axis], spacing_mm[axis]))
}

/// The grid with the same outer faces and `shape` voxels.
pub fn resized_grid(grid: &Grid, shape: [usize; 3]) -> Grid {
    let ratio: [f64; 3] = std::array::from_fn(|axis| grid.shape[axis] as f64 / shape[axis] as f64);
    let mut affine = grid.affine.0;
    for row in affine.iter_mut().take(3) {
        for axis in 0..3 {
            // Column 0 of an affine is x, the last array axis.
            let step = row[2 - axis];
            row[3] += step * (0.5 * ratio[axis] - 0.5);
            row[2 - axis] = step * ratio[axis];
        }
    }
    let spacing_mm = std::array::from_fn(|axis| grid.spacing_mm[axis] * ratio[axis]);
    Grid { shape, spacing_mm, affine: Affine(affine) }
}

/// Resamples a volume to (nearly) `spacing_mm`, `[z, y, x]`; the exact voxel size is in the result's grid.
pub fn resample(volume: &Volume<f32>, spacing_mm: [f64; 3], order: Order) -> Volume<f32> {
    let shape = new_shape(&volume.grid, spacing_mm);
    let data = resize(&View::new(&volume.data, volume.grid.shape), shape, order);
    Volume { data, grid: resized_grid(&volume.grid, shape) }
}

/// Resamples a view to `shape`.
///
/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`. Memory beside the result: a few planes a thread.
pub fn resize(source: &View<'_, f32>, shape: [usize; 3], order: Order) -> Vec<f32> {
    if source.shape() == shape {
        return source.to_vec();
    }
    match order {
        Order::Nearest => linear::nearest(source, shape),
        Order::Linear => linear::linear(source, &whole(source), shape, |value| value),
        Order::Cubic => spline::cubic(source, shape),
    }
}

/// Resamples a view linearly to `shape` voxels that fill an extent of it; beyond the view its outermost voxels go on.
///
/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`.
pub fn resize_within<T: Voxel>(source: &View<'_, T>, extent: &Extent, shape: [usize; 3]) -> Vec<f32> {
    if source.shape() == shape && *extent == whole(source) {
        return source.to_values();
    }
    linear::linear(source, extent, shape, Voxel::to_f32)
}

fn whole<T: Copy>(source: &View<'_, T>) -> Extent {
    Extent::from(&VoxelBox::whole(source.shape()))
}

/// Resamples a label array to voxels that fill an extent of it: each label's indicator linearly, then the label of at
/// least one half, else 0.
///
/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`.
pub fn resize_labels(source: &View<'_, u8>, extent: &Extent, shape: [usize; 3]) -> Vec<u8> {
    if source.shape() == shape && *extent == whole(source) {
        return source.to_vec();
    }
    let mut present = [false; 256];
    let [depth, height, width] = source.shape();
    let mut row = vec![0; width];
    for z in 0..depth {
        for y in 0..height {
            source.copy_row(z, y, &mut row);
            for &label in &row {
                present[label as usize] = true;
            }
        }
    }
    let mut labels = vec![0u8; shape.iter().product()];
    let mut best = vec![0f32; labels.len()];
    for label in (1..=255u8).filter(|&label| present[label as usize]) {
        let share = linear::linear(source, extent, shape, |value| f32::from(u8::from(value == label)));
        let voxels = labels.iter_mut().zip(&mut best).zip(share);
        for ((to, most), share) in voxels {
            if share >= 0.5 && share > *most {
                (*to, *most) = (label, share);
            }
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use pulmoav_simd::{Level, with_level};

    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Case {
        shape: [usize; 3],
        new_shape: [usize; 3],
        order: u8,
        voxels: Vec<f32>,
        result: Vec<f32>,
    }

    /// Expected values: `scipy.ndimage.zoom`, made by `crates/testing/goldens/resample.py`.
    #[test]
    fn equals_scipy_zoom() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/resample/zoom.json");
        let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for level in Level::present() {
            with_level(level, || cases.iter().for_each(Case::check));
        }
    }

    impl Case {
        fn check(&self) {
            let case = self;
            let order = match case.order {
                0 => Order::Nearest,
                1 => Order::Linear,
                _ => Order::Cubic,
            };
            let found = resize(&View::new(&case.voxels, case.shape), case.new_shape, order);
            let (low, high) = case.voxels.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            for (index, (a, b)) in found.iter().zip(&case.result).enumerate() {
                let apart = (a - b).abs();
                assert!(
                    apart <= 1e-4 * (high - low),
                    "{:?} → {:?} order {order:?} voxel {index}: {a} is not {b}",
                    case.shape,
                    case.new_shape
                );
            }
        }
    }

    /// Rows longer than any vector, denser and sparser than the new ones.
    #[test]
    fn every_level_gives_the_same_bits() {
        let shape = [5, 6, 97];
        let voxels: Vec<f32> = (0..shape.iter().product()).map(|i: usize| ((i * 7919) % 2003) as f32).collect();
        for order in [Order::Nearest, Order::Linear, Order::Cubic] {
            for new_shape in [[7, 4, 203], [4, 9, 70], [5, 6, 31], [5, 6, 11]] {
                let at = |level| with_level(level, || resize(&View::new(&voxels, shape), new_shape, order));
                let expected = at(Level::Portable);
                for level in Level::present() {
                    assert_eq!(at(level), expected, "{order:?} to {new_shape:?} at {level:?}");
                }
            }
        }
    }

    #[test]
    fn faces_and_centre_stay() {
        let grid =
            Grid { shape: [10, 20, 30], spacing_mm: [2.0, 1.0, 0.5], affine: Affine::from_spacing([2.0, 1.0, 0.5]) };
        let new = resized_grid(&grid, [5, 40, 15]);
        assert_eq!(new.spacing_mm, [4.0, 0.5, 1.0]);
        let centre = |g: &Grid| g.affine.apply([2, 1, 0].map(|axis| (g.shape[axis] as f64 - 1.0) / 2.0));
        assert_eq!(centre(&grid), centre(&new));
        assert_eq!(new_size(7, 1.5, 1.0), 10);
        assert_eq!(new_size(1, 0.1, 1.0), 1);
    }

    #[test]
    fn labels_take_the_half() {
        let labels = [1u8, 1, 2, 2];
        let view = View::new(&labels, [1, 1, 4]);
        assert_eq!(resize_labels(&view, &whole(&view), [1, 1, 8]), [1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(resize_labels(&view, &whole(&view), [1, 1, 4]), labels);
    }

    #[test]
    fn threads_change_nothing() {
        let voxels: Vec<f32> = (0..24 * 17 * 19).map(|i| ((i * 7919) % 2003) as f32).collect();
        for order in [Order::Nearest, Order::Linear, Order::Cubic] {
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| resize(&View::new(&voxels, [24, 17, 19]), [31, 11, 23], order))
            };
            assert_eq!(run(1), run(2), "{order:?}");
        }
    }
}
