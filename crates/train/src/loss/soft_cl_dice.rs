//! Soft clDice: how much of each centreline lies in the other's vessels, masked (Shit et al., "clDice – a novel
//! topology-preserving loss function for tubular structure segmentation", CVPR 2021, arXiv 2003.07311).
//!
//! For a prompt with logits z, p = σ(z), targets t, the soft skeleton S of p and s = 1 on the reference's own skeleton,
//! dilated twice inside the vessel:
//!
//! ```text
//! precision = (Σ S t + 1) / (Σ S + 1)        recall = (Σ p s + 1) / (Σ s + 1)
//! loss = weight · mean over prompts with Σ s > 0 of w · (1 − 2 precision recall / (precision + recall))
//! ```
//!
//! Soft skeletons are those of [`pulmoav_ops::skeleton`]. Sums run over the supervised voxels of the batch. What is ignored shapes S beside it, but has no gradient. Only
//! scales whose targets hold centrelines have this loss, which is the finest.

use pulmoav_ops::skeleton::{SkeletonSlopes, SoftSkeleton};

use rayon::prelude::*;

use super::device::grouped;
use super::scale::{Loss, MapSlopes, MapSums, Part, Scale, TargetLoss};
use crate::code::{FULL, IGNORED};
use crate::error::TrainError;
use crate::range::within;

/// The settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct SoftClDice {
    /// Its weight.
    pub(super) weight: f64,
}

/// Sums of one prompt.
#[derive(Clone, Copy, Default)]
struct Sums {
    /// Σ S.
    skeleton: f64,
    /// Σ S t.
    right: f64,
    /// Σ p s.
    found: f64,
    /// Σ s.
    voxels: u64,
}

/// What one prompt's loss is, and how steeply it depends on its sums.
#[derive(Clone, Copy, Default)]
struct Slopes {
    value: f64,
    by_skeleton: f64,
    by_right: f64,
    by_found: f64,
}

impl Loss for SoftClDice {
    fn validate(&self) -> Result<(), TrainError> {
        within("loss.softClDice", self.weight, 0.0, 1e3)
    }

    fn compute(&self, scale: &Scale<'_>) -> Part {
        let prompts = scale.prompts();
        let sums = if scale.targets.centreline.is_empty() { vec![Sums::default(); prompts] } else { sums(scale) };
        let (part, slopes, weights) = self.part(scale, &sums);
        let mut gradient = vec![0.0f32; scale.logits.len()];
        let sample = (gradient.len() / scale.targets.shape[0].max(1)).max(1);
        for (number, gradient) in gradient.chunks_mut(sample).enumerate() {
            let maps: Vec<Option<Vec<f32>>> = (0..prompts)
                .into_par_iter()
                .map(|prompt| {
                    let used = sums[prompt].voxels > 0 && weights[prompt] != 0.0;
                    used.then(|| Map::of(scale, number, prompt).gradient(&slopes[prompt], weights[prompt]))
                })
                .collect();
            for (prompt, map) in maps.iter().enumerate() {
                let Some(map) = map else { continue };
                gradient.iter_mut().skip(prompt).step_by(prompts).zip(map).for_each(|(to, slope)| *to = *slope);
            }
        }
        Part { gradient, ..part }
    }

    fn conclude(&self, scale: &Scale<'_>, sums: &[MapSums]) -> (Part, Vec<MapSlopes>) {
        let own = |sums: &MapSums| Sums {
            skeleton: sums.skeleton.skeleton,
            right: sums.skeleton.right,
            found: sums.voxels.line_found,
            voxels: sums.voxels.line_voxels as u64,
        };
        let own: Vec<Sums> = grouped(sums, scale.prompts(), 1).iter().map(own).collect();
        let (part, slopes, weights) = self.part(scale, &own);
        let slopes = slopes.iter().zip(&weights).map(|(slopes, weight)| MapSlopes {
            voxels: pulmoav_ops::loss::Slopes {
                line: (weight * slopes.by_found) as f32,
                ..pulmoav_ops::loss::Slopes::default()
            },
            skeleton: SkeletonSlopes {
                skeleton: (weight * slopes.by_skeleton) as f32,
                right: (weight * slopes.by_right) as f32,
            },
        });
        (part, slopes.collect::<Vec<_>>().into_iter().cycle().take(sums.len()).collect())
    }

    fn needs_skeletons(&self) -> bool {
        true
    }
}

impl SoftClDice {
    /// What the sums of each prompt come to, without the gradient; how steeply each prompt's loss depends on its sums,
    /// and what it counts.
    fn part(self, scale: &Scale<'_>, sums: &[Sums]) -> (Part, Vec<Slopes>, Vec<f64>) {
        let shares = scale.shares(sums.iter().map(|sums| sums.voxels > 0));
        let slopes: Vec<Slopes> = sums.iter().map(Sums::slopes).collect();
        let mean: f64 = slopes.iter().zip(&shares).map(|(slopes, share)| share * slopes.value).sum();
        let targets = slopes.iter().zip(sums);
        let part = Part {
            value: self.weight * mean,
            gradient: Vec::new(),
            targets: targets
                .map(|(slopes, sums)| TargetLoss { value: self.weight * slopes.value, voxels: sums.voxels })
                .collect(),
            terms: vec![("softClDice", scale.unweighted(mean))],
        };
        (part, slopes, shares.iter().map(|share| share * self.weight).collect())
    }
}

/// Sums of each prompt, sample by sample in their order.
fn sums(scale: &Scale<'_>) -> Vec<Sums> {
    let (samples, prompts) = (scale.targets.shape[0], scale.prompts());
    let parts: Vec<Sums> =
        (0..samples * prompts).into_par_iter().map(|at| Map::of(scale, at / prompts, at % prompts).sums()).collect();
    let mut all = vec![Sums::default(); prompts];
    for (at, part) in parts.iter().enumerate() {
        let sum = &mut all[at % prompts];
        sum.skeleton += part.skeleton;
        sum.right += part.right;
        sum.found += part.found;
        sum.voxels += part.voxels;
    }
    all
}

impl Sums {
    fn slopes(&self) -> Slopes {
        if self.voxels == 0 {
            return Slopes::default();
        }
        let (precision, recall) =
            ((self.right + 1.0) / (self.skeleton + 1.0), (self.found + 1.0) / (self.voxels as f64 + 1.0));
        let sum = precision + recall;
        let by_precision = -2.0 * (recall / sum).powi(2);
        let by_recall = -2.0 * (precision / sum).powi(2);
        Slopes {
            value: 1.0 - 2.0 * precision * recall / sum,
            by_right: by_precision / (self.skeleton + 1.0),
            by_skeleton: -by_precision * precision / (self.skeleton + 1.0),
            by_found: by_recall / (self.voxels as f64 + 1.0),
        }
    }
}

/// One prompt of one sample.
struct Map<'a> {
    probabilities: Vec<f32>,
    shares: Vec<u8>,
    line: Vec<bool>,
    shape: &'a [usize],
}

impl<'a> Map<'a> {
    fn of(scale: &Scale<'a>, sample: usize, prompt: usize) -> Self {
        let shape = &scale.targets.shape[1..4];
        let (voxels, prompts) = (shape.iter().product::<usize>(), scale.prompts());
        let places = || (0..voxels).map(|voxel| (sample * voxels + voxel) * prompts + prompt);
        Self {
            probabilities: places().map(|at| 1.0 / (1.0 + (-scale.logits[at]).exp())).collect(),
            shares: places().map(|at| scale.targets.data[at]).collect(),
            line: places().map(|at| scale.targets.centreline[at]).collect(),
            shape,
        }
    }

    fn skeleton(&self) -> SoftSkeleton {
        SoftSkeleton::of(&self.probabilities, [self.shape[0], self.shape[1], self.shape[2]])
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (at, skeleton) in self.skeleton().values.iter().enumerate().filter(|(at, _)| self.shares[*at] != IGNORED) {
            sums.skeleton += f64::from(*skeleton);
            sums.right += f64::from(*skeleton) * share(self.shares[at]);
            if self.line[at] {
                sums.found += f64::from(self.probabilities[at]);
                sums.voxels += 1;
            }
        }
        sums
    }

    /// The gradient by the logits, times `weight`.
    fn gradient(&self, slopes: &Slopes, weight: f64) -> Vec<f32> {
        let by_skeleton = self.shares.iter().map(|&known| match known {
            IGNORED => 0.0,
            known => (weight * (slopes.by_skeleton + slopes.by_right * share(known))) as f32,
        });
        let by_skeleton = by_skeleton.collect();
        let mut gradient = self.skeleton().backward(by_skeleton);
        for (at, slope) in gradient.iter_mut().enumerate() {
            let p = self.probabilities[at];
            let by_found = if self.line[at] { (weight * slopes.by_found) as f32 } else { 0.0 };
            *slope = if self.shares[at] == IGNORED { 0.0 } else { (*slope + by_found) * p * (1.0 - p) };
        }
        gradient
    }
}

fn share(share: u8) -> f64 {
    f64::from(share) / f64::from(FULL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::TargetGrid;

    /// Logits and targets, and what PyTorch made of them.
    #[derive(serde::Deserialize)]
    struct Golden {
        shape: [usize; 5],
        weight: f64,
        logits: Vec<f32>,
        targets: Vec<u8>,
        centreline: Vec<bool>,
        loss: f64,
        gradient: Vec<f64>,
    }

    #[test]
    fn equals_pytorch() {
        // Made by `crates/testing/goldens/soft_cl_dice.py`.
        let goldens = include_str!("../../../testing/goldens/train/soft_cl_dice.json");
        let goldens: Vec<Golden> = serde_json::from_str(goldens).unwrap();
        for Golden { shape, weight, logits, targets, centreline, loss, gradient } in goldens {
            let targets = TargetGrid { shape, data: targets, centreline };
            let scale = Scale { logits: &logits, targets: &targets, maps: &vec![1.0; shape[4]], weight: 1.0 };
            let part = SoftClDice { weight }.compute(&scale);
            assert!((part.value - loss).abs() < 1e-6, "{} {loss}", part.value);
            for (at, (ours, theirs)) in part.gradient.iter().zip(&gradient).enumerate() {
                assert!((f64::from(*ours) - theirs).abs() < 1e-6, "{at}: {ours} {theirs}");
            }
        }
    }
}
