//! What a step minimises: one loss a file, each masked to what was annotated.

mod answers;
mod dice_bce;

use candle_core::Tensor;
use pulmoav_plan::{Plan, Target};
use serde::{Deserialize, Serialize};

pub use self::{
    answers::AnswerGrid,
    dice_bce::{ScaleLoss, TargetLoss, dice_bce},
};
use crate::{config::within, error::TrainError};

/// Weights of the loss's parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LossConfig {
    /// Weight of soft Dice.
    pub dice: f64,
    /// Weight of binary cross-entropy.
    pub bce: f64,
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
    pub(crate) fn validate(&self, scales: usize) -> Result<(), TrainError> {
        within("loss.dice", self.dice, 0.0, 1e3)?;
        within("loss.bce", self.bce, 0.0, 1e3)?;
        within("loss.smooth", self.smooth, 1e-8, 1e6)?;
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
/// # Errors
/// If shapes of logits and answers differ.
pub fn supervised(
    logits: &[Tensor],
    answers: &[AnswerGrid],
    config: &LossConfig,
    maps: &[f64],
) -> Result<Vec<ScaleLoss>, TrainError> {
    if logits.len() != answers.len() || logits.len() != config.scale_weights.len() {
        return Err(TrainError::Internal(format!(
            "{} scales of logits, {} of answers, {} weights",
            logits.len(),
            answers.len(),
            config.scale_weights.len()
        )));
    }
    let scales = logits.iter().zip(answers).zip(&config.scale_weights);
    scales.map(|((logits, answers), &weight)| Ok(dice_bce(logits, answers, config, weight, maps)?)).collect()
}
