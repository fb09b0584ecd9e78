//! Row-wise copies on the CPU, in parallel blocks of a fixed number of rows.

use rayon::prelude::*;

const BLOCK_FLOATS: usize = 1 << 15;

/// Rows of `ca` and of `cb` values side by side.
pub(super) fn join(a: &[f32], b: &[f32], ca: usize, cb: usize) -> Vec<f32> {
    let mut joined = vec![0.0; a.len() + b.len()];
    let rows = BLOCK_FLOATS.div_ceil(ca + cb);
    joined.par_chunks_mut(rows * (ca + cb)).zip(a.par_chunks(rows * ca).zip(b.par_chunks(rows * cb))).for_each(
        |(joined, (a, b))| {
            for (row, (a, b)) in joined.chunks_exact_mut(ca + cb).zip(a.chunks_exact(ca).zip(b.chunks_exact(cb))) {
                let (left, right) = row.split_at_mut(ca);
                left.copy_from_slice(a);
                right.copy_from_slice(b);
            }
        },
    );
    joined
}

/// Columns `first .. first + width` of rows of `row` values.
pub(super) fn cut(values: &[f32], row: usize, first: usize, width: usize) -> Vec<f32> {
    let mut part = vec![0.0; values.len() / row * width];
    let rows = BLOCK_FLOATS.div_ceil(row);
    part.par_chunks_mut(rows * width).zip(values.par_chunks(rows * row)).for_each(|(part, values)| {
        for (part, values) in part.chunks_exact_mut(width).zip(values.chunks_exact(row)) {
            part.copy_from_slice(&values[first..first + width]);
        }
    });
    part
}
