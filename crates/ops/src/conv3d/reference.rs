//! The plain convolution that every kernel is tested against: one loop a formula, sums in f64.
//!
//! Weight indices: `weight[(k · a + i) · b + j]`, see [`WeightOrder`].

use super::geometry::{Geometry, WeightOrder};

/// `coarse[q, j] = bias[j] + Σ_k Σ_i fine[q·stride + k − padding, i] · w[k, i, j]`.
pub fn to_coarse(g: &Geometry, fine: &[f32], weight: &[f32], order: WeightOrder, bias: Option<&[f32]>) -> Vec<f32> {
    let mut sums = sums_of(bias, g.batch * g.coarse.iter().product::<usize>(), g.coarse_channels);
    for_each_pair(g, |fine_voxel, coarse_voxel, tap| {
        for i in 0..g.fine_channels {
            for j in 0..g.coarse_channels {
                sums[coarse_voxel * g.coarse_channels + j] +=
                    f64::from(fine[fine_voxel * g.fine_channels + i]) * f64::from(weight[at(g, order, tap, i, j)]);
            }
        }
    });
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// `fine[p, i] = bias[i] + Σ over q, k with p = q·stride + k − padding, Σ_j coarse[q, j] · w[k, i, j]`.
pub fn to_fine(g: &Geometry, coarse: &[f32], weight: &[f32], order: WeightOrder, bias: Option<&[f32]>) -> Vec<f32> {
    let mut sums = sums_of(bias, g.batch * g.fine.iter().product::<usize>(), g.fine_channels);
    for_each_pair(g, |fine_voxel, coarse_voxel, tap| {
        for i in 0..g.fine_channels {
            for j in 0..g.coarse_channels {
                sums[fine_voxel * g.fine_channels + i] += f64::from(coarse[coarse_voxel * g.coarse_channels + j])
                    * f64::from(weight[at(g, order, tap, i, j)]);
            }
        }
    });
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// `weight[k, i, j] = Σ_q fine[q·stride + k − padding, i] · coarse[q, j]`.
pub fn weight_gradient(g: &Geometry, fine: &[f32], coarse: &[f32], order: WeightOrder) -> Vec<f32> {
    let mut sums = vec![0f64; g.taps() * g.fine_channels * g.coarse_channels];
    for_each_pair(g, |fine_voxel, coarse_voxel, tap| {
        for i in 0..g.fine_channels {
            for j in 0..g.coarse_channels {
                sums[at(g, order, tap, i, j)] += f64::from(fine[fine_voxel * g.fine_channels + i])
                    * f64::from(coarse[coarse_voxel * g.coarse_channels + j]);
            }
        }
    });
    sums.into_iter().map(|sum| sum as f32).collect()
}

fn sums_of(bias: Option<&[f32]>, voxels: usize, channels: usize) -> Vec<f64> {
    match bias {
        Some(bias) => (0..voxels).flat_map(|_| bias.iter().map(|&b| f64::from(b))).collect(),
        None => vec![0.0; voxels * channels],
    }
}

fn at(g: &Geometry, order: WeightOrder, tap: usize, i: usize, j: usize) -> usize {
    match order {
        WeightOrder::FineCoarse => (tap * g.fine_channels + i) * g.coarse_channels + j,
        WeightOrder::CoarseFine => (tap * g.coarse_channels + j) * g.fine_channels + i,
    }
}

/// Calls `visit(fine voxel, coarse voxel, tap)` for every product that a convolution forms.
fn for_each_pair(g: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let [kd, kh, kw] = g.kernel;
    let [d, h, w] = g.coarse;
    for coarse_voxel in 0..g.batch * d * h * w {
        let (n, q) = (coarse_voxel / (d * h * w), [coarse_voxel / (h * w) % d, coarse_voxel / w % h, coarse_voxel % w]);
        for tap in 0..kd * kh * kw {
            let k = [tap / (kh * kw), tap / kw % kh, tap % kw];
            let p = [0, 1, 2].map(|axis| (q[axis] * g.stride[axis] + k[axis]).wrapping_sub(g.padding[axis]));
            if (0..3).all(|axis| p[axis] < g.fine[axis]) {
                let fine_voxel = ((n * g.fine[0] + p[0]) * g.fine[1] + p[1]) * g.fine[2] + p[2];
                visit(fine_voxel, coarse_voxel, tap);
            }
        }
    }
}
