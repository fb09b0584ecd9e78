//! Updates on the CPU, in parallel blocks.

use rayon::prelude::*;

use super::Rule;

/// Values a block: never depends on the number of threads.
const BLOCK: usize = 16_384;

/// Sum of squares; partial sums a block, added in order.
pub(super) fn squares(values: &[f32]) -> f64 {
    let of_block = |block: &[f32]| block.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
    let partial: Vec<f64> = values.par_chunks(BLOCK).map(of_block).collect();
    partial.into_iter().sum()
}

/// mean += share · (weight − mean).
pub(super) fn follow(means: &mut [f32], weights: &[f32], share: f32) {
    let blocks = means.par_chunks_mut(BLOCK).zip(weights.par_chunks(BLOCK));
    blocks.for_each(|(means, weights)| {
        means.iter_mut().zip(weights).for_each(|(mean, weight)| *mean += share * (weight - *mean));
    });
}

/// `second` is as long as the others, or empty where there is no second moment.
pub(super) fn update(
    weights: &mut [f32],
    gradient: &[f32],
    clip: f32,
    first: &mut [f32],
    second: &mut [f32],
    rule: Rule,
) {
    let blocks = weights.par_chunks_mut(BLOCK).zip(gradient.par_chunks(BLOCK)).zip(first.par_chunks_mut(BLOCK));
    if second.is_empty() {
        blocks.for_each(|((weights, gradient), first)| block(weights, gradient, clip, first, &mut [], rule));
    } else {
        blocks.zip(second.par_chunks_mut(BLOCK)).for_each(|(((weights, gradient), first), second)| {
            block(weights, gradient, clip, first, second, rule);
        });
    }
}

fn block(weights: &mut [f32], gradient: &[f32], clip: f32, first: &mut [f32], second: &mut [f32], rule: Rule) {
    match rule {
        Rule::Adamw { keep, beta1, beta2, step_size, second_root, epsilon } => {
            for i in 0..weights.len() {
                let g = gradient[i] * clip;
                first[i] = beta1 * first[i] + (1.0 - beta1) * g;
                second[i] = beta2 * second[i] + (1.0 - beta2) * g * g;
                let denominator = second[i].sqrt() / second_root + epsilon;
                weights[i] = weights[i] * keep - step_size * first[i] / denominator;
            }
        }
        Rule::Sgd { rate, momentum, decay } => {
            for ((weight, gradient), first) in weights.iter_mut().zip(gradient).zip(first) {
                let g = gradient * clip + decay * *weight;
                *first = momentum * *first + g;
                *weight -= rate * (g + momentum * *first);
            }
        }
    }
}
