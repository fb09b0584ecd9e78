//! How well each patch of a batch is known: what sampling by running loss goes by. No gradient is taken of it.
//!
//! ```text
//! loss of a patch = mean over its maps with Σ m y > 0 of 1 − 2 Σ m p y / (Σ m p + Σ m y)
//! ```

use candle_core::Tensor;
use pulmoav_ops::{device::with_host, loss::Sums};
use rayon::prelude::*;

use super::TargetGrid;
use crate::code::{FULL, IGNORED};
use crate::error::TrainError;

/// Soft Dice loss of each patch over `maps` (places among the prompts); `None` where the reference has none of them.
///
/// # Shapes
/// `logits` `[n, d, h, w, p]`, targets the same → n.
///
/// # Errors
/// If logits are not contiguous f32.
pub fn sample_losses(logits: &Tensor, targets: &TargetGrid, maps: &[usize]) -> Result<Vec<Option<f64>>, TrainError> {
    let [n, .., prompts] = targets.shape;
    Ok(with_host(logits, |logits| {
        let length = (logits.len() / n.max(1)).max(1);
        let samples = logits.par_chunks(length).zip(targets.data.par_chunks(length));
        samples.map(|(logits, targets)| loss(logits, targets, prompts, maps)).collect()
    })?)
}

/// The same from sums of each sample and map.
pub fn losses_of_sums(sums: &[Sums], prompts: usize, maps: &[usize]) -> Vec<Option<f64>> {
    let of_sample = |sums: &[Sums]| {
        let of_map = |&map: &usize| (sums[map].both, sums[map].predicted, sums[map].reference);
        mean(&maps.iter().map(of_map).collect::<Vec<_>>())
    };
    sums.chunks_exact(prompts.max(1)).map(of_sample).collect()
}

/// The mean of the maps' losses, from Σ p y, Σ p and Σ y; of those that the reference has.
fn mean(sums: &[(f64, f64, f64)]) -> Option<f64> {
    let known = || sums.iter().filter(|(_, _, reference)| *reference > 0.0);
    let sum: f64 = known().map(|(both, predicted, reference)| 1.0 - 2.0 * both / (predicted + reference)).sum();
    (known().count() > 0).then(|| sum / known().count() as f64)
}

fn loss(logits: &[f32], targets: &[u8], prompts: usize, maps: &[usize]) -> Option<f64> {
    let mut sums = vec![(0.0f64, 0.0f64, 0.0f64); maps.len()];
    for (logits, targets) in logits.chunks_exact(prompts).zip(targets.chunks_exact(prompts)) {
        for (&map, (both, predicted, reference)) in maps.iter().zip(&mut sums) {
            if targets[map] != IGNORED {
                let (p, y) = (1.0 / (1.0 + (-logits[map]).exp()), f32::from(targets[map]) / f32::from(FULL));
                *both += f64::from(p * y);
                *predicted += f64::from(p);
                *reference += f64::from(y);
            }
        }
    }
    mean(&sums)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_patch_is_scored_by_the_maps_it_has() {
        let shape = [2, 1, 1, 2, 2];
        let logits =
            Tensor::from_vec(vec![0.0f32, 50.0, 0.0, -50.0, 50.0, 0.0, -50.0, 0.0], &shape, &Device::Cpu).unwrap();
        let data = vec![FULL, IGNORED, 0, IGNORED, FULL, 0, 0, 0];
        let targets = TargetGrid { shape, data, centreline: vec![] };
        let losses = sample_losses(&logits, &targets, &[0, 1]).unwrap();
        assert_eq!(losses, [Some(0.5), Some(0.0)]);
        assert_eq!(sample_losses(&logits, &targets, &[1]).unwrap(), [None, None]);
    }
}
