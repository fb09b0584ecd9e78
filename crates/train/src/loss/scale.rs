//! What every loss is: a function of one scale's logits and targets that knows its own gradient.

use std::collections::BTreeMap;

use candle_core::Tensor;
use pulmoav_ops::loss::{Slopes, Sums};
use rayon::prelude::*;

use super::TargetGrid;
use crate::error::TrainError;

/// Voxels a block: sums are kept per block and added in block order, so that any number of threads gives the same bits.
pub(super) const BLOCK: usize = 4096;

/// A loss with its settings.
pub(super) trait Loss {
    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the field as the config does.
    fn validate(&self) -> Result<(), TrainError>;

    /// Value and gradient of one scale, both times [`Scale::weight`]; ignored voxels have no part in either. The same
    /// bits for any number of threads.
    fn compute(&self, scale: &Scale<'_>) -> Part;

    /// The same without logits, from sums of each sample and map: a part without gradient, and the slopes of each sample
    /// and map that it follows from. `None` where sums do not tell.
    fn conclude(&self, scale: &Scale<'_>, sums: &[Sums]) -> Option<(Part, Vec<Slopes>)>;
}

/// One scale of the network's logits, and what they should be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale<'a> {
    /// In the shape of the targets.
    pub(super) logits: &'a [f32],
    /// Targets with their ignore mask.
    pub(super) targets: &'a TargetGrid,
    /// Weight of each prompt.
    pub(super) maps: &'a [f64],
    /// Weight of the scale.
    pub(super) weight: f64,
}

impl Scale<'_> {
    /// Number of prompts.
    pub(super) fn prompts(&self) -> usize {
        self.maps.len()
    }

    /// What a loss of each `[group, prompt]` counts in the mean over those that are supervised: the scale's weight,
    /// shared by the prompts' weights. A group is a sample, or the batch.
    pub(super) fn shares(&self, supervised: impl Iterator<Item = bool> + Clone) -> Vec<f64> {
        let maps = || self.maps.iter().copied().cycle();
        let used: f64 = supervised.clone().zip(maps()).filter(|(supervised, _)| *supervised).map(|(_, map)| map).sum();
        let scale = if used > 0.0 { self.weight / used } else { 0.0 };
        supervised.zip(maps()).map(|(_, map)| scale * map).collect()
    }

    /// A sum over prompts by their [`Scale::shares`] as a mean, without the scale's weight.
    pub(super) fn unweighted(&self, sum: f64) -> f64 {
        if self.weight > 0.0 { sum / self.weight } else { 0.0 }
    }
}

/// What one loss comes to on a scale.
#[derive(Debug)]
pub(super) struct Part {
    /// Its value.
    pub(super) value: f64,
    /// Its gradient by the logits, in their order.
    pub(super) gradient: Vec<f32>,
    /// What each prompt contributed.
    pub(super) targets: Vec<TargetLoss>,
    /// The loss's terms by the names of their weights, each the mean over prompts before any weight of the config's.
    pub(super) terms: Vec<(&'static str, f64)>,
}

impl Part {
    /// Two losses together.
    pub(super) fn plus(mut self, other: &Self) -> Self {
        self.value += other.value;
        self.gradient.par_iter_mut().zip(&other.gradient).for_each(|(sum, slope)| *sum += slope);
        self.targets.iter_mut().zip(&other.targets).for_each(|(sum, target)| sum.value += target.value);
        self.terms.extend(other.terms.iter().copied());
        self
    }
}

/// What one prompt contributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetLoss {
    /// The losses of this prompt alone, each times its weight; not a number where nothing was supervised.
    pub value: f64,
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
    /// Every loss's terms by the names of their weights, each the mean over prompts before any weight of the config's.
    pub terms: BTreeMap<&'static str, f64>,
    /// Sums of each sample and map, where the logits lie on a device.
    pub(crate) sums: Option<Vec<Sums>>,
}
