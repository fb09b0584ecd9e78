//! Corner-aligned resampling: `scipy.ndimage.zoom(mode = "nearest")` without its grid mode.
//!
//! The first and the last voxel of each axis stay where they are: new voxel `o` lies at `o · (n − 1) / (m − 1)`. A
//! linear value is the sum of eight products in f64, each `((value · w_x) · w_y) · w_z`, z changing fastest, so that
//! what is rounded to integers afterwards is what scipy rounds.

use rayon::prelude::*;

use crate::crop::View;

/// Linear interpolation; `store` makes a voxel of the sum.
///
/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`.
pub fn corner_linear(source: &View<'_, f32>, shape: [usize; 3], store: impl Fn(f64) -> f32 + Sync + Send) -> Vec<f32> {
    let [zs, ys, xs]: [Vec<Pair>; 3] = [0, 1, 2].map(|axis| pairs(source.shape()[axis], shape[axis]));
    let [_, height, width] = shape;
    let mut values = vec![0f32; shape.iter().product()];
    let line = || [(); 4].map(|()| vec![0f32; source.shape()[2]]);
    values.par_chunks_mut((height * width).max(1)).enumerate().for_each_init(line, |lines, (z, plane)| {
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            for (corner, line) in lines.iter_mut().enumerate() {
                source.copy_row(zs[z].from[corner & 1], ys[y].from[corner >> 1], line);
            }
            for (to, x) in row.iter_mut().zip(&xs) {
                let mut sum = 0.0;
                for (x, to_x) in x.from.into_iter().zip(x.weights) {
                    for (corner, line) in lines.iter().enumerate() {
                        let (to_y, to_z) = (ys[y].weights[corner >> 1], zs[z].weights[corner & 1]);
                        sum += f64::from(line[x]) * to_x * to_y * to_z;
                    }
                }
                *to = store(sum);
            }
        }
    });
    values
}

/// Nearest voxels, halves to the one behind.
///
/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`.
pub fn corner_nearest<T: Copy + Default + Send + Sync>(source: &View<'_, T>, shape: [usize; 3]) -> Vec<T> {
    let [zs, ys, xs]: [Vec<usize>; 3] = [0, 1, 2].map(|axis| {
        let last = source.shape()[axis] - 1;
        places(source.shape()[axis], shape[axis]).map(|at| ((at + 0.5).floor() as usize).min(last)).collect()
    });
    let mut values = vec![T::default(); shape.iter().product()];
    values.par_chunks_mut((shape[1] * shape[2]).max(1)).zip(zs).for_each(|(plane, z)| {
        for (row, &y) in plane.chunks_exact_mut(shape[2]).zip(&ys) {
            row.iter_mut().zip(&xs).for_each(|(to, &x)| *to = source.at(z, y, x));
        }
    });
    values
}

/// Where new voxels lie in the source.
fn places(size: usize, new_size: usize) -> impl Iterator<Item = f64> {
    let step = if new_size > 1 { (size - 1) as f64 / (new_size - 1) as f64 } else { 1.0 };
    (0..new_size).map(move |voxel| voxel as f64 * step)
}

/// The two voxels that a new one lies between, and their weights.
struct Pair {
    from: [usize; 2],
    weights: [f64; 2],
}

fn pairs(size: usize, new_size: usize) -> Vec<Pair> {
    let pair = |at: f64| {
        let below = at.floor() as usize;
        let first = 1.0 - (at - at.floor());
        // Rounding may put the last place behind the last voxel, which then counts with both weights.
        Pair { from: [below, below + 1].map(|at| at.min(size - 1)), weights: [first, 1.0 - first] }
    };
    places(size, new_size).map(pair).collect()
}
