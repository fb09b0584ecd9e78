//! Networks of several folds as one: the mean of their probabilities.

use candle_core::{DType, Device, Tensor};
use pulmoav_ops::device::{from_host, with_host};
use pulmoav_ops::{cast, sigmoid};
use rayon::prelude::*;

use crate::error::SegmentError;
use crate::tiles::{PromptedNetwork, TileNetwork};

/// Keeps the logit of a probability of 0 or 1 finite.
const MIN_PROBABILITY: f32 = 1e-7;
/// Values that one task works on.
const BLOCK: usize = 1 << 14;

/// Networks of one plan, trained on different folds. They see tiles one after the other, so that beside their weights
/// they need little more memory than one of them.
#[derive(Debug)]
pub struct Folds<'a>(pub Vec<PromptedNetwork<'a>>);

impl TileNetwork for Folds<'_> {
    fn device(&self) -> Device {
        self.0.first().map_or(Device::Cpu, TileNetwork::device)
    }

    fn value_bytes(&self) -> u64 {
        self.0.first().map_or(4, TileNetwork::value_bytes)
    }

    /// The mean so far, and what it is made of.
    fn more_maps(&self) -> u64 {
        if self.0.len() > 1 { 3 } else { 0 }
    }

    fn is_launches_alone(&self) -> bool {
        self.0.iter().all(TileNetwork::is_launches_alone)
    }

    /// Logits of the mean probability; those of the network itself where there is but one.
    fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
        match self.0.as_slice() {
            [only] => only.logits(tiles, asked),
            networks if self.device().is_cpu() => mean_on_host(networks, &tiles, asked),
            networks => mean_on_card(networks, &tiles, asked),
        }
    }
}

fn mean_on_host(networks: &[PromptedNetwork<'_>], tiles: &Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
    let mut mean: Vec<f32> = Vec::new();
    let share = 1.0 / networks.len() as f32;
    let mut shape = tiles.shape().clone();
    for network in networks {
        let logits = network.logits(tiles.clone(), asked)?;
        shape = logits.shape().clone();
        with_host(&logits, |logits| {
            mean.resize(logits.len(), 0.0);
            let pairs = mean.par_iter_mut().zip(logits).with_min_len(BLOCK);
            pairs.for_each(|(mean, logit)| *mean += share / (1.0 + (-logit).exp()));
        })?;
    }
    mean.par_iter_mut().with_min_len(BLOCK).for_each(|p| {
        let kept = p.clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY);
        *p = (kept / (1.0 - kept)).ln();
    });
    Ok(from_host(mean, shape, tiles.device())?)
}

fn mean_on_card(networks: &[PromptedNetwork<'_>], tiles: &Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
    let mut mean: Option<Tensor> = None;
    for network in networks {
        let logits = cast(&network.logits(tiles.clone(), asked)?, DType::F32)?;
        let share = (sigmoid(&logits)? / networks.len() as f64)?;
        mean = Some(match mean {
            None => share,
            Some(mean) => (mean + share)?,
        });
    }
    let mean = mean.ok_or_else(|| candle_core::Error::Msg("no network".to_owned()))?;
    let kept = mean.clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY)?;
    let rest = kept.affine(-1.0, 1.0)?;
    Ok((kept / rest)?.log()?)
}
