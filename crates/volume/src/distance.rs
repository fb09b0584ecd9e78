//! Exact Euclidean distances on a grid, in mm (Felzenszwalb and Huttenlocher 2012: one parabola envelope an axis).

use rayon::prelude::*;

/// Squared distance in mm² from each voxel's centre to the nearest voxel where `target` is true; infinite when none is.
///
/// # Shapes
/// `target`: `[z, y, x]` of `shape`; the result too.
pub fn squared_distance_mm2(
    target: impl Fn(usize) -> bool + Sync,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
) -> Vec<f32> {
    let [depth, height, width] = shape;
    let plane = height * width;
    let mut field: Vec<f32> = (0..depth * plane)
        .into_par_iter()
        .with_min_len(1 << 14)
        .map(|index| if target(index) { 0.0 } else { f32::INFINITY })
        .collect();
    if field.is_empty() {
        return field;
    }
    field.par_chunks_mut(plane).for_each_init(
        || Envelope::new(height.max(width)),
        |envelope, slice| {
            for row in slice.chunks_exact_mut(width) {
                envelope.run(row, 0, 1, width, spacing_mm[2]);
            }
            for x in 0..width {
                envelope.run(slice, x, width, height, spacing_mm[1]);
            }
        },
    );
    // Along z a column of one y is a strided table; it is copied out, worked on and copied back.
    let columns: Vec<Vec<f32>> = (0..height)
        .into_par_iter()
        .map_init(
            || Envelope::new(depth),
            |envelope, y| {
                let mut table = Vec::with_capacity(depth * width);
                for z in 0..depth {
                    table.extend_from_slice(&field[z * plane + y * width..][..width]);
                }
                for x in 0..width {
                    envelope.run(&mut table, x, width, depth, spacing_mm[0]);
                }
                table
            },
        )
        .collect();
    field.par_chunks_mut(plane).enumerate().for_each(|(z, slice)| {
        for (row, table) in slice.chunks_exact_mut(width).zip(&columns) {
            row.copy_from_slice(&table[z * width..][..width]);
        }
    });
    field
}

/// As [`squared_distance_mm2`] where the distance is at most `reach_mm`, infinite beyond; many times as fast for a
/// reach of few voxels.
///
/// # Shapes
/// `target`: `[z, y, x]` of `shape`; the result too.
pub fn near_squared_distance_mm2(
    target: impl Fn(usize) -> bool + Sync,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    reach_mm: f64,
) -> Vec<f32> {
    let [depth, height, width] = shape;
    let plane = height * width;
    let mut along_x = vec![f32::INFINITY; depth * plane];
    if along_x.is_empty() {
        return along_x;
    }
    along_x.par_chunks_mut(plane).enumerate().for_each(|(z, slice)| {
        for (y, row) in slice.chunks_exact_mut(width).enumerate() {
            nearest_in_row(row, |x| target(z * plane + y * width + x), spacing_mm[2] as f32);
        }
    });
    let bound = (reach_mm * reach_mm) as f32;
    let steps = |axis: usize| (reach_mm / spacing_mm[axis]) as usize;
    let square = |step: usize, axis: usize| ((step as f64 * spacing_mm[axis]).powi(2)) as f32;
    let mut along_y = vec![f32::INFINITY; depth * plane];
    along_y.par_chunks_mut(plane).zip(along_x.par_chunks(plane)).for_each(|(to, from)| {
        for (y, row) in to.chunks_exact_mut(width).enumerate() {
            for other in y.saturating_sub(steps(1))..(y + steps(1) + 1).min(height) {
                lower(row, &from[other * width..][..width], square(other.abs_diff(y), 1));
            }
        }
    });
    let mut field = along_x;
    field.par_chunks_mut(plane).enumerate().for_each(|(z, slice)| {
        slice.fill(f32::INFINITY);
        for other in z.saturating_sub(steps(0))..(z + steps(0) + 1).min(depth) {
            lower(slice, &along_y[other * plane..][..plane], square(other.abs_diff(z), 0));
        }
        for d in slice.iter_mut().filter(|d| **d > bound) {
            *d = f32::INFINITY;
        }
    });
    field
}

/// Squared distances along one row.
fn nearest_in_row(row: &mut [f32], target: impl Fn(usize) -> bool, step_mm: f32) {
    let mut steps = f32::INFINITY;
    for (x, to) in row.iter_mut().enumerate() {
        steps = if target(x) { 0.0 } else { steps + 1.0 };
        *to = steps;
    }
    let mut steps = f32::INFINITY;
    for to in row.iter_mut().rev() {
        steps = if *to == 0.0 { 0.0 } else { steps + 1.0 };
        *to = (to.min(steps) * step_mm).powi(2);
    }
}

/// Lowers each distance to that of another row or slice and the way from there.
fn lower(to: &mut [f32], from: &[f32], more: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = to.min(from + more);
    }
}

/// Working space of the lower envelope of parabolas along one line.
struct Envelope {
    values: Vec<f64>,
    roots: Vec<usize>,
    starts: Vec<f64>,
}

impl Envelope {
    fn new(longest: usize) -> Self {
        Self { values: vec![0.0; longest], roots: Vec::with_capacity(longest), starts: Vec::with_capacity(longest) }
    }

    /// Replaces `line[first + i * stride]` by `min_j line[j] + ((i - j) * step_mm)²`.
    fn run(&mut self, line: &mut [f32], first: usize, stride: usize, count: usize, step_mm: f64) {
        let square = step_mm * step_mm;
        self.roots.clear();
        self.starts.clear();
        for i in 0..count {
            let value = f64::from(line[first + i * stride]);
            self.values[i] = value;
            if value.is_infinite() {
                continue;
            }
            let height = |j: usize, values: &[f64]| values[j] + square * (j * j) as f64;
            let mut start = f64::NEG_INFINITY;
            while let Some(&j) = self.roots.last() {
                let cross = (height(i, &self.values) - height(j, &self.values)) / (2.0 * square * (i - j) as f64);
                if cross > self.starts[self.roots.len() - 1] {
                    start = cross;
                    break;
                }
                self.roots.pop();
                self.starts.pop();
            }
            self.roots.push(i);
            self.starts.push(start);
        }
        if self.roots.is_empty() {
            return;
        }
        let mut k = 0;
        for i in 0..count {
            while k + 1 < self.roots.len() && self.starts[k + 1] < i as f64 {
                k += 1;
            }
            let apart = i.abs_diff(self.roots[k]) as f64;
            line[first + i * stride] = (self.values[self.roots[k]] + square * apart * apart) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_distances_are_the_same_within_reach() {
        let (shape, spacing_mm) = ([7, 11, 13], [2.0, 1.25, 0.75]);
        let target = |index: usize| index % 97 == 13;
        let all = squared_distance_mm2(target, shape, spacing_mm);
        let near = near_squared_distance_mm2(target, shape, spacing_mm, 4.0);
        for (all, near) in all.into_iter().zip(near) {
            let expected = if all <= 16.0 { all } else { f32::INFINITY };
            assert!(near == expected || (near - expected).abs() < 1e-4, "{near}, expected {expected}");
        }
    }

    #[test]
    fn equals_brute_force() {
        let shape = [4, 5, 6];
        let spacing = [2.5, 1.0, 0.7];
        let points = [[0, 0, 1], [3, 4, 5], [2, 0, 3]];
        let inside = |i: usize| points.iter().any(|p: &[usize; 3]| (p[0] * 5 + p[1]) * 6 + p[2] == i);
        let found = squared_distance_mm2(inside, shape, spacing);
        for z in 0..4 {
            for y in 0..5 {
                for x in 0..6 {
                    let square = |p: &[usize; 3]| {
                        (0..3).map(|a| (([z, y, x][a] as f64 - p[a] as f64) * spacing[a]).powi(2)).sum::<f64>()
                    };
                    let expected = points.iter().map(square).fold(f64::INFINITY, f64::min);
                    assert!((f64::from(found[(z * 5 + y) * 6 + x]) - expected).abs() < 1e-4);
                }
            }
        }
        assert!(squared_distance_mm2(|_| false, shape, spacing).iter().all(|d| d.is_infinite()));
    }
}
