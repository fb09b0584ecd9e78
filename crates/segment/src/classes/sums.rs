//! Weighted sums of overlapping windows, rounded to f16 after each, as nnunetv2 keeps them.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::error::ClassError;
use super::rounding::update;
use super::windows::Windows;

/// Values that one task works on.
const BLOCK: usize = 1 << 14;

/// Sums over the image; what windows say of the zeros around it is left out.
pub(super) struct Sums<'a> {
    windows: &'a Windows,
    /// The weights of a window, `[z, y, x]`.
    gaussian: &'a [f16],
    outputs: usize,
    /// `[z, y, x, o]`
    values: Vec<f16>,
    /// `[z, y, x]`
    weights: Vec<f16>,
}

impl<'a> Sums<'a> {
    /// Nothing yet.
    pub(super) fn new(windows: &'a Windows, gaussian: &'a [f16], outputs: usize) -> Self {
        let voxels: usize = windows.shape.iter().product();
        let (values, weights) = (vec![f16::ZERO; voxels * outputs], vec![f16::ZERO; voxels]);
        Self { windows, gaussian, outputs, values, weights }
    }

    /// Adds a window's logits: `sum = f16(sum + logit · weight)`, the product rounded to f32.
    ///
    /// # Shapes
    /// `logits`: `[z, y, x, o]` of the window.
    pub(super) fn add(&mut self, logits: &[f32], start: [usize; 3]) {
        let Self { windows, gaussian, outputs, values, weights } = self;
        let (outputs, [_, patch_y, patch_x]) = (*outputs, windows.patch);
        let [_, height, width] = windows.shape;
        let [zs, ys, xs] = [0, 1, 2].map(|axis| windows.overlap(start, axis));
        let planes = values.par_chunks_mut(height * width * outputs).zip(weights.par_chunks_mut(height * width));
        let planes = planes.skip(zs.image).take(zs.len).enumerate();
        planes.for_each_init(<(Vec<f32>, Vec<f32>)>::default, |(buffer, bell), (index, (values, weights))| {
            bell.resize(xs.len, 0.0);
            for y in 0..ys.len {
                let row = (ys.image + y) * width + xs.image;
                let from = ((zs.window + index) * patch_y + ys.window + y) * patch_x + xs.window;
                let gaussian = &gaussian[from..from + xs.len];
                gaussian.convert_to_f32_slice(bell);
                let logits = &logits[from * outputs..(from + xs.len) * outputs];
                update(&mut values[row * outputs..(row + xs.len) * outputs], buffer, |sums| {
                    let voxels = sums.chunks_exact_mut(outputs).zip(logits.chunks_exact(outputs));
                    for ((sums, logits), weight) in voxels.zip(&*bell) {
                        sums.iter_mut().zip(logits).for_each(|(sum, logit)| *sum += logit * weight);
                    }
                });
                update(&mut weights[row..row + xs.len], buffer, |sums| {
                    sums.iter_mut().zip(&*bell).for_each(|(sum, weight)| *sum += weight);
                });
            }
        });
    }

    /// The weighted mean, rounded to f16.
    ///
    /// # Shapes
    /// → `[z, y, x, o]`.
    ///
    /// # Errors
    /// [`ClassError::Overflow`] where a sum is infinite.
    pub(super) fn finish(self) -> Result<Vec<f16>, ClassError> {
        let Self { outputs, mut values, weights, .. } = self;
        let blocks = values.par_chunks_mut(BLOCK * outputs).zip(weights.par_chunks(BLOCK));
        let count = blocks
            .map_init(Vec::new, |buffer, (values, weights)| {
                update(values, buffer, |sums| {
                    for (sums, weight) in sums.chunks_exact_mut(outputs).zip(weights) {
                        let weight = weight.to_f32();
                        for sum in sums.iter_mut() {
                            *sum /= weight;
                        }
                    }
                });
                values.iter().filter(|value| value.is_infinite()).count()
            })
            .sum();
        if count > 0 { Err(ClassError::Overflow { count }) } else { Ok(values) }
    }
}

/// Adds the logits of another fold, rounded to f16.
pub(super) fn add_fold(sum: &mut [f16], fold: &[f16]) {
    let blocks = sum.par_chunks_mut(BLOCK).zip(fold.par_chunks(BLOCK));
    blocks.for_each_init(<(Vec<f32>, Vec<f32>)>::default, |(buffer, other), (sum, fold)| {
        other.resize(fold.len(), 0.0);
        fold.convert_to_f32_slice(other);
        update(sum, buffer, |sum| sum.iter_mut().zip(&*other).for_each(|(sum, value)| *sum += value));
    });
}

/// Divides the sum of folds by their number, rounded to f16.
pub(super) fn divide_folds(sum: &mut [f16], folds: usize) {
    let folds = folds as f32;
    sum.par_chunks_mut(BLOCK).for_each_init(Vec::new, |buffer, sum| {
        update(sum, buffer, |sum| sum.iter_mut().for_each(|sum| *sum /= folds));
    });
}
