//! Networks of several folds as one: the mean of their probabilities.

use rayon::prelude::*;

use crate::error::SegmentError;
use crate::tiles::{PromptedNetwork, TileNetwork};

/// Keeps the logit of a probability of 0 or 1 finite.
const MIN_PROBABILITY: f32 = 1e-7;
/// Values that one task works on.
const BLOCK: usize = 1 << 14;

/// Networks of one plan, trained on different folds. They see a tile one after the other, so that beside their weights
/// they need little more memory than one of them.
#[derive(Debug)]
pub struct Folds<'a>(pub Vec<PromptedNetwork<'a>>);

impl TileNetwork for Folds<'_> {
    /// Logits of the mean probability; those of the network itself where there is but one.
    fn logits(&self, tile: Vec<f32>, shape: [usize; 3], asked: &[usize]) -> Result<Vec<f32>, SegmentError> {
        if let [only] = self.0.as_slice() {
            return only.logits(tile, shape, asked);
        }
        let mut mean: Vec<f32> = Vec::new();
        let share = 1.0 / self.0.len() as f32;
        for network in &self.0 {
            let logits = network.logits(tile.clone(), shape, asked)?;
            mean.resize(logits.len(), 0.0);
            let pairs = mean.par_iter_mut().zip(&logits).with_min_len(BLOCK);
            pairs.for_each(|(mean, logit)| *mean += share / (1.0 + (-logit).exp()));
        }
        mean.par_iter_mut().with_min_len(BLOCK).for_each(|p| {
            let kept = p.clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY);
            *p = (kept / (1.0 - kept)).ln();
        });
        Ok(mean)
    }
}
