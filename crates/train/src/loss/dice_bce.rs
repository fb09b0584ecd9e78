//! Soft Dice plus binary cross-entropy per prompt, masked.
//!
//! For a prompt with logits z, p = σ(z), answers y and mask m (1 where the reference says something):
//!
//! ```text
//! dice = 1 − (2 Σ m p y + ε) / (Σ m p + Σ m y + ε)        bce = Σ m (softplus(z) − y z) / Σ m
//! loss = weight · mean over prompts with Σ m > 0, weighted by the prompts, of (w_dice · dice + w_bce · bce)
//! ```
//!
//! Sums run over the batch, or per sample when `batch_dice` is off (then the mean is over samples and prompts).
//! Value and gradient are computed together in two parallel sweeps; candle's own elementwise operators run on one
//! thread.

use candle_core::{Result, Storage, Tensor};
use rayon::prelude::*;

use super::{AnswerGrid, LossConfig};
use crate::code::{FULL, IGNORED};

/// Voxels a block: sums are kept per block and added in block order, so that any number of threads gives the same bits.
const BLOCK: usize = 4096;

/// What one prompt contributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetLoss {
    /// Soft Dice loss, 0 to 1; not a number where nothing was supervised.
    pub dice: f64,
    /// Binary cross-entropy, nats a voxel; not a number where nothing was supervised.
    pub bce: f64,
    /// Supervised voxels.
    pub voxels: u64,
}

/// A scale's loss.
#[derive(Debug)]
pub struct ScaleLoss {
    /// Its value.
    pub value: f64,
    /// Its gradient by the logits, in their shape.
    pub gradient: Tensor,
    /// What each prompt contributed.
    pub targets: Vec<TargetLoss>,
}

/// The masked loss of one scale; `maps` holds one weight a prompt.
///
/// # Shapes
/// `logits [n, d, h, w, p]`, answers the same.
///
/// # Errors
/// If the shapes differ, there is not one weight a prompt, or the logits are not contiguous f32 on the CPU.
pub fn dice_bce(
    logits: &Tensor,
    answers: &AnswerGrid,
    config: &LossConfig,
    weight: f64,
    maps: &[f64],
) -> Result<ScaleLoss> {
    let [n, d, h, w, p] = answers.shape;
    if logits.dims() != answers.shape || maps.len() != p {
        candle_core::bail!(
            "dice_bce: logits are {:?}, answers [{n}, {d}, {h}, {w}, {p}], weights {}",
            logits.dims(),
            maps.len()
        );
    }
    let groups = if config.batch_dice { 1 } else { n };
    let loss = DiceBce { answers: &answers.data, groups, prompts: p, maps, config, weight };
    let (storage, layout) = logits.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        candle_core::bail!("dice_bce: logits must be contiguous and on the CPU");
    };
    let (value, gradient, targets) = loss.compute(&storage.as_slice::<f32>()?[start..end]);
    Ok(ScaleLoss { value, gradient: Tensor::from_vec(gradient, logits.shape(), logits.device())?, targets })
}

struct DiceBce<'a> {
    answers: &'a [u8],
    /// 1, or the number of samples.
    groups: usize,
    prompts: usize,
    /// Weight of each prompt.
    maps: &'a [f64],
    config: &'a LossConfig,
    weight: f64,
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

impl DiceBce<'_> {
    /// Value, gradient, and parts by prompt.
    fn compute(&self, logits: &[f32]) -> (f64, Vec<f32>, Vec<TargetLoss>) {
        let mut gradient = vec![0.0f32; logits.len()];
        let sums = self.sweep_sums(logits, &mut gradient);
        let maps = || self.maps.iter().copied().cycle();
        let used: f64 = sums.iter().zip(maps()).filter(|(sums, _)| sums.voxels > 0.0).map(|(_, map)| map).sum();
        let scale = if used > 0.0 { self.weight / used } else { 0.0 };
        let terms: Vec<(f64, f64)> = sums.iter().map(|sums| self.terms(sums)).collect();
        let loss = terms
            .iter()
            .zip(maps())
            .filter(|((_, bce), _)| bce.is_finite())
            .map(|((dice, bce), map)| scale * map * (self.config.dice * dice + self.config.bce * bce))
            .sum();
        let slopes: Vec<Slopes> = sums.iter().zip(maps()).map(|(sums, map)| self.slopes(sums, scale * map)).collect();
        self.sweep_slopes(&slopes, &mut gradient);
        (loss, gradient, self.parts(&sums, &terms))
    }

    /// Voxels × prompts of one group.
    fn group_len(&self, total: usize) -> usize {
        total / self.groups
    }

    /// First sweep: sums by `[group, prompt]`; leaves the probabilities in `gradient`.
    fn sweep_sums(&self, logits: &[f32], gradient: &mut [f32]) -> Vec<Sums> {
        let group_len = self.group_len(logits.len()).max(1);
        let mut all = Vec::with_capacity(self.groups * self.prompts);
        let groups = logits.chunks(group_len).zip(self.answers.chunks(group_len)).zip(gradient.chunks_mut(group_len));
        for ((logits, answers), probabilities) in groups {
            let block = BLOCK * self.prompts;
            let partial: Vec<Vec<Sums>> = logits
                .par_chunks(block)
                .zip(answers.par_chunks(block))
                .zip(probabilities.par_chunks_mut(block))
                .map(|((logits, answers), probabilities)| block_sums(logits, answers, probabilities, self.prompts))
                .collect();
            let mut sums = vec![Sums::default(); self.prompts];
            for block in &partial {
                sums.iter_mut().zip(block).for_each(|(sum, part)| sum.add(part));
            }
            all.extend(sums);
        }
        all
    }

    /// Second sweep: probabilities become gradients of the logits.
    fn sweep_slopes(&self, slopes: &[Slopes], gradient: &mut [f32]) {
        let group_len = self.group_len(gradient.len()).max(1);
        let groups =
            gradient.chunks_mut(group_len).zip(self.answers.chunks(group_len)).zip(slopes.chunks(self.prompts));
        for ((gradient, answers), slopes) in groups {
            let block = BLOCK * self.prompts;
            gradient
                .par_chunks_mut(block)
                .zip(answers.par_chunks(block))
                .for_each(|(gradient, answers)| block_gradient(gradient, answers, slopes));
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
        (0..self.prompts)
            .map(|prompt| {
                let of_prompt = || (prompt..terms.len()).step_by(self.prompts).filter(|&i| sums[i].voxels > 0.0);
                let groups = of_prompt().count() as f64;
                TargetLoss {
                    dice: of_prompt().map(|i| terms[i].0).sum::<f64>() / groups,
                    bce: of_prompt().map(|i| terms[i].1).sum::<f64>() / groups,
                    voxels: of_prompt().map(|i| sums[i].voxels as u64).sum(),
                }
            })
            .collect()
    }
}

/// Sums of a block by prompt; `probabilities` is filled.
fn block_sums(logits: &[f32], answers: &[u8], probabilities: &mut [f32], prompts: usize) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); prompts];
    let voxels =
        logits.chunks_exact(prompts).zip(answers.chunks_exact(prompts)).zip(probabilities.chunks_exact_mut(prompts));
    for ((logits, answers), probabilities) in voxels {
        for (((&z, &answer), probability), sum) in logits.iter().zip(answers).zip(probabilities).zip(&mut sums) {
            if answer == IGNORED {
                continue;
            }
            let y = share(answer);
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

fn block_gradient(gradient: &mut [f32], answers: &[u8], slopes: &[Slopes]) {
    let prompts = slopes.len();
    for (gradient, answers) in gradient.chunks_exact_mut(prompts).zip(answers.chunks_exact(prompts)) {
        for ((gradient, &answer), slopes) in gradient.iter_mut().zip(answers).zip(slopes) {
            if answer == IGNORED {
                *gradient = 0.0;
                continue;
            }
            let (p, y) = (*gradient, share(answer));
            *gradient = slopes.bce * (p - y) + (slopes.dice + slopes.dice_reference * y) * p * (1.0 - p);
        }
    }
}

fn share(answer: u8) -> f32 {
    f32::from(answer) / f32::from(FULL)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use serde::Deserialize;

    use super::{super::MapWeights, *};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Golden {
        shape: [usize; 5],
        batch_dice: bool,
        smooth: f64,
        dice: f64,
        bce: f64,
        weight: f64,
        logits: Vec<f32>,
        answers: Vec<u8>,
        loss: f64,
        gradient: Vec<f64>,
    }

    fn config(golden: &Golden) -> LossConfig {
        LossConfig {
            dice: golden.dice,
            bce: golden.bce,
            smooth: golden.smooth,
            batch_dice: golden.batch_dice,
            scale_weights: vec![golden.weight],
            map_weights: MapWeights { class: 1.0, sided: 1.0, union: 1.0, auxiliary: 1.0 },
        }
    }

    fn run(golden: &Golden, logits: Vec<f32>) -> (f64, Vec<f32>, Vec<TargetLoss>) {
        let logits = Tensor::from_vec(logits, &golden.shape, &Device::Cpu).unwrap();
        let answers = AnswerGrid { shape: golden.shape, data: golden.answers.clone() };
        let loss = dice_bce(&logits, &answers, &config(golden), golden.weight, &vec![1.0; golden.shape[4]]).unwrap();
        (loss.value, loss.gradient.flatten_all().unwrap().to_vec1().unwrap(), loss.targets)
    }

    /// `crates/testing/goldens/train.py` computed these with PyTorch in double precision.
    fn goldens() -> Vec<Golden> {
        serde_json::from_str(include_str!("../../../testing/goldens/train/loss.json")).unwrap()
    }

    #[test]
    fn equals_pytorch() {
        for golden in goldens() {
            let (loss, gradient, _) = run(&golden, golden.logits.clone());
            assert!((loss - golden.loss).abs() < 1e-6, "{loss} {}", golden.loss);
            for (ours, theirs) in gradient.iter().zip(&golden.gradient) {
                assert!((f64::from(*ours) - theirs).abs() < 1e-7 + 1e-5 * theirs.abs(), "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn equals_finite_differences() {
        for golden in goldens() {
            let (_, gradient, _) = run(&golden, golden.logits.clone());
            for at in (0..gradient.len()).step_by(7) {
                let loss_at = |shift: f32| {
                    let mut logits = golden.logits.clone();
                    logits[at] += shift;
                    run(&golden, logits).0
                };
                let step = 1.0 / 64.0;
                let slope = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
                assert!((slope - f64::from(gradient[at])).abs() < 2e-6, "{slope} {}", gradient[at]);
            }
        }
    }

    #[test]
    fn a_map_counts_as_much_as_it_weighs() {
        let golden = goldens().remove(0);
        let prompts = golden.shape[4];
        let maps: Vec<f64> = (0..prompts).map(|prompt| f64::from(prompt as u8) * 0.5).collect();
        let logits = Tensor::from_vec(golden.logits.clone(), &golden.shape, &Device::Cpu).unwrap();
        let answers = AnswerGrid { shape: golden.shape, data: golden.answers.clone() };
        let config = LossConfig { batch_dice: true, ..config(&golden) };
        let loss = dice_bce(&logits, &answers, &config, 1.0, &maps).unwrap();
        let known = || loss.targets.iter().zip(&maps).filter(|(target, _)| target.voxels > 0);
        let sum: f64 = known().map(|(target, map)| map * (config.dice * target.dice + config.bce * target.bce)).sum();
        let expected = sum / known().map(|(_, map)| map).sum::<f64>();
        assert!((loss.value - expected).abs() < 1e-12, "{} {expected}", loss.value);
        let first: Vec<f32> = loss.gradient.flatten_all().unwrap().to_vec1().unwrap();
        assert!(first.iter().step_by(prompts).all(|&slope| slope == 0.0));
        assert!(dice_bce(&logits, &answers, &config, 1.0, &maps[1..]).is_err());
    }

    #[test]
    fn ignored_voxels_have_no_gradient_and_unknown_prompts_no_loss() {
        let golden = goldens().pop().unwrap();
        let (_, gradient, parts) = run(&golden, golden.logits.clone());
        for (gradient, answer) in gradient.iter().zip(&golden.answers) {
            assert_eq!(*gradient == 0.0, *answer == IGNORED);
        }
        assert!(parts[0].dice.is_finite() && parts[1].dice.is_nan());
        assert_eq!(parts[1].voxels, 0);
    }

    #[test]
    fn threads_do_not_change_bits() {
        let shape = [2, 16, 24, 24, 3];
        let n: usize = shape.iter().product();
        let golden = Golden {
            shape,
            batch_dice: true,
            smooth: 1.0,
            dice: 1.0,
            bce: 1.0,
            weight: 1.0,
            logits: (0..n).map(|i| ((i * 7919) % 1000) as f32 / 250.0 - 2.0).collect(),
            answers: (0..n).map(|i| if i % 5 == 0 { IGNORED } else { ((i * 31) % 129) as u8 }).collect(),
            loss: 0.0,
            gradient: vec![],
        };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&golden, golden.logits.clone()))
        };
        let (one, three) = (with(1), with(3));
        assert_eq!(one.0.to_bits(), three.0.to_bits());
        assert_eq!(one.1, three.1);
    }
}
