//! What a step minimises: one loss a file, each with its formula and source on top, masked to what was annotated.
//!
//! A loss implements `Loss`; `LossConfig::losses` is the list of them. Adding one takes its file, a line there, and the
//! field of its settings in [`LossConfig`] and in `src/config/train.ts`.

#[cfg(test)]
mod conformance;
mod device;
mod dice_bce;
mod sample;
mod scale;
mod skeleton_recall;
mod soft_cl_dice;
mod targets;

use std::collections::BTreeMap;

use candle_core::Tensor;
use pulmoav_ops::device::{from_host, with_host};
use pulmoav_plan::{Plan, Target};
use serde::{Deserialize, Serialize};

pub use self::{
    device::{DeviceTargets, on_device},
    sample::{losses_of_sums, sample_losses},
    scale::{ScaleLoss, TargetLoss},
    targets::TargetGrid,
};
use self::{
    dice_bce::DiceBce,
    scale::{Loss, Part, Scale},
    skeleton_recall::SkeletonRecall,
    soft_cl_dice::SoftClDice,
};
use crate::{error::TrainError, range::within};

/// Weights of the loss's parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LossConfig {
    /// Weight of soft Dice.
    pub dice: f64,
    /// Weight of binary cross-entropy.
    pub bce: f64,
    /// Weight of skeleton recall.
    pub skeleton_recall: f64,
    /// Weight of soft clDice.
    pub soft_cl_dice: f64,
    /// Added to both sides of the Dice quotient, voxels.
    pub smooth: f64,
    /// Whether Dice is taken over the batch as a whole (else per sample, then averaged).
    pub batch_dice: bool,
    /// Weight of each supervised scale, finest first; as many as the network gives.
    pub scale_weights: Vec<f64>,
    /// Weights of the maps by what they show.
    pub map_weights: MapWeights,
}

/// Weights of the maps in their mean: what tells artery from vein is the hard part, and sides and unions add little to
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MapWeights {
    /// Targets of one class on both sides.
    pub class: f64,
    /// Targets of one class on one side.
    pub sided: f64,
    /// Targets of several classes.
    pub union: f64,
    /// Auxiliary maps.
    pub auxiliary: f64,
}

impl MapWeights {
    /// One weight a map of the plan's network: its targets, then what it learns beside them.
    pub fn of(self, plan: &Plan) -> Vec<f64> {
        let target = |target: &Target| match (target.classes.len(), target.side) {
            (1, None) => self.class,
            (1, Some(_)) => self.sided,
            _ => self.union,
        };
        plan.targets.iter().map(target).chain(plan.auxiliary().iter().map(|_| self.auxiliary)).collect()
    }
}

impl LossConfig {
    /// Every loss, the published one first; they are added up.
    fn losses(&self) -> Vec<Box<dyn Loss>> {
        let Self { dice, bce, smooth, batch_dice, skeleton_recall, soft_cl_dice, .. } = *self;
        let mut losses: Vec<Box<dyn Loss>> = vec![Box::new(DiceBce { dice, bce, smooth, batch_dice })];
        if skeleton_recall != 0.0 {
            losses.push(Box::new(SkeletonRecall { weight: skeleton_recall }));
        }
        if soft_cl_dice != 0.0 {
            losses.push(Box::new(SoftClDice { weight: soft_cl_dice }));
        }
        losses
    }

    /// Whether a loss asks where the reference's centrelines are.
    pub(crate) fn needs_centrelines(&self) -> bool {
        self.skeleton_recall > 0.0 || self.soft_cl_dice > 0.0
    }

    /// The config with each loss's weight times its factor; a loss without one keeps its weight.
    ///
    /// # Errors
    /// A name that is no loss's, a factor below 0.
    pub fn scaled(&self, factors: &BTreeMap<String, f64>) -> Result<Self, TrainError> {
        let mut scaled = self.clone();
        for (name, &factor) in factors {
            within(&format!("lossFactors.{name}"), factor, 0.0, 1e6)?;
            match name.as_str() {
                "dice" => scaled.dice *= factor,
                "bce" => scaled.bce *= factor,
                "skeletonRecall" => scaled.skeleton_recall *= factor,
                "softClDice" => scaled.soft_cl_dice *= factor,
                _ => return Err(TrainError::Config(format!("lossFactors names {name:?}, which is no loss"))),
            }
        }
        Ok(scaled)
    }

    pub(crate) fn validate(&self, scales: usize) -> Result<(), TrainError> {
        self.losses().iter().try_for_each(|loss| loss.validate())?;
        if self.scale_weights.len() != scales {
            return Err(TrainError::Config(format!(
                "loss.scaleWeights has {} entries, but the plan's network supervises {scales} scales; give one weight a scale",
                self.scale_weights.len()
            )));
        }
        let maps = &self.map_weights;
        within("loss.mapWeights.class", maps.class, 0.0, 1e3)?;
        within("loss.mapWeights.sided", maps.sided, 0.0, 1e3)?;
        within("loss.mapWeights.union", maps.union, 0.0, 1e3)?;
        within("loss.mapWeights.auxiliary", maps.auxiliary, 0.0, 1e3)?;
        self.scale_weights.iter().try_for_each(|&weight| within("loss.scaleWeights", weight, 0.0, 1e3))
    }
}

/// The loss of every scale, finest first; their values add up. `maps` holds one weight a map.
///
/// # Shapes
/// Of each scale: `logits` `[n, d, h, w, p]`, targets the same.
///
/// # Errors
/// If shapes of logits and targets differ, there is not one weight a map, or logits are not contiguous f32.
pub fn supervised(
    logits: &[Tensor],
    targets: &[TargetGrid],
    config: &LossConfig,
    maps: &[f64],
) -> Result<Vec<ScaleLoss>, TrainError> {
    if logits.len() != targets.len() || logits.len() != config.scale_weights.len() {
        return Err(TrainError::Internal(format!(
            "{} scales of logits, {} of targets, {} weights",
            logits.len(),
            targets.len(),
            config.scale_weights.len()
        )));
    }
    let losses = config.losses();
    let scales = logits.iter().zip(targets).zip(&config.scale_weights);
    scales.map(|((logits, targets), &weight)| Ok(scale_loss(&losses, logits, targets, maps, weight)?)).collect()
}

fn scale_loss(
    losses: &[Box<dyn Loss>],
    logits: &Tensor,
    targets: &TargetGrid,
    maps: &[f64],
    weight: f64,
) -> candle_core::Result<ScaleLoss> {
    if logits.dims() != targets.shape || maps.len() != targets.shape[4] {
        candle_core::bail!("loss: logits are {:?}, targets {:?}, weights {}", logits.dims(), targets.shape, maps.len());
    }
    if !logits.device().is_cpu() {
        let targets = device::uploaded(targets, logits.device())?;
        return device::scale_loss(losses, logits, &targets, maps, weight);
    }
    let parts = with_host(logits, |values| {
        let scale = Scale { logits: values, targets, maps, weight };
        losses.iter().map(|loss| loss.compute(&scale)).reduce(|sum, part| sum.plus(&part))
    })?;
    let Some(Part { value, gradient, targets, terms }) = parts else { candle_core::bail!("loss: none is listed") };
    let gradient = from_host(gradient, logits.shape(), logits.device())?;
    Ok(ScaleLoss { value, gradient, targets, terms: terms.into_iter().collect(), sums: None })
}
