//! Skeleton recall: how much of the centrelines is found, masked (Kirchhoff et al., "Skeleton recall loss for
//! connectivity conserving and resource efficient segmentation of thin tubular structures", ECCV 2024, arXiv
//! 2404.03010).
//!
//! For a prompt with logits z, p = σ(z) and s = 1 on the reference's skeleton, dilated twice inside the vessel:
//!
//! ```text
//! recall loss = 1 − Σ p s / Σ s        loss = weight · mean over prompts with Σ s > 0 of w · recall loss
//! ```
//!
//! Sums run over the batch. Only scales whose targets hold centrelines have this loss, which is the finest.

use pulmoav_ops::loss as ops;
use rayon::prelude::*;

use super::device::grouped;
use super::scale::{BLOCK, Loss, MapSlopes, MapSums, Part, Scale, TargetLoss};
use crate::error::TrainError;
use crate::range::within;

/// The settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct SkeletonRecall {
    /// Its weight.
    pub(super) weight: f64,
}

/// Σ p s and Σ s of one prompt.
#[derive(Clone, Copy, Default)]
struct Sums {
    found: f64,
    voxels: u64,
}

impl Loss for SkeletonRecall {
    fn validate(&self) -> Result<(), TrainError> {
        within("loss.skeletonRecall", self.weight, 0.0, 1e3)
    }

    fn compute(&self, scale: &Scale<'_>) -> Part {
        let prompts = scale.prompts();
        let line = &scale.targets.centreline;
        let sums = if line.is_empty() { vec![Sums::default(); prompts] } else { sums(scale) };
        let (part, slopes) = self.part(scale, &sums);
        let mut gradient = vec![0.0f32; scale.logits.len()];
        if !line.is_empty() {
            let block = BLOCK * prompts;
            let blocks = gradient.par_chunks_mut(block).zip(scale.logits.par_chunks(block)).zip(line.par_chunks(block));
            blocks.for_each(|((gradient, logits), line)| {
                let voxels = gradient.iter_mut().zip(logits).zip(line).zip(slopes.iter().cycle());
                for (((gradient, &z), _), slope) in voxels.filter(|((_, on), _)| **on) {
                    let p = sigmoid(z);
                    *gradient = slope * p * (1.0 - p);
                }
            });
        }
        Part { gradient, ..part }
    }

    fn conclude(&self, scale: &Scale<'_>, sums: &[MapSums]) -> (Part, Vec<MapSlopes>) {
        let of_batch = grouped(sums, scale.prompts(), 1);
        let own = |sums: &MapSums| Sums { found: sums.voxels.line_found, voxels: sums.voxels.line_voxels as u64 };
        let (part, slopes) = self.part(scale, &of_batch.iter().map(own).collect::<Vec<_>>());
        let slopes = slopes
            .into_iter()
            .map(|line| MapSlopes { voxels: ops::Slopes { line, ..ops::Slopes::default() }, ..MapSlopes::default() });
        (part, slopes.cycle().take(sums.len()).collect())
    }
}

impl SkeletonRecall {
    /// What the sums of each prompt come to, without the gradient, and the slope of each prompt.
    fn part(self, scale: &Scale<'_>, sums: &[Sums]) -> (Part, Vec<f32>) {
        let shares = scale.shares(sums.iter().map(|sums| sums.voxels > 0));
        let losses: Vec<f64> = sums.iter().map(|sums| 1.0 - sums.found / sums.voxels as f64).collect();
        let known = || losses.iter().zip(&shares).filter(|(loss, _)| loss.is_finite());
        let mean: f64 = known().map(|(loss, share)| share * loss).sum();
        let slopes: Vec<f32> = sums
            .iter()
            .zip(&shares)
            .map(|(sums, share)| if sums.voxels > 0 { (-self.weight * share / sums.voxels as f64) as f32 } else { 0.0 })
            .collect();
        let targets = losses.iter().zip(sums).map(|(loss, sums)| TargetLoss {
            value: if loss.is_finite() { self.weight * loss } else { 0.0 },
            voxels: sums.voxels,
        });
        let (targets, terms) = (targets.collect(), vec![("skeletonRecall", scale.unweighted(mean))]);
        (Part { value: self.weight * mean, gradient: Vec::new(), targets, terms }, slopes)
    }
}

/// Sums of each prompt, block by block in their order.
fn sums(scale: &Scale<'_>) -> Vec<Sums> {
    let prompts = scale.prompts();
    let block = BLOCK * prompts;
    let parts: Vec<Vec<Sums>> = scale
        .logits
        .par_chunks(block)
        .zip(scale.targets.centreline.par_chunks(block))
        .map(|(logits, line)| {
            let mut sums = vec![Sums::default(); prompts];
            for (logits, line) in logits.chunks_exact(prompts).zip(line.chunks_exact(prompts)) {
                for ((&z, _), sum) in logits.iter().zip(line).zip(&mut sums).filter(|((_, on), _)| **on) {
                    sum.found += f64::from(sigmoid(z));
                    sum.voxels += 1;
                }
            }
            sums
        })
        .collect();
    let mut all = vec![Sums::default(); prompts];
    for part in parts.iter().flatten().zip((0..prompts).cycle()) {
        let (part, prompt) = part;
        all[prompt].found += part.found;
        all[prompt].voxels += part.voxels;
    }
    all
}

fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::conformance::{Golden, goldens};

    #[test]
    fn equals_the_formula() {
        for golden in goldens() {
            let Golden { shape, logits, weight, .. } = &golden;
            let (targets, prompts) = (golden.targets(), shape[4]);
            let scale = Scale { logits, targets: &targets, maps: &vec![1.0; prompts], weight: *weight };
            let loss = SkeletonRecall { weight: 0.5 }.compute(&scale);
            let recall = |prompt: usize| {
                let on = (prompt..logits.len()).step_by(prompts).filter(|&i| targets.centreline[i]);
                let found: f64 = on.clone().map(|i| f64::from(1.0 / (1.0 + (-logits[i]).exp()))).sum();
                (on.clone().count() > 0).then(|| 1.0 - found / on.count() as f64)
            };
            let known: Vec<f64> = (0..prompts).filter_map(recall).collect();
            let expected = 0.5 * weight * known.iter().sum::<f64>() / known.len() as f64;
            assert!((loss.value - expected).abs() < 1e-9, "{} {expected}", loss.value);
        }
    }
}
