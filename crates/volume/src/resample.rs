//! Resampling along the axes: `scipy.ndimage.zoom(order = k, grid_mode = True, mode = "nearest")`.
//!
//! Voxel `o` of the result lies at `(o + ½) · n / m − ½` of the source (n source voxels, m new ones), so the volume's
//! outer faces and its centre stay. Coordinates and weights are f64, voxels f32. Each new plane is one block of work,
//! so the numbers do not depend on the thread count.

use rayon::prelude::*;

use crate::crop::View;
use crate::volume::{Affine, Grid, Volume};

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
    resize_with(source, shape, order, |value| value)
}

/// Resamples a label array: each label's indicator linearly, then the label of at least one half, else 0.
///
/// # Shapes
/// `[z, y, x]` of `source` → `[z, y, x]` of `shape`.
pub fn resize_labels(source: &View<'_, u8>, shape: [usize; 3]) -> Vec<u8> {
    if source.shape() == shape {
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
        let share = resize_with(source, shape, Order::Linear, |value| f32::from(u8::from(value == label)));
        let voxels = labels.iter_mut().zip(&mut best).zip(share);
        for ((to, most), share) in voxels {
            if share >= 0.5 && share > *most {
                (*to, *most) = (label, share);
            }
        }
    }
    labels
}

/// [`resize`] of `value(voxel)`, computed while reading.
fn resize_with<T: Copy + Default + Sync>(
    source: &View<'_, T>,
    shape: [usize; 3],
    order: Order,
    value: impl Fn(T) -> f32 + Sync,
) -> Vec<f32> {
    let [_, height, width] = source.shape();
    let taps: [Taps; 3] = std::array::from_fn(|axis| Taps::new(source.shape()[axis], shape[axis], order));
    let splines = (order == Order::Cubic).then(|| [1, 2].map(|axis| Spline::new(source.shape()[axis], shape[axis])));
    let mut result = vec![0f32; shape.iter().product()];
    let plane = (shape[1] * shape[2]).max(1);
    result.par_chunks_mut(plane).enumerate().for_each_init(
        || (vec![T::default(); width], vec![0f32; (height + 2 * MARGIN) * width], vec![0f32; width + 2 * MARGIN]),
        |(row, blended, line), (z, out)| {
            let body = &mut blended[MARGIN * width..][..height * width];
            body.fill(0.0);
            for (from, weight) in taps[0].of(z) {
                for (y, to) in body.chunks_exact_mut(width).enumerate() {
                    source.copy_row(from, y, row);
                    to.iter_mut().zip(row.iter()).for_each(|(to, &from)| *to += weight * value(from));
                }
            }
            let rows = out.chunks_exact_mut(shape[2]).enumerate();
            if let Some([along_y, along_x]) = &splines {
                prefilter(blended, width);
                for (y, to) in rows {
                    along_y.combine(y, blended, &mut line[MARGIN..][..width]);
                    prefilter(line, 1);
                    along_x.combine_line(line, to);
                }
            } else {
                for (y, to) in rows {
                    taps[1].combine(y, body, &mut line[..width]);
                    taps[2].combine_line(&line[..width], to);
                }
            }
        },
    );
    result
}

/// Source voxels and weights of each new voxel along one axis.
#[derive(Debug)]
pub struct Taps {
    per_voxel: usize,
    from: Vec<u32>,
    weights: Vec<f32>,
}

impl Taps {
    /// Weights that take `size` voxels to `new_size`.
    pub fn new(size: usize, new_size: usize, order: Order) -> Self {
        let step = size as f64 / new_size as f64;
        let mut taps = Self { per_voxel: 0, from: Vec::new(), weights: Vec::new() };
        for voxel in 0..new_size {
            let at = (voxel as f64 + 0.5) * step - 0.5;
            let line = match order {
                Order::Nearest => vec![((at + 0.5).floor() as isize, 1.0)],
                Order::Linear => linear_taps(at.clamp(0.0, (size - 1) as f64)),
                Order::Cubic => cubic_taps(at),
            };
            taps.per_voxel = line.len();
            for (index, weight) in line {
                taps.from.push(index.clamp(0, size as isize - 1) as u32);
                taps.weights.push(weight as f32);
            }
        }
        taps
    }

    /// For every new voxel its two source voxels and their weights; none unless the order is linear.
    pub fn pairs(&self) -> impl Iterator<Item = ([usize; 2], [f32; 2])> + '_ {
        let known = if self.per_voxel == 2 { self.from.len() } else { 0 };
        let (from, _) = self.from[..known].as_chunks::<2>();
        let (weights, _) = self.weights[..known].as_chunks::<2>();
        from.iter().zip(weights).map(|(from, weights)| (from.map(|i| i as usize), *weights))
    }

    /// `(source voxel, weight)` of a new voxel.
    #[inline]
    pub fn of(&self, voxel: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = voxel * self.per_voxel..(voxel + 1) * self.per_voxel;
        self.from[range.clone()].iter().map(|&i| i as usize).zip(self.weights[range].iter().copied())
    }

    /// The sum of source rows for one new row.
    fn combine(&self, voxel: usize, rows: &[f32], sum: &mut [f32]) {
        sum.fill(0.0);
        let width = sum.len();
        for (from, weight) in self.of(voxel) {
            sum.iter_mut().zip(&rows[from * width..]).for_each(|(to, value)| *to += weight * value);
        }
    }

    /// All new voxels of a line.
    fn combine_line(&self, line: &[f32], to: &mut [f32]) {
        if self.per_voxel == 2 {
            for (to, ([low, high], [to_low, to_high])) in to.iter_mut().zip(self.pairs()) {
                *to = to_low * line[low] + to_high * line[high];
            }
            return;
        }
        for (voxel, to) in to.iter_mut().enumerate() {
            *to = self.of(voxel).map(|(from, weight)| weight * line[from]).sum();
        }
    }
}

/// Rows before and behind those of the source that a cubic spline looks at.
const MARGIN: usize = 2;

/// The four coefficients, margin counted, and weights of each new voxel along one axis.
struct Spline {
    from: Vec<usize>,
    weights: Vec<[f32; 4]>,
}

impl Spline {
    fn new(size: usize, new_size: usize) -> Self {
        let step = size as f64 / new_size as f64;
        let places = (0..new_size).map(|voxel| (voxel as f64 + 0.5) * step - 0.5);
        // The first of the four lies one voxel before the one below.
        let from = places.clone().map(|at| (at.floor() as isize - 1 + MARGIN as isize) as usize).collect();
        let weights = places.map(|at| spline_weights(at - at.floor()).map(|weight| (GAIN * weight) as f32)).collect();
        Self { from, weights }
    }

    /// The sum of four rows of coefficients for one new row.
    fn combine(&self, voxel: usize, rows: &[f32], sum: &mut [f32]) {
        let width = sum.len();
        let rows = &rows[self.from[voxel] * width..];
        let [a, b, c, d] = self.weights[voxel];
        let next = rows[width..].iter().zip(&rows[2 * width..]).zip(&rows[3 * width..]);
        for (to, (first, ((second, third), fourth))) in sum.iter_mut().zip(rows.iter().zip(next)) {
            *to = a * first + b * second + c * third + d * fourth;
        }
    }

    /// All new voxels of a line of coefficients.
    fn combine_line(&self, line: &[f32], to: &mut [f32]) {
        for ((to, &from), [a, b, c, d]) in to.iter_mut().zip(&self.from).zip(&self.weights) {
            let [first, second, third, fourth] = [0, 1, 2, 3].map(|k| line[from + k]);
            *to = a * first + b * second + c * third + d * fourth;
        }
    }
}

/// Pole of the cubic B-spline's inverse filter, √3 − 2, and what its two recursions must be multiplied by.
const POLE: f64 = -0.267_949_192_431_122_7;
const GAIN: f64 = 6.0;

/// Voxels to B-spline coefficients in place, `stride` values from voxel to voxel: the recursions of M. Unser, *Splines: a perfect fit for signal
/// and image processing*, 1999, box 2, for voxels that stay what they are at both ends for ever. Fills the margins, which hold nothing yet.
fn prefilter(values: &mut [f32], stride: usize) {
    let (pole, rest, square) = (POLE as f32, (1.0 - POLE) as f32, (1.0 - POLE * POLE) as f32);
    let (margin, len) = (MARGIN * stride, values.len());
    for to in (0..margin).step_by(stride) {
        values.copy_within(margin..margin + stride, to);
        values.copy_within(len - margin - stride..len - margin, len - margin + to);
    }
    let last = values[len - stride..].to_vec();
    values[..stride].iter_mut().for_each(|value| *value /= rest);
    for at in stride..len {
        values[at] += pole * values[at - stride];
    }
    for (value, last) in values[len - stride..].iter_mut().zip(last) {
        let steady = last / rest;
        *value = -pole * (steady / rest + (*value - steady) / square);
    }
    for at in (0..len - stride).rev() {
        values[at] = pole * (values[at + stride] - values[at]);
    }
}

fn linear_taps(at: f64) -> Vec<(isize, f64)> {
    let low = at.floor();
    vec![(low as isize, 1.0 - (at - low)), (low as isize + 1, at - low)]
}

/// Cubic B-spline at `at` of coefficients that interpolate the voxels, as one filter on the voxels.
///
/// The inverse filter is `−6z / (1 − z²) · z^|k|`, `z = √3 − 2` (Unser 1993); past 10 voxels it is below 4e−6.
fn cubic_taps(at: f64) -> Vec<(isize, f64)> {
    const REACH: isize = 10;
    let gain = -GAIN * POLE / (1.0 - POLE * POLE);
    let low = at.floor();
    let spline = spline_weights(at - low);
    (-REACH - 1..=REACH + 2)
        .map(|offset| {
            let inverse = |k: usize| gain * POLE.powi((offset - (k as isize - 1)).abs() as i32);
            let weight = (0..4).map(|k| spline[k] * inverse(k)).sum();
            (low as isize + offset, weight)
        })
        .collect()
}

/// Weights of the coefficients before, below, above and behind a place `t` in 0..1 beyond the one below.
fn spline_weights(t: f64) -> [f64; 4] {
    [
        (1.0 - t).powi(3) / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t.powi(3)) / 6.0,
        (1.0 + 3.0 * t + 3.0 * t * t - 3.0 * t.powi(3)) / 6.0,
        t.powi(3) / 6.0,
    ]
}

#[cfg(test)]
mod tests {
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
        for case in cases {
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
        assert_eq!(resize_labels(&View::new(&labels, [1, 1, 4]), [1, 1, 8]), [1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(resize_labels(&View::new(&labels, [1, 1, 4]), [1, 1, 4]), labels);
    }

    #[test]
    fn threads_change_nothing() {
        let voxels: Vec<f32> = (0..24 * 17 * 19).map(|i| ((i * 7919) % 2003) as f32).collect();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| resize(&View::new(&voxels, [24, 17, 19]), [31, 11, 23], Order::Linear))
        };
        assert_eq!(run(1), run(2));
    }
}
