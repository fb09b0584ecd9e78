//! Normalisation on the CPU.
//!
//! Channels are innermost and may be few, so per-channel numbers are repeated to at least 64 floats and the inner loops
//! run over whole repeats. Work is cut into tasks of a fixed size; sums are f32 inside one block of
//! [`BLOCK_FLOATS`] (which stays in the first-level cache), f64 from block to block, in the order of the blocks.

use rayon::prelude::*;

use super::{Extent, Scope};
use crate::dense::collect_blocks;
use crate::multiversion::multiversion;

const REPEATED_FLOATS: usize = 64;
const BLOCK_FLOATS: usize = 8192;
const TASK_FLOATS: usize = 8 * BLOCK_FLOATS;

/// Mean and 1 / sqrt(var + eps) of each (sample, channel), `[samples * channels]`.
pub(super) struct Moments {
    mean: Vec<f32>,
    inverse_deviation: Vec<f32>,
}

/// One pass over `x`: block means and squared deviations, joined by Chan's formula.
pub(super) fn moments(x: &[f32], extent: Extent, scope: Scope, eps: f64) -> Moments {
    let c = extent.channels;
    let task = task_length(c);
    let partials: Vec<Vec<Spread>> = x
        .par_chunks(extent.rows * c)
        .map(|sample| sample.par_chunks(task).map(|values| spread_of(values, c)).collect())
        .collect();
    let joined: Vec<Spread> = partials.iter().map(|parts| parts.iter().fold(Spread::empty(c), Spread::join)).collect();

    let mut mean: Vec<f64> = joined.iter().flat_map(|spread| spread.mean.iter().copied()).collect();
    let own = mean.clone();
    average_over(scope, &mut mean, c);
    let mut variance: Vec<f64> = joined
        .iter()
        .flat_map(|spread| spread.squares.iter().map(|squares| squares / spread.rows))
        .zip(own.iter().zip(&mean))
        .map(|(variance, (own, shared))| variance + (own - shared).powi(2))
        .collect();
    average_over(scope, &mut variance, c);
    Moments {
        mean: mean.iter().map(|&value| value as f32).collect(),
        inverse_deviation: variance.iter().map(|value| (1.0 / (value + eps).sqrt()) as f32).collect(),
    }
}

/// y = act((x - mean) * scale + beta).
pub(super) fn forward(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    moments: &Moments,
    extent: Extent,
    slope: f32,
) -> Vec<f32> {
    let repeated: Vec<Repeated> = (0..extent.samples).map(|n| Repeated::new(moments, gamma, beta, n)).collect();
    let task = task_length(extent.channels);
    collect_blocks(x.len(), extent.rows * extent.channels, task, |n, start, y| {
        let repeated = &repeated[n];
        apply(&x[start..][..y.len()], &repeated.mean, &repeated.scale, &repeated.beta, slope, y);
    })
}

/// [`forward`] with its result written over x.
pub(super) fn forward_in_place(
    values: &mut [f32],
    gamma: &[f32],
    beta: &[f32],
    moments: &Moments,
    extent: Extent,
    slope: f32,
) {
    let task = task_length(extent.channels);
    values.par_chunks_mut(extent.rows * extent.channels).enumerate().for_each(|(n, sample)| {
        let repeated = Repeated::new(moments, gamma, beta, n);
        sample.par_chunks_mut(task).for_each(|values| {
            apply_in_place(values, &repeated.mean, &repeated.scale, &repeated.beta, slope);
        });
    });
}

/// What the backward pass reads.
pub(super) struct Backward<'a> {
    /// x, or the forward pass's result.
    pub(super) source: &'a [f32],
    pub(super) is_result: bool,
    pub(super) grad: &'a [f32],
    pub(super) gamma: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) moments: &'a Moments,
    pub(super) extent: Extent,
    pub(super) scope: Scope,
    pub(super) slope: f32,
}

/// Gradients of the three inputs; `x` is empty if it was not asked for.
pub(super) struct Gradients {
    pub(super) x: Vec<f32>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
}

impl Backward<'_> {
    pub(super) fn run(&self, with_x: bool) -> Gradients {
        let c = self.extent.channels;
        // Per (sample, channel): sum g and sum g * xhat, with g the gradient before the activation.
        let (sums, products) = self.sums();
        let total = |values: &[f64]| {
            let mut total = vec![0.0_f64; c];
            for sample in values.chunks(c) {
                total.iter_mut().zip(sample).for_each(|(total, value)| *total += value);
            }
            total.iter().map(|&value| value as f32).collect()
        };
        let (gamma, beta) = (total(&products), total(&sums));
        let x = if with_x { self.apply(sums, products) } else { Vec::new() };
        Gradients { x, gamma, beta }
    }

    fn sums(&self) -> (Vec<f64>, Vec<f64>) {
        let c = self.extent.channels;
        let sample = self.extent.rows * c;
        let partials: Vec<Vec<(Vec<f64>, Vec<f64>)>> = self
            .source
            .par_chunks(sample)
            .zip(self.grad.par_chunks(sample))
            .enumerate()
            .map(|(n, (source, grad))| {
                let repeated = self.repeated(n);
                let pairs = source.par_chunks(task_length(c)).zip(grad.par_chunks(task_length(c)));
                pairs.map(|(source, grad)| self.task_sums(source, grad, &repeated)).collect()
            })
            .collect();
        let mut sums = vec![0.0; self.extent.samples * c];
        let mut products = sums.clone();
        for (n, parts) in partials.iter().enumerate() {
            for (part_sums, part_products) in parts {
                for channel in 0..c {
                    sums[n * c + channel] += part_sums[channel];
                    let inverse = f64::from(self.moments.inverse_deviation[n * c + channel]);
                    products[n * c + channel] += part_products[channel] * inverse;
                }
            }
        }
        (sums, products)
    }

    /// dx = inv * (gamma g - mean(gamma g) - xhat mean(gamma g xhat)), means over the scope, written as
    /// direct * g + constant + (x - mean) * linear.
    fn apply(&self, mut sums: Vec<f64>, mut products: Vec<f64>) -> Vec<f32> {
        let (c, rows) = (self.extent.channels, self.extent.rows as f64);
        for (i, (sum, product)) in sums.iter_mut().zip(&mut products).enumerate() {
            *sum *= f64::from(self.gamma[i % c]) / rows;
            *product *= f64::from(self.gamma[i % c]) / rows;
        }
        average_over(self.scope, &mut sums, c);
        average_over(self.scope, &mut products, c);

        let repeated: Vec<(Repeated, Vec<f32>, Vec<f32>)> = (0..self.extent.samples)
            .map(|n| {
                let channels = n * c..(n + 1) * c;
                let inverse = &self.moments.inverse_deviation[channels.clone()];
                let times = |values: &[f64], power: i32| -> Vec<f32> {
                    let pairs = values.iter().zip(inverse);
                    pairs.map(|(value, &inverse)| (-value * f64::from(inverse).powi(power)) as f32).collect()
                };
                let constant = repeat(&times(&sums[channels.clone()], 1));
                let linear = repeat(&times(&products[channels], 2));
                (self.repeated(n), constant, linear)
            })
            .collect();
        collect_blocks(self.source.len(), self.extent.rows * c, task_length(c), |n, start, dx| {
            let (repeated, constant, linear) = &repeated[n];
            let (source, grad) = (&self.source[start..][..dx.len()], &self.grad[start..][..dx.len()]);
            let mut restored = vec![];
            let parts = source.chunks(block_length(c)).zip(grad.chunks(block_length(c)));
            for ((source, grad), dx) in parts.zip(dx.chunks_mut(block_length(c))) {
                let x = self.input(source, repeated, &mut restored);
                apply_backward(x, grad, repeated, constant, linear, self.slope, dx);
            }
        })
    }

    fn repeated(&self, sample: usize) -> Repeated {
        let mut repeated = Repeated::new(self.moments, self.gamma, self.beta, sample);
        if self.is_result {
            repeated.mean.fill(0.0);
        }
        repeated
    }

    /// A block of x; less its mean if it has to be found again from the result.
    fn input<'b>(&self, source: &'b [f32], repeated: &Repeated, restored: &'b mut Vec<f32>) -> &'b [f32] {
        if !self.is_result {
            return source;
        }
        restored.resize(source.len(), 0.0);
        undo(source, &repeated.scale, &repeated.beta, 1.0 / self.slope, restored);
        restored
    }

    fn task_sums(&self, source: &[f32], grad: &[f32], repeated: &Repeated) -> (Vec<f64>, Vec<f64>) {
        let channels = self.extent.channels;
        let (mut sums, mut products) = (vec![0.0; channels], vec![0.0; channels]);
        let (mut sum_repeats, mut product_repeats) =
            (vec![0.0; repeated_length(channels)], vec![0.0; repeated_length(channels)]);
        let mut restored = vec![];
        for (source, grad) in source.chunks(block_length(channels)).zip(grad.chunks(block_length(channels))) {
            let x = self.input(source, repeated, &mut restored);
            sum_repeats.fill(0.0);
            product_repeats.fill(0.0);
            add_products(x, grad, repeated, self.slope, &mut sum_repeats, &mut product_repeats);
            sums.iter_mut().zip(fold(&sum_repeats, channels)).for_each(|(sum, value)| *sum += value);
            products.iter_mut().zip(fold(&product_repeats, channels)).for_each(|(sum, value)| *sum += value);
        }
        (sums, products)
    }
}

/// The coefficients of one sample, repeated.
struct Repeated {
    mean: Vec<f32>,
    scale: Vec<f32>,
    beta: Vec<f32>,
}

impl Repeated {
    fn new(moments: &Moments, gamma: &[f32], beta: &[f32], sample: usize) -> Self {
        let channels = sample * gamma.len()..(sample + 1) * gamma.len();
        let inverse = &moments.inverse_deviation[channels.clone()];
        let scale: Vec<f32> = inverse.iter().zip(gamma).map(|(inverse, gamma)| inverse * gamma).collect();
        Self { mean: repeat(&moments.mean[channels]), scale: repeat(&scale), beta: repeat(beta) }
    }
}

/// Count, means and sums of squared deviations, one for each channel.
struct Spread {
    rows: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Spread {
    fn empty(channels: usize) -> Self {
        Self { rows: 0.0, mean: vec![0.0; channels], squares: vec![0.0; channels] }
    }

    /// Chan, Golub and LeVeque's update.
    fn join(mut self, other: &Self) -> Self {
        let rows = self.rows + other.rows;
        let (weight, cross) = (other.rows / rows, self.rows * other.rows / rows);
        for channel in 0..self.mean.len() {
            let step = other.mean[channel] - self.mean[channel];
            self.mean[channel] += step * weight;
            self.squares[channel] += other.squares[channel] + step * step * cross;
        }
        self.rows = rows;
        self
    }
}

fn spread_of(values: &[f32], channels: usize) -> Spread {
    let mut sums = vec![0.0; repeated_length(channels)];
    let mut total = Spread::empty(channels);
    for block in values.chunks(block_length(channels)) {
        let rows = (block.len() / channels) as f64;
        sums.fill(0.0);
        add(block, &mut sums);
        let mean: Vec<f64> = fold(&sums, channels).iter().map(|sum| sum / rows).collect();
        let rounded: Vec<f32> = mean.iter().map(|&mean| mean as f32).collect();
        sums.fill(0.0);
        add_squares(block, &repeat(&rounded), &mut sums);
        total = total.join(&Spread { rows, mean, squares: fold(&sums, channels) });
    }
    total
}

/// Replaces each value by the mean over those that share its statistics.
fn average_over(scope: Scope, values: &mut [f64], channels: usize) {
    match scope {
        Scope::Instance => {}
        Scope::Group { width } => {
            for group in values.chunks_mut(width) {
                let mean = group.iter().sum::<f64>() / width as f64;
                group.fill(mean);
            }
        }
        Scope::Batch => {
            let samples = values.len() / channels;
            for channel in 0..channels {
                let of_channel = || (0..samples).map(|n| n * channels + channel);
                let mean = of_channel().map(|i| values[i]).sum::<f64>() / samples as f64;
                of_channel().for_each(|i| values[i] = mean);
            }
        }
    }
}

fn task_length(channels: usize) -> usize {
    (TASK_FLOATS / channels).max(1) * channels
}

fn block_length(channels: usize) -> usize {
    (BLOCK_FLOATS / channels).max(1) * channels
}

fn repeated_length(channels: usize) -> usize {
    channels * REPEATED_FLOATS.div_ceil(channels)
}

fn repeat(values: &[f32]) -> Vec<f32> {
    values.iter().copied().cycle().take(repeated_length(values.len())).collect()
}

/// Sums the repeats of each channel.
fn fold(repeats: &[f32], channels: usize) -> Vec<f64> {
    let mut folded = vec![0.0; channels];
    for row in repeats.chunks(channels) {
        folded.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    folded
}

multiversion! {
    fn add(values: &[f32], sums: &mut [f32]) {
        for values in values.chunks(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        }
    }
}

multiversion! {
    fn add_squares(values: &[f32], mean: &[f32], sums: &mut [f32]) {
        for values in values.chunks(sums.len()) {
            for ((sum, value), mean) in sums.iter_mut().zip(values).zip(mean) {
                *sum += (value - mean) * (value - mean);
            }
        }
    }
}

multiversion! {
    fn apply(x: &[f32], mean: &[f32], scale: &[f32], beta: &[f32], slope: f32, y: &mut [f32]) {
        for (x, y) in x.chunks(mean.len()).zip(y.chunks_mut(mean.len())) {
            let coefficients = mean.iter().zip(scale).zip(beta);
            for ((y, x), ((mean, scale), beta)) in y.iter_mut().zip(x).zip(coefficients) {
                let value = (x - mean) * scale + beta;
                *y = if value > 0.0 { value } else { slope * value };
            }
        }
    }
}

multiversion! {
    fn apply_in_place(values: &mut [f32], mean: &[f32], scale: &[f32], beta: &[f32], slope: f32) {
        for values in values.chunks_mut(mean.len()) {
            let coefficients = mean.iter().zip(scale).zip(beta);
            for (x, ((mean, scale), beta)) in values.iter_mut().zip(coefficients) {
                let value = (*x - mean) * scale + beta;
                *x = if value > 0.0 { value } else { slope * value };
            }
        }
    }
}

multiversion! {
    /// x - mean of a result y.
    fn undo(y: &[f32], scale: &[f32], beta: &[f32], steepness: f32, centred: &mut [f32]) {
        for (y, centred) in y.chunks(scale.len()).zip(centred.chunks_mut(scale.len())) {
            for ((centred, y), (scale, beta)) in centred.iter_mut().zip(y).zip(scale.iter().zip(beta)) {
                let value = if *y > 0.0 { *y } else { steepness * y };
                *centred = (value - beta) / scale;
            }
        }
    }
}

multiversion! {
    fn add_products(x: &[f32], grad: &[f32], repeated: &Repeated, slope: f32, sums: &mut [f32], products: &mut [f32]) {
        for (x, grad) in x.chunks(sums.len()).zip(grad.chunks(sums.len())) {
            let coefficients = repeated.mean.iter().zip(&repeated.scale).zip(&repeated.beta);
            let targets = sums.iter_mut().zip(products.iter_mut());
            for (((x, grad), ((mean, scale), beta)), (sum, product)) in x.iter().zip(grad).zip(coefficients).zip(targets) {
                let centred = x - mean;
                let grad = if centred * scale + beta > 0.0 { *grad } else { slope * grad };
                *sum += grad;
                *product += grad * centred;
            }
        }
    }
}

multiversion! {
    fn apply_backward(
        x: &[f32],
        grad: &[f32],
        repeated: &Repeated,
        constant: &[f32],
        linear: &[f32],
        slope: f32,
        dx: &mut [f32],
    ) {
        let length = constant.len();
        for ((x, grad), dx) in x.chunks(length).zip(grad.chunks(length)).zip(dx.chunks_mut(length)) {
            let affine = repeated.mean.iter().zip(&repeated.scale).zip(&repeated.beta);
            let coefficients = affine.zip(constant.iter().zip(linear));
            for ((dx, (x, grad)), (((mean, scale), beta), (constant, linear))) in
                dx.iter_mut().zip(x.iter().zip(grad)).zip(coefficients)
            {
                let centred = x - mean;
                let grad = if centred * scale + beta > 0.0 { *grad } else { slope * grad };
                *dx = scale * grad + constant + centred * linear;
            }
        }
    }
}
