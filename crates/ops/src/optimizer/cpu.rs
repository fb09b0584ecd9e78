//! The plain loops, block by block.

use rayon::prelude::*;

use super::Rule;

/// Values a block: never depends on the number of threads.
const BLOCK: usize = 16_384;

/// `second` is as long as the others, or empty where there is no second moment.
pub(super) fn update(
    weights: &mut [f32],
    gradient: &[f32],
    clip: f32,
    rule: Rule,
    first: &mut [f32],
    second: &mut [f32],
) {
    let blocks = weights.par_chunks_mut(BLOCK).zip(gradient.par_chunks(BLOCK)).zip(first.par_chunks_mut(BLOCK));
    if second.is_empty() {
        blocks.for_each(|((weights, gradient), first)| rule.update(weights, gradient, clip, first, &mut []));
    } else {
        blocks.zip(second.par_chunks_mut(BLOCK)).for_each(|(((weights, gradient), first), second)| {
            rule.update(weights, gradient, clip, first, second);
        });
    }
}

impl Rule {
    /// One block.
    fn update(self, weights: &mut [f32], gradient: &[f32], clip: f32, first: &mut [f32], second: &mut [f32]) {
        match self {
            Self::Adamw { keep, beta1, beta2, step_size, second_root, epsilon } => {
                for i in 0..weights.len() {
                    let g = gradient[i] * clip;
                    first[i] = beta1 * first[i] + (1.0 - beta1) * g;
                    second[i] = beta2 * second[i] + (1.0 - beta2) * g * g;
                    let denominator = second[i].sqrt() / second_root + epsilon;
                    weights[i] = weights[i] * keep - step_size * first[i] / denominator;
                }
            }
            Self::Sgd { rate, momentum, decay } => {
                for ((weight, gradient), first) in weights.iter_mut().zip(gradient).zip(first) {
                    let g = gradient * clip + decay * *weight;
                    *first = momentum * *first + g;
                    *weight -= rate * (g + momentum * *first);
                }
            }
        }
    }
}

/// The sum of squares; partial sums a block, added in order.
pub(super) fn squares(values: &[f32]) -> f64 {
    let partial: Vec<f64> =
        values.par_chunks(BLOCK).map(|block| block.iter().map(|&g| f64::from(g) * f64::from(g)).sum()).collect();
    partial.into_iter().sum::<f64>()
}

pub(super) fn follow(means: &mut [f32], weights: &[f32], share: f32) {
    means.par_chunks_mut(BLOCK).zip(weights.par_chunks(BLOCK)).for_each(|(means, weights)| {
        means.iter_mut().zip(weights).for_each(|(mean, weight)| *mean += share * (weight - *mean));
    });
}
