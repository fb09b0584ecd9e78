//! Attention on the CPU. A *unit* is one head of one sample; units (and forward, blocks of queries) run in parallel.

use rayon::prelude::*;

use super::{AttentionMask, Extent};
use crate::elementary::{exp, lane_dot, lane_sum};
use crate::multiversion::multiversion;

const QUERY_BLOCK: usize = 16;

/// q, k and v with heads moved outwards: `[samples * heads, tokens, width]`.
pub(super) struct Inputs {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    extent: Extent,
    scale: f32,
}

impl Inputs {
    pub(super) fn new(q: &[f32], k: &[f32], v: &[f32], extent: Extent) -> Self {
        let Extent { queries, keys, width, .. } = extent;
        Self {
            q: heads_outwards(q, extent, queries),
            k: heads_outwards(k, extent, keys),
            v: heads_outwards(v, extent, keys),
            extent,
            scale: 1.0 / (width as f32).sqrt(),
        }
    }
}

/// The output, `[samples, queries, heads * width]`.
pub(super) fn forward(inputs: &Inputs, mask: &AttentionMask) -> Vec<f32> {
    let Extent { heads, queries, keys, width, .. } = inputs.extent;
    let mut out = vec![0.0; inputs.q.len()];
    out.par_chunks_mut(queries * width).enumerate().for_each(|(unit, out)| {
        let q = &inputs.q[unit * queries * width..][..queries * width];
        let k = &inputs.k[unit * keys * width..][..keys * width];
        let v = &inputs.v[unit * keys * width..][..keys * width];
        out.par_chunks_mut(QUERY_BLOCK * width).enumerate().for_each(|(block, out)| {
            let mut weights = vec![0.0; keys];
            for (i, out) in out.chunks_exact_mut(width).enumerate() {
                let query = block * QUERY_BLOCK + i;
                let seen = Seen::new(mask, unit / heads, query, keys);
                let weights = &mut weights[..seen.count];
                attend(&q[query * width..][..width], seen.rows(k, width), inputs.scale, seen, weights);
                weighted_sum(weights, seen.rows(v, width), out);
            }
        });
    });
    heads_inwards(&out, inputs.extent, queries)
}

/// Gradients of q, k and v, `[samples, tokens, heads * width]`.
pub(super) fn backward(inputs: &Inputs, mask: &AttentionMask, grad: &[f32]) -> [Vec<f32>; 3] {
    let Extent { heads, queries, keys, width, .. } = inputs.extent;
    let grad = heads_outwards(grad, inputs.extent, queries);
    let (mut dq, mut dk, mut dv) = (vec![0.0; inputs.q.len()], vec![0.0; inputs.k.len()], vec![0.0; inputs.v.len()]);
    dq.par_chunks_mut(queries * width)
        .zip(dk.par_chunks_mut(keys * width).zip(dv.par_chunks_mut(keys * width)))
        .enumerate()
        .for_each(|(unit, (dq, (dk, dv)))| {
            let k = &inputs.k[unit * keys * width..][..keys * width];
            let v = &inputs.v[unit * keys * width..][..keys * width];
            let (mut weights, mut slopes) = (vec![0.0; keys], vec![0.0; keys]);
            for (i, dq) in dq.chunks_exact_mut(width).enumerate() {
                let q = &inputs.q[(unit * queries + i) * width..][..width];
                let grad = &grad[(unit * queries + i) * width..][..width];
                let seen = Seen::new(mask, unit / heads, i, keys);
                let (weights, slopes) = (&mut weights[..seen.count], &mut slopes[..seen.count]);
                attend(q, seen.rows(k, width), inputs.scale, seen, weights);
                dots(grad, seen.rows(v, width), 1.0, slopes);
                softmax_backward(weights, inputs.scale, slopes);
                weighted_sum(slopes, seen.rows(k, width), dq);
                add_outer(slopes, q, &mut dk[seen.first * width..]);
                add_outer(weights, grad, &mut dv[seen.first * width..]);
            }
        });
    [
        heads_inwards(&dq, inputs.extent, queries),
        heads_inwards(&dk, inputs.extent, keys),
        heads_inwards(&dv, inputs.extent, keys),
    ]
}

/// The keys that one query may see: `count` from `first` on, of those the marked ones.
#[derive(Clone, Copy)]
struct Seen<'a> {
    first: usize,
    count: usize,
    marked: Option<&'a [bool]>,
}

impl<'a> Seen<'a> {
    fn new(mask: &'a AttentionMask, sample: usize, query: usize, keys: usize) -> Self {
        let until = |first: usize, end: usize| Self { first, count: end - first, marked: None };
        match mask {
            AttentionMask::None => until(0, keys),
            AttentionMask::Causal => until(0, query + 1),
            AttentionMask::CausalFrom(first) => until(first[query], query + 1),
            AttentionMask::Keys(marked) => Self { marked: Some(&marked[sample * keys..][..keys]), ..until(0, keys) },
        }
    }

    /// The rows of these keys among all.
    fn rows<'b>(&self, values: &'b [f32], width: usize) -> &'b [f32] {
        &values[self.first * width..][..self.count * width]
    }
}

/// The softmax weights of one query over the keys that it may see, `k`; zeros for those not marked.
fn attend(q: &[f32], k: &[f32], scale: f32, seen: Seen, weights: &mut [f32]) {
    dots(q, k, scale, weights);
    let Some(marked) = seen.marked else {
        return softmax(weights);
    };
    // Hidden keys get the lowest score that keeps the arithmetic finite, then weight zero exactly.
    let lowest = weights.iter().zip(marked).filter(|(_, seen)| **seen).map(|(score, _)| *score).reduce(f32::min);
    let Some(lowest) = lowest else {
        weights.fill(0.0);
        return;
    };
    weights.iter_mut().zip(marked).filter(|(_, seen)| !**seen).for_each(|(score, _)| *score = lowest);
    exponentials(weights);
    weights.iter_mut().zip(marked).filter(|(_, seen)| !**seen).for_each(|(weight, _)| *weight = 0.0);
    divide_by_sum(weights);
}

fn softmax(scores: &mut [f32]) {
    exponentials(scores);
    divide_by_sum(scores);
}

multiversion! {
    fn exponentials(scores: &mut [f32]) {
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
        for score in scores.iter_mut() {
            *score = exp(*score - highest);
        }
    }
}

multiversion! {
    fn divide_by_sum(weights: &mut [f32]) {
        let sum = lane_sum(weights);
        for weight in weights.iter_mut() {
            *weight /= sum;
        }
    }
}

multiversion! {
    /// `out[j] = scale * (a . rows[j])`, for as many rows as `out` holds.
    fn dots(a: &[f32], rows: &[f32], scale: f32, out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(rows.chunks_exact(a.len())) {
            *out = scale * lane_dot(a, row);
        }
    }
}

multiversion! {
    /// `out = sum_j weights[j] * rows[j]`.
    fn weighted_sum(weights: &[f32], rows: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for (weight, row) in weights.iter().zip(rows.chunks_exact(out.len())) {
            for (out, value) in out.iter_mut().zip(row) {
                *out += weight * value;
            }
        }
    }
}

multiversion! {
    /// `rows[j] += weights[j] * a`.
    fn add_outer(weights: &[f32], a: &[f32], rows: &mut [f32]) {
        for (weight, row) in weights.iter().zip(rows.chunks_exact_mut(a.len())) {
            for (value, a) in row.iter_mut().zip(a) {
                *value += weight * a;
            }
        }
    }
}

multiversion! {
    /// From the gradient of the weights to that of the unscaled scores, in place.
    fn softmax_backward(weights: &[f32], scale: f32, slopes: &mut [f32]) {
        let mean = lane_dot(weights, slopes);
        for (slope, weight) in slopes.iter_mut().zip(weights) {
            *slope = weight * (*slope - mean) * scale;
        }
    }
}

/// `[samples, tokens, heads, width]` → `[samples, heads, tokens, width]`.
fn heads_outwards(values: &[f32], extent: Extent, tokens: usize) -> Vec<f32> {
    let Extent { heads, width, .. } = extent;
    let mut moved = vec![0.0; values.len()];
    moved.par_chunks_mut(tokens * width).enumerate().for_each(|(unit, moved)| {
        let (sample, head) = (unit / heads, unit % heads);
        for (token, row) in moved.chunks_exact_mut(width).enumerate() {
            row.copy_from_slice(&values[((sample * tokens + token) * heads + head) * width..][..width]);
        }
    });
    moved
}

/// `[samples, heads, tokens, width]` → `[samples, tokens, heads, width]`.
fn heads_inwards(values: &[f32], extent: Extent, tokens: usize) -> Vec<f32> {
    let Extent { heads, width, .. } = extent;
    let mut moved = vec![0.0; values.len()];
    moved.par_chunks_mut(heads * width).enumerate().for_each(|(row, moved)| {
        let (sample, token) = (row / tokens, row % tokens);
        for (head, part) in moved.chunks_exact_mut(width).enumerate() {
            part.copy_from_slice(&values[((sample * heads + head) * tokens + token) * width..][..width]);
        }
    });
    moved
}
