//! Volumes made row by row.

use rayon::prelude::*;

/// Which rows make a block of work, one after another.
#[derive(Clone, Copy)]
pub(super) enum Block {
    /// Those of a plane, along y.
    Plane,
    /// Those at one y, along z.
    Column,
}

/// A volume of `shape`, `[z, y, x]`: `fill(state, block, index, row)` leaves the block's next row in `row`, whose values are left open.
///
/// Blocks and rows count from 0; `state` is what a thread keeps from row to row. The result is not cleared before it is written: that would cost as
/// much as a quick filter does.
#[allow(unsafe_code)]
pub(super) fn collect_rows<S>(
    shape: [usize; 3],
    block: Block,
    state: impl Fn() -> S + Sync + Send,
    fill: impl Fn(&mut S, usize, usize, &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let len = shape.iter().product();
    let mut values = Vec::with_capacity(len);
    let rows = blocks(&mut values.spare_capacity_mut()[..len], shape, block);
    let start = || (state(), vec![0f32; shape[2]]);
    rows.into_par_iter().enumerate().for_each_init(start, |(state, row), (block, rows)| {
        for (index, to) in rows.into_iter().enumerate() {
            fill(state, block, index, row);
            to.iter_mut().zip(row.iter()).for_each(|(to, &value)| _ = to.write(value));
        }
    });
    // SAFETY: `blocks` has shared out all `len` values, in rows of `shape[2]`, and each row was written as a whole.
    unsafe { values.set_len(len) };
    values
}

/// The rows of each block.
fn blocks<T>(values: &mut [T], shape: [usize; 3], block: Block) -> Vec<Vec<&mut [T]>> {
    let [depth, height, width] = shape;
    let (count, size) = match block {
        Block::Plane => (depth, height),
        Block::Column => (height, depth),
    };
    let mut blocks: Vec<_> = (0..count).map(|_| Vec::with_capacity(size)).collect();
    for (index, row) in values.chunks_exact_mut(width.max(1)).enumerate() {
        let block = match block {
            Block::Plane => index / height,
            Block::Column => index % height,
        };
        blocks[block].push(row);
    }
    blocks
}
