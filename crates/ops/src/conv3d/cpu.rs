//! The passes on the CPU: which kernel runs, and the sum of a bias' gradient.

use rayon::prelude::*;

use super::geometry::{Geometry, WeightOrder};
use super::{direct, winograd};

/// Voxels summed by one task of [`channel_sum`].
const CHANNEL_SUM_BLOCK: usize = 4096;

/// See [`super::reference::to_coarse`].
pub fn to_coarse(g: &Geometry, fine: &[f32], weight: &[f32], order: WeightOrder, bias: Option<&[f32]>) -> Vec<f32> {
    if let Some(tile) = winograd::tile(g) {
        return winograd::to_coarse(tile, g, fine, weight, order, bias);
    }
    direct::to_coarse(g, fine, weight, order, bias)
}

/// See [`super::reference::to_fine`].
pub fn to_fine(g: &Geometry, coarse: &[f32], weight: &[f32], order: WeightOrder, bias: Option<&[f32]>) -> Vec<f32> {
    if let Some(tile) = winograd::tile(g) {
        return winograd::to_fine(tile, g, coarse, weight, order, bias);
    }
    direct::to_fine(g, coarse, weight, order, bias)
}

/// See [`super::reference::weight_gradient`].
pub fn weight_gradient(g: &Geometry, fine: &[f32], coarse: &[f32], order: WeightOrder) -> Vec<f32> {
    if let Some(tile) = winograd::gradient_tile(g) {
        return winograd::weight_gradient(tile, g, fine, coarse, order);
    }
    direct::weight_gradient(g, fine, coarse, order)
}

/// Sum of rows of `channels` values; partial sums a block, added in block order.
pub fn channel_sum(values: &[f32], channels: usize) -> Vec<f32> {
    let partials: Vec<Vec<f32>> = values
        .par_chunks(CHANNEL_SUM_BLOCK * channels)
        .map(|block| {
            let mut sums = vec![0f32; channels];
            for row in block.chunks_exact(channels) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            sums
        })
        .collect();
    let mut total = vec![0f32; channels];
    for partial in partials {
        for (sum, value) in total.iter_mut().zip(partial) {
            *sum += value;
        }
    }
    total
}
