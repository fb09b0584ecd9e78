//! Soft Dice plus binary cross-entropy per prompt, masked.
//!
//! For a prompt with logits z, p = σ(z), targets y and ignore mask m (0 where the reference says nothing):
//!
//! ```text
//! dice = 1 − (2 Σ m p y + ε) / (Σ m p + Σ m y + ε)        bce = Σ m (softplus(z) − y z) / Σ m
//! loss = weight · mean over prompts with Σ m > 0, weighted by the prompts, of (w_dice · dice + w_bce · bce)
//! ```
//!
//! Sums run over the batch, or per sample when `batch_dice` is off (then the mean is over samples and prompts).
//! Value and gradient are computed together in two parallel sweeps; candle's own elementwise operators run on one
//! thread.

use pulmoav_ops::loss as ops;
use rayon::prelude::*;

use super::device::grouped;
use super::scale::{BLOCK, Loss, MapSlopes, MapSums, Part, Scale, TargetLoss};
use crate::code::{FULL, IGNORED};
use crate::error::TrainError;
use crate::range::within;

/// The settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct DiceBce {
    /// Weight of soft Dice.
    pub(super) dice: f64,
    /// Weight of binary cross-entropy.
    pub(super) bce: f64,
    /// ε, voxels.
    pub(super) smooth: f64,
    /// Whether sums run over the batch as one.
    pub(super) batch_dice: bool,
}

impl Loss for DiceBce {
    fn validate(&self) -> Result<(), TrainError> {
        within("loss.dice", self.dice, 0.0, 1e3)?;
        within("loss.bce", self.bce, 0.0, 1e3)?;
        within("loss.smooth", self.smooth, 1e-8, 1e6)
    }

    fn compute(&self, scale: &Scale<'_>) -> Part {
        let groups = if self.batch_dice { 1 } else { scale.targets.shape[0] };
        Sweeps { config: *self, scale: *scale, groups }.compute()
    }

    fn conclude(&self, scale: &Scale<'_>, sums: &[MapSums]) -> (Part, Vec<MapSlopes>) {
        let (samples, prompts) = (scale.targets.shape[0], scale.prompts());
        let groups = if self.batch_dice { 1 } else { samples };
        let own = |sums: &MapSums| {
            let ops::Sums { both, predicted, reference, bce, voxels, .. } = sums.voxels;
            Sums { both, predicted, reference, bce, voxels }
        };
        let own: Vec<Sums> = grouped(sums, prompts, groups).iter().map(own).collect();
        let (part, slopes) = Sweeps { config: *self, scale: *scale, groups }.conclude(&own);
        let slopes = slopes.into_iter().map(|Slopes { dice, dice_reference, bce }| MapSlopes {
            voxels: ops::Slopes { bce, dice, dice_reference, line: 0.0 },
            ..MapSlopes::default()
        });
        (part, slopes.cycle().take(sums.len()).collect())
    }
}

/// The two sweeps over one scale.
struct Sweeps<'a> {
    config: DiceBce,
    scale: Scale<'a>,
    /// 1, or the number of samples.
    groups: usize,
}

/// Sums of one prompt over one block or group.
#[derive(Clone, Copy, Default)]
struct Sums {
    both: f64,
    predicted: f64,
    reference: f64,
    bce: f64,
    voxels: f64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.both += other.both;
        self.predicted += other.predicted;
        self.reference += other.reference;
        self.bce += other.bce;
        self.voxels += other.voxels;
    }
}

/// Derivatives of the loss with respect to one voxel: of its probability (`dice`, `dice_reference`·y) and of its logit
/// (`bce`).
#[derive(Clone, Copy, Default)]
struct Slopes {
    dice: f32,
    dice_reference: f32,
    bce: f32,
}

impl Sweeps<'_> {
    fn compute(&self) -> Part {
        let mut gradient = vec![0.0f32; self.scale.logits.len()];
        let sums = self.sweep_sums(&mut gradient);
        let (part, slopes) = self.conclude(&sums);
        self.sweep_slopes(&slopes, &mut gradient);
        Part { gradient, ..part }
    }

    /// What sums by `[group, prompt]` come to, without the gradient, and the slopes that it follows from.
    fn conclude(&self, sums: &[Sums]) -> (Part, Vec<Slopes>) {
        let shares = self.scale.shares(sums.iter().map(|sums| sums.voxels > 0.0));
        let terms: Vec<(f64, f64)> = sums.iter().map(|sums| self.terms(sums)).collect();
        let known = || terms.iter().zip(&shares).filter(|((_, bce), _)| bce.is_finite());
        let dice: f64 = known().map(|((dice, _), share)| share * dice).sum();
        let bce: f64 = known().map(|((_, bce), share)| share * bce).sum();
        let value = self.config.dice * dice + self.config.bce * bce;
        let slopes: Vec<Slopes> = sums.iter().zip(&shares).map(|(sums, &share)| self.slopes(sums, share)).collect();
        let named = [("dice", dice), ("bce", bce)].map(|(name, sum)| (name, self.scale.unweighted(sum)));
        let targets = self.parts(sums, &terms);
        (Part { value, gradient: Vec::new(), targets, terms: named.into() }, slopes)
    }

    /// Voxels × prompts of one group.
    fn group_len(&self, total: usize) -> usize {
        total / self.groups
    }

    /// First sweep: sums by `[group, prompt]`; leaves the probabilities in `gradient`.
    fn sweep_sums(&self, gradient: &mut [f32]) -> Vec<Sums> {
        let logits = self.scale.logits;
        let (prompts, group_len) = (self.scale.prompts(), self.group_len(logits.len()).max(1));
        let mut all = Vec::with_capacity(self.groups * prompts);
        let groups =
            logits.chunks(group_len).zip(self.scale.targets.data.chunks(group_len)).zip(gradient.chunks_mut(group_len));
        for ((logits, targets), probabilities) in groups {
            let block = BLOCK * prompts;
            let partial: Vec<Vec<Sums>> = logits
                .par_chunks(block)
                .zip(targets.par_chunks(block))
                .zip(probabilities.par_chunks_mut(block))
                .map(|((logits, targets), probabilities)| block_sums(logits, targets, probabilities, prompts))
                .collect();
            let mut sums = vec![Sums::default(); prompts];
            for block in &partial {
                sums.iter_mut().zip(block).for_each(|(sum, part)| sum.add(part));
            }
            all.extend(sums);
        }
        all
    }

    /// Second sweep: probabilities become gradients of the logits.
    fn sweep_slopes(&self, slopes: &[Slopes], gradient: &mut [f32]) {
        let (prompts, group_len) = (self.scale.prompts(), self.group_len(gradient.len()).max(1));
        let groups =
            gradient.chunks_mut(group_len).zip(self.scale.targets.data.chunks(group_len)).zip(slopes.chunks(prompts));
        for ((gradient, targets), slopes) in groups {
            let block = BLOCK * prompts;
            gradient
                .par_chunks_mut(block)
                .zip(targets.par_chunks(block))
                .for_each(|(gradient, targets)| block_gradient(gradient, targets, slopes));
        }
    }

    /// Dice loss and cross-entropy; not a number without supervision.
    fn terms(&self, sums: &Sums) -> (f64, f64) {
        if sums.voxels == 0.0 {
            return (f64::NAN, f64::NAN);
        }
        let smooth = self.config.smooth;
        let dice = 1.0 - (2.0 * sums.both + smooth) / (sums.predicted + sums.reference + smooth);
        (dice, sums.bce / sums.voxels)
    }

    fn slopes(&self, sums: &Sums, scale: f64) -> Slopes {
        if sums.voxels == 0.0 {
            return Slopes::default();
        }
        let smooth = self.config.smooth;
        let (above, below) = (2.0 * sums.both + smooth, sums.predicted + sums.reference + smooth);
        Slopes {
            dice: (scale * self.config.dice * above / (below * below)) as f32,
            dice_reference: (-scale * self.config.dice * 2.0 / below) as f32,
            bce: (scale * self.config.bce / sums.voxels) as f32,
        }
    }

    /// Per prompt: mean over the groups that were supervised.
    fn parts(&self, sums: &[Sums], terms: &[(f64, f64)]) -> Vec<TargetLoss> {
        let prompts = self.scale.prompts();
        (0..prompts)
            .map(|prompt| {
                let of_prompt = || (prompt..terms.len()).step_by(prompts).filter(|&i| sums[i].voxels > 0.0);
                let groups = of_prompt().count() as f64;
                let dice = of_prompt().map(|i| terms[i].0).sum::<f64>() / groups;
                let bce = of_prompt().map(|i| terms[i].1).sum::<f64>() / groups;
                TargetLoss {
                    value: self.config.dice * dice + self.config.bce * bce,
                    voxels: of_prompt().map(|i| sums[i].voxels as u64).sum(),
                }
            })
            .collect()
    }
}

/// Sums of a block by prompt; `probabilities` is filled.
fn block_sums(logits: &[f32], targets: &[u8], probabilities: &mut [f32], prompts: usize) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); prompts];
    let voxels =
        logits.chunks_exact(prompts).zip(targets.chunks_exact(prompts)).zip(probabilities.chunks_exact_mut(prompts));
    for ((logits, targets), probabilities) in voxels {
        for (((&z, &target), probability), sum) in logits.iter().zip(targets).zip(probabilities).zip(&mut sums) {
            if target == IGNORED {
                continue;
            }
            let y = share(target);
            let small = (-z.abs()).exp();
            let p = if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            *probability = p;
            sum.both += f64::from(p * y);
            sum.predicted += f64::from(p);
            sum.reference += f64::from(y);
            sum.bce += f64::from(z.max(0.0) + small.ln_1p() - y * z);
            sum.voxels += 1.0;
        }
    }
    sums
}

fn block_gradient(gradient: &mut [f32], targets: &[u8], slopes: &[Slopes]) {
    let prompts = slopes.len();
    for (gradient, targets) in gradient.chunks_exact_mut(prompts).zip(targets.chunks_exact(prompts)) {
        for ((gradient, &target), slopes) in gradient.iter_mut().zip(targets).zip(slopes) {
            if target == IGNORED {
                *gradient = 0.0;
                continue;
            }
            let (p, y) = (*gradient, share(target));
            *gradient = slopes.bce * (p - y) + (slopes.dice + slopes.dice_reference * y) * p * (1.0 - p);
        }
    }
}

fn share(target: u8) -> f32 {
    f32::from(target) / f32::from(FULL)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use crate::code::IGNORED;
    use crate::loss::conformance::{Golden, goldens};
    use crate::loss::{LossConfig, ScaleLoss, supervised};

    fn run(golden: &Golden, config: &LossConfig, maps: &[f64]) -> Result<ScaleLoss, crate::TrainError> {
        let logits = Tensor::from_vec(golden.logits.clone(), &golden.shape, &Device::Cpu)?;
        let config = LossConfig { skeleton_recall: 0.0, soft_cl_dice: 0.0, ..config.clone() };
        Ok(supervised(&[logits], &[golden.targets()], &config, maps)?.remove(0))
    }

    fn flat(loss: &ScaleLoss) -> Vec<f32> {
        loss.gradient.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn equals_pytorch() {
        for golden in goldens() {
            let loss = run(&golden, &golden.config(), &vec![1.0; golden.shape[4]]).unwrap();
            assert!((loss.value - golden.loss).abs() < 1e-6, "{} {}", loss.value, golden.loss);
            for (ours, theirs) in flat(&loss).iter().zip(&golden.gradient) {
                assert!((f64::from(*ours) - theirs).abs() < 1e-7 + 1e-5 * theirs.abs(), "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn every_known_voxel_has_a_gradient_and_no_other() {
        let golden = goldens().pop().unwrap();
        let loss = run(&golden, &golden.config(), &vec![1.0; golden.shape[4]]).unwrap();
        for (gradient, target) in flat(&loss).iter().zip(&golden.targets().data) {
            assert_eq!(*gradient == 0.0, *target == IGNORED);
        }
        assert!(loss.targets[0].value.is_finite() && loss.targets[1].value.is_nan());
    }

    #[test]
    fn a_map_counts_as_much_as_it_weighs() {
        let golden = goldens().remove(0);
        let prompts = golden.shape[4];
        let maps: Vec<f64> = (0..prompts).map(|prompt| f64::from(prompt as u8) * 0.5).collect();
        let config = LossConfig { batch_dice: true, scale_weights: vec![1.0], ..golden.config() };
        let loss = run(&golden, &config, &maps).unwrap();
        let known = || loss.targets.iter().zip(&maps).filter(|(target, _)| target.voxels > 0);
        let sum: f64 = known().map(|(target, map)| map * target.value).sum();
        let expected = sum / known().map(|(_, map)| map).sum::<f64>();
        assert!((loss.value - expected).abs() < 1e-12, "{} {expected}", loss.value);
        assert!(flat(&loss).iter().step_by(prompts).all(|&slope| slope == 0.0));
        assert!(run(&golden, &config, &maps[1..]).is_err());
    }
}
