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

/// A volume of `shape`, `[z, y, x]`: `fill(state, block, index, row)` writes the block's next row, which is 0 before.
///
/// Blocks and rows count from 0; `state` is what a thread keeps from row to row.
pub(super) fn collect_rows<S>(
    shape: [usize; 3],
    block: Block,
    state: impl Fn() -> S + Sync + Send,
    fill: impl Fn(&mut S, usize, usize, &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let mut values = vec![0f32; shape.iter().product()];
    let rows = blocks(&mut values, shape, block);
    rows.into_par_iter().enumerate().for_each_init(state, |state, (block, rows)| {
        for (index, row) in rows.into_iter().enumerate() {
            fill(state, block, index, row);
        }
    });
    values
}

/// The rows of each block.
pub(super) fn blocks<T>(values: &mut [T], shape: [usize; 3], block: Block) -> Vec<Vec<&mut [T]>> {
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
