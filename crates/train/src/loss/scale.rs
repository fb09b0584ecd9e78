//! What every loss is: a function of one scale's logits and targets that knows its own gradient.

use std::collections::BTreeMap;

use candle_core::Tensor;
use pulmoav_ops::loss::{Slopes, Sums};
use pulmoav_ops::skeleton::{SkeletonSlopes, SkeletonSums};
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

    /// The same without logits and targets, from sums of each sample and map: a part without gradient, and the slopes of
    /// each sample and map that it follows from.
    fn conclude(&self, scale: &Scale<'_>, sums: &[MapSums]) -> (Part, Vec<MapSlopes>);

    /// Whether it asks for sums over soft skeletons, where there are centrelines.
    fn needs_skeletons(&self) -> bool {
        false
    }
}

/// What losses are told of one sample and map on a device.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MapSums {
    pub(super) voxels: Sums,
    /// Zeros where no loss asked.
    pub(super) skeleton: SkeletonSums,
}

impl MapSums {
    pub(super) fn add(&mut self, other: &Self) {
        let (all, own) = (&mut self.voxels, &other.voxels);
        all.both += own.both;
        all.predicted += own.predicted;
        all.reference += own.reference;
        all.bce += own.bce;
        all.voxels += own.voxels;
        all.line_found += own.line_found;
        all.line_voxels += own.line_voxels;
        self.skeleton.skeleton += other.skeleton.skeleton;
        self.skeleton.right += other.skeleton.right;
    }
}

/// How steeply losses depend on those sums.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MapSlopes {
    pub(super) voxels: Slopes,
    pub(super) skeleton: SkeletonSlopes,
}

impl MapSlopes {
    pub(super) fn add(&mut self, own: &Self) {
        self.voxels.bce += own.voxels.bce;
        self.voxels.dice += own.voxels.dice;
        self.voxels.dice_reference += own.voxels.dice_reference;
        self.voxels.line += own.voxels.line;
        self.skeleton.skeleton += own.skeleton.skeleton;
        self.skeleton.right += own.skeleton.right;
    }
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
