//! Row-wise copies on the CPU, in parallel blocks of a fixed number of rows.

use crate::dense::collect_blocks;

const BLOCK_FLOATS: usize = 1 << 15;

/// Rows of `ca` and of `cb` values side by side.
pub(super) fn join(a: &[f32], b: &[f32], ca: usize, cb: usize) -> Vec<f32> {
    let (len, row) = (a.len() + b.len(), ca + cb);
    collect_blocks(len, len.max(1), BLOCK_FLOATS.div_ceil(row) * row, |_, start, joined| {
        let (a, b) = (&a[start / row * ca..], &b[start / row * cb..]);
        for (joined, (a, b)) in joined.chunks_exact_mut(row).zip(a.chunks_exact(ca).zip(b.chunks_exact(cb))) {
            let (left, right) = joined.split_at_mut(ca);
            left.copy_from_slice(a);
            right.copy_from_slice(b);
        }
    })
}

/// Columns `first .. first + width` of rows of `row` values.
pub(super) fn cut(values: &[f32], row: usize, first: usize, width: usize) -> Vec<f32> {
    let len = values.len() / row * width;
    collect_blocks(len, len.max(1), BLOCK_FLOATS.div_ceil(width) * width, |_, start, part| {
        for (part, values) in part.chunks_exact_mut(width).zip(values[start / width * row..].chunks_exact(row)) {
            part.copy_from_slice(&values[first..first + width]);
        }
    })
}
