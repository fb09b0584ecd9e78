//! What holds for every loss of the list: its gradient is the slope of its value, ignored voxels have no part in it,
//! and any number of threads gives the same bits.

use serde::Deserialize;

use super::dice_bce::DiceBce;
use super::scale::{Loss, Part, Scale};
use super::{LossConfig, MapWeights, TargetGrid};
use crate::code::{FULL, IGNORED};

/// Logits and targets, and what PyTorch made of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Golden {
    pub(super) shape: [usize; 5],
    batch_dice: bool,
    smooth: f64,
    dice: f64,
    bce: f64,
    pub(super) weight: f64,
    pub(super) logits: Vec<f32>,
    #[serde(rename = "answers")]
    targets: Vec<u8>,
    pub(super) loss: f64,
    pub(super) gradient: Vec<f64>,
}

impl Golden {
    pub(super) fn config(&self) -> LossConfig {
        LossConfig {
            dice: self.dice,
            bce: self.bce,
            skeleton_recall: 0.6,
            soft_cl_dice: 0.7,
            smooth: self.smooth,
            batch_dice: self.batch_dice,
            scale_weights: vec![self.weight],
            map_weights: MapWeights { class: 1.0, sided: 1.0, union: 1.0, auxiliary: 1.0 },
        }
    }

    pub(super) fn targets(&self) -> TargetGrid {
        // Every third of the voxels that a target fills counts as its centreline.
        let centreline = self.targets.iter().enumerate().map(|(at, &share)| share == FULL && at % 3 == 0).collect();
        TargetGrid { shape: self.shape, data: self.targets.clone(), centreline }
    }
}

/// `crates/testing/goldens/train.py` computed these with PyTorch in double precision.
pub(super) fn goldens() -> Vec<Golden> {
    serde_json::from_str(include_str!("../../../testing/goldens/train/loss.json")).unwrap()
}

fn compute(loss: &dyn Loss, golden: &Golden, logits: &[f32]) -> Part {
    let maps = vec![1.0; golden.shape[4]];
    loss.compute(&Scale { logits, targets: &golden.targets(), maps: &maps, weight: golden.weight })
}

/// Soft clDice has kinks, where two voxels change places in a skeleton: `soft_cl_dice.rs` compares it with PyTorch.
#[test]
fn gradients_equal_finite_differences() {
    for golden in goldens() {
        for loss in (LossConfig { soft_cl_dice: 0.0, ..golden.config() }).losses() {
            let gradient = compute(&*loss, &golden, &golden.logits).gradient;
            for at in (0..gradient.len()).step_by(7) {
                let loss_at = |shift: f32| {
                    let mut logits = golden.logits.clone();
                    logits[at] += shift;
                    compute(&*loss, &golden, &logits).value
                };
                let step = 1.0 / 64.0;
                let slope = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
                assert!((slope - f64::from(gradient[at])).abs() < 2e-6, "{slope} {}", gradient[at]);
            }
        }
    }
}

#[test]
fn losses_add_up() {
    for golden in goldens() {
        let LossConfig { dice, bce, smooth, batch_dice, .. } = golden.config();
        let alone = |dice, bce| {
            let loss = DiceBce { dice, bce, smooth, batch_dice };
            compute(&loss, &golden, &golden.logits)
        };
        let (both, sum) = (alone(dice, bce), alone(dice, 0.0).plus(&alone(0.0, bce)));
        assert!((both.value - sum.value).abs() < 1e-12, "{} {}", both.value, sum.value);
        assert!(both.gradient.iter().zip(&sum.gradient).all(|(both, sum)| (both - sum).abs() < 1e-7));
        for (both, sum) in both.targets.iter().zip(&sum.targets).filter(|(both, _)| both.voxels > 0) {
            assert!((both.value - sum.value).abs() < 1e-12 && both.voxels == sum.voxels, "{both:?} {sum:?}");
        }
    }
}

#[test]
fn ignored_voxels_have_no_gradient_and_unknown_prompts_no_loss() {
    let golden = goldens().pop().unwrap();
    for loss in golden.config().losses() {
        let Part { gradient, targets, .. } = compute(&*loss, &golden, &golden.logits);
        for (gradient, target) in gradient.iter().zip(&golden.targets) {
            assert!(*gradient == 0.0 || *target != IGNORED);
        }
        assert!(gradient.iter().any(|&slope| slope != 0.0));
        assert!(targets[0].value > 0.0 && targets[0].voxels > 0);
        assert_eq!(targets[1].voxels, 0);
    }
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
        targets: (0..n).map(|i| if i % 5 == 0 { IGNORED } else { ((i * 31) % 129) as u8 }).collect(),
        loss: 0.0,
        gradient: vec![],
    };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| -> Vec<Part> {
            golden.config().losses().iter().map(|loss| compute(&**loss, &golden, &golden.logits)).collect()
        })
    };
    for (one, three) in with(1).into_iter().zip(with(3)) {
        assert_eq!(one.value.to_bits(), three.value.to_bits());
        assert_eq!(one.gradient, three.gradient);
        assert_eq!(one.targets, three.targets);
    }
}
