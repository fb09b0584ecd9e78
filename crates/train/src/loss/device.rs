//! The losses where logits lie on a device: sums of each map come to the host, what follows from them is computed as on
//! the CPU, and slopes of each map go back.
//!
//! A loss that sums cannot tell is computed on the host, from logits that are read for it.

use candle_core::Tensor;
use pulmoav_ops::device::{from_host, with_host};
use pulmoav_ops::loss::{ON_LINE, Slopes, Sums, Targets, gradient, sums};

use super::TargetGrid;
use super::scale::{Loss, Part, Scale, ScaleLoss};

/// A loss of one scale; `scale.logits` is empty.
pub(super) fn scale_loss(
    losses: &[Box<dyn Loss>],
    logits: &Tensor,
    scale: Scale<'_>,
) -> candle_core::Result<ScaleLoss> {
    let targets = Targets::new(bytes(scale.targets), &scale.targets.shape, logits.device())?;
    let sums = sums(logits, &targets)?;
    let mut slopes = vec![Slopes::default(); sums.len()];
    let (mut parts, mut on_host) = (Vec::new(), Vec::new());
    for loss in losses {
        match loss.conclude(&scale, &sums) {
            Some((part, own)) => {
                parts.push(part);
                slopes.iter_mut().zip(own).for_each(|(all, own)| add(all, own));
            }
            None => on_host.push(loss),
        }
    }
    let mut slope = gradient(logits, &targets, &slopes)?;
    for loss in on_host {
        let mut part = with_host(logits, |values| loss.compute(&Scale { logits: values, ..scale }))?;
        let own = std::mem::take(&mut part.gradient);
        slope = (slope + from_host(own, logits.shape(), logits.device())?.to_dtype(logits.dtype())?)?;
        parts.push(part);
    }
    let Some(Part { value, targets, terms, .. }) = parts.into_iter().reduce(|sum, part| sum.plus(&part)) else {
        candle_core::bail!("loss: none is listed")
    };
    Ok(ScaleLoss { value, gradient: slope, targets, terms: terms.into_iter().collect(), sums: Some(sums) })
}

/// The targets as the device takes them.
fn bytes(targets: &TargetGrid) -> Vec<u8> {
    let mut bytes = targets.data.clone();
    bytes.iter_mut().zip(&targets.centreline).filter(|(_, on)| **on).for_each(|(byte, _)| *byte = ON_LINE);
    bytes
}

fn add(all: &mut Slopes, own: Slopes) {
    all.bce += own.bce;
    all.dice += own.dice;
    all.dice_reference += own.dice_reference;
    all.line += own.line;
}

/// Sums of each map over the samples of a group: over all of them, or each alone.
pub(super) fn grouped(sums: &[Sums], prompts: usize, groups: usize) -> Vec<Sums> {
    let mut all = vec![Sums::default(); groups * prompts];
    let samples = sums.len() / prompts.max(1);
    for (at, own) in sums.iter().enumerate() {
        let group = at / prompts * groups / samples.max(1);
        let sum = &mut all[group * prompts + at % prompts];
        sum.both += own.both;
        sum.predicted += own.predicted;
        sum.reference += own.reference;
        sum.bce += own.bce;
        sum.voxels += own.voxels;
        sum.line_found += own.line_found;
        sum.line_voxels += own.line_voxels;
    }
    all
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::loss::conformance::goldens;
    use crate::loss::{LossConfig, supervised};

    /// The way of a device, walked on the CPU, beside the CPU's own.
    #[test]
    fn both_ways_give_the_same_loss() {
        for golden in goldens() {
            let prompts = golden.shape[4];
            let maps: Vec<f64> = (0..prompts).map(|prompt| 1.0 + f64::from(prompt as u8)).collect();
            for batch_dice in [false, true] {
                let config = LossConfig { skeleton_recall: 0.7, soft_cl_dice: 0.3, batch_dice, ..golden.config() };
                let logits = Tensor::from_vec(golden.logits.clone(), &golden.shape, &Device::Cpu).unwrap();
                let targets = golden.targets();
                let weight = config.scale_weights[0];
                let ours = supervised(std::slice::from_ref(&logits), std::slice::from_ref(&targets), &config, &maps);
                let ours = ours.unwrap().remove(0);
                let scale = Scale { logits: &[], targets: &targets, maps: &maps, weight };
                let theirs = scale_loss(&config.losses(), &logits, scale).unwrap();
                assert!((ours.value - theirs.value).abs() < 1e-6, "{} {}", ours.value, theirs.value);
                let flat = |loss: &ScaleLoss| loss.gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                for (a, b) in flat(&ours).iter().zip(flat(&theirs)) {
                    assert!((a - b).abs() < 1e-7 + 1e-5 * a.abs(), "{a} {b}");
                }
                for (a, b) in ours.targets.iter().zip(&theirs.targets) {
                    assert!(
                        a.voxels == b.voxels && (a.value - b.value).abs() < 1e-6 || a.value.is_nan(),
                        "{a:?} {b:?}"
                    );
                }
                assert_eq!(ours.terms.keys().collect::<Vec<_>>(), theirs.terms.keys().collect::<Vec<_>>());
            }
        }
    }
}
