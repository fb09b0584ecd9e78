//! Layer norm on the CPU: rows in parallel blocks of a fixed size.

use rayon::prelude::*;

use crate::elementary::{lane_dot, lane_sum};
use crate::multiversion::multiversion;

const BLOCK_FLOATS: usize = 1 << 14;

pub(super) fn forward(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let block = BLOCK_FLOATS.div_ceil(gamma.len()) * gamma.len();
    y.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(y, x)| forward_rows(x, gamma, beta, eps, y));
    y
}

/// Gradients of x, gamma and beta.
pub(super) fn backward(x: &[f32], gamma: &[f32], grad: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let c = gamma.len();
    let block = BLOCK_FLOATS.div_ceil(c) * c;
    let mut dx = vec![0.0; x.len()];
    let partials: Vec<(Vec<f32>, Vec<f32>)> = dx
        .par_chunks_mut(block)
        .zip(x.par_chunks(block).zip(grad.par_chunks(block)))
        .map(|(dx, (x, grad))| {
            let (mut dgamma, mut dbeta) = (vec![0.0; c], vec![0.0; c]);
            backward_rows(x, gamma, grad, eps, dx, &mut dgamma, &mut dbeta);
            (dgamma, dbeta)
        })
        .collect();
    let (mut dgamma, mut dbeta) = (vec![0.0_f64; c], vec![0.0_f64; c]);
    for (part_gamma, part_beta) in &partials {
        dgamma.iter_mut().zip(part_gamma).for_each(|(sum, &part)| *sum += f64::from(part));
        dbeta.iter_mut().zip(part_beta).for_each(|(sum, &part)| *sum += f64::from(part));
    }
    let rounded = |sums: Vec<f64>| sums.iter().map(|&sum| sum as f32).collect();
    (dx, rounded(dgamma), rounded(dbeta))
}

multiversion! {
    fn forward_rows(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
        let c = gamma.len();
        for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
            let inverse = normalise(x, eps, y);
            for (y, (gamma, beta)) in y.iter_mut().zip(gamma.iter().zip(beta)) {
                *y = *y * inverse * gamma + beta;
            }
        }
    }
}

multiversion! {
    fn backward_rows(
        x: &[f32],
        gamma: &[f32],
        grad: &[f32],
        eps: f32,
        dx: &mut [f32],
        dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) {
        let c = gamma.len();
        let (mut normal, mut scaled) = (vec![0.0; c], vec![0.0; c]);
        for ((x, grad), dx) in x.chunks_exact(c).zip(grad.chunks_exact(c)).zip(dx.chunks_exact_mut(c)) {
            let inverse = normalise(x, eps, &mut normal);
            for i in 0..c {
                normal[i] *= inverse;
                scaled[i] = grad[i] * gamma[i];
                dgamma[i] += grad[i] * normal[i];
                dbeta[i] += grad[i];
            }
            let mean = lane_sum(&scaled) / c as f32;
            let slope = lane_dot(&scaled, &normal) / c as f32;
            for i in 0..c {
                dx[i] = inverse * (scaled[i] - mean - normal[i] * slope);
            }
        }
    }
}

/// Writes x - mean to `centred` and returns 1 / sqrt(var + eps).
#[allow(clippy::inline_always)]
#[inline(always)]
fn normalise(x: &[f32], eps: f32, centred: &mut [f32]) -> f32 {
    let mean = lane_sum(x) / x.len() as f32;
    for (centred, x) in centred.iter_mut().zip(x) {
        *centred = x - mean;
    }
    1.0 / (lane_dot(centred, centred) / x.len() as f32 + eps).sqrt()
}
