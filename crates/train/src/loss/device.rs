//! The losses where logits lie on a device: sums of each map come to the host, what follows from them is computed as on
//! the CPU, and slopes of each map go back.

use candle_core::{Device, Tensor};
use pulmoav_ops::loss::{ON_LINE, Slopes, Targets, gradient, sums};
use pulmoav_ops::skeleton::{SkeletonSlopes, SkeletonSums, Skeletons};

use super::scale::{Loss, MapSlopes, MapSums, Part, Scale, ScaleLoss};
use super::{LossConfig, TargetGrid};
use crate::code::{CENTRELINE_BIT, TargetTable};
use crate::error::TrainError;

/// Targets on a device, and whether centrelines are among them.
#[derive(Debug, Clone)]
pub struct DeviceTargets {
    /// One byte a voxel and map.
    pub targets: Targets,
    /// Whether losses of centrelines apply.
    pub centrelines: bool,
}

impl DeviceTargets {
    /// The targets of every scale, finest first, by the codes and the table of each sample; none is made on the host.
    ///
    /// # Shapes
    /// `codes`: u8 `[n, z, y, x]` on the device; n tables.
    ///
    /// # Errors
    /// Tables that differ in their maps, or another number of them; a device without room.
    pub fn scales(
        codes: &Tensor,
        tables: &[&TargetTable],
        centrelines: bool,
        scales: usize,
    ) -> Result<Vec<Self>, TrainError> {
        let tables: Vec<_> = tables.iter().map(|table| table.rows()).collect();
        let finest = Targets::look_up(codes, &tables, centrelines.then_some(CENTRELINE_BIT))?;
        Self { targets: finest, centrelines }.halved_to(scales)
    }

    /// With so many scales in all, each at half the resolution of the one before, without centrelines.
    pub(crate) fn halved_to(self, scales: usize) -> Result<Vec<Self>, TrainError> {
        let mut all = vec![self];
        while all.len() < scales {
            all.push(Self { targets: all[all.len() - 1].targets.halved()?, centrelines: false });
        }
        Ok(all)
    }
}

/// As [`super::supervised`], of targets that lie beside their logits.
///
/// # Errors
/// As [`super::supervised`].
pub fn on_device(
    logits: &[Tensor],
    targets: &[DeviceTargets],
    config: &LossConfig,
    maps: &[f64],
) -> Result<Vec<ScaleLoss>, TrainError> {
    let losses = config.losses();
    let scales = logits.iter().zip(targets).zip(&config.scale_weights);
    scales.map(|((logits, targets), &weight)| Ok(scale_loss(&losses, logits, targets, maps, weight)?)).collect()
}

/// The host's targets on a device.
pub(super) fn uploaded(targets: &TargetGrid, device: &Device) -> candle_core::Result<DeviceTargets> {
    let mut bytes = targets.data.clone();
    bytes.iter_mut().zip(&targets.centreline).filter(|(_, on)| **on).for_each(|(byte, _)| *byte = ON_LINE);
    let centrelines = !targets.centreline.is_empty();
    Ok(DeviceTargets { targets: Targets::new(bytes, &targets.shape, device)?, centrelines })
}

/// The loss of one scale.
pub(super) fn scale_loss(
    losses: &[Box<dyn Loss>],
    logits: &Tensor,
    DeviceTargets { targets, centrelines }: &DeviceTargets,
    maps: &[f64],
    weight: f64,
) -> candle_core::Result<ScaleLoss> {
    let &[n, d, h, w, p] = logits.dims() else { candle_core::bail!("loss: logits are {:?}", logits.dims()) };
    // What is concluded from sums asks for the shape alone.
    let grid = TargetGrid { shape: [n, d, h, w, p], data: Vec::new(), centreline: Vec::new() };
    let scale = Scale { logits: &[], targets: &grid, maps, weight };
    let own = sums(logits, targets)?;
    let thinned = *centrelines && losses.iter().any(|loss| loss.needs_skeletons());
    let skeletons = thinned.then(|| Skeletons::of(logits, targets)).transpose()?;
    let lines = skeletons.as_ref().map(Skeletons::sums).transpose()?;
    let lines = lines.unwrap_or_else(|| vec![SkeletonSums::default(); own.len()]);
    let told: Vec<MapSums> = own.iter().zip(lines).map(|(&voxels, skeleton)| MapSums { voxels, skeleton }).collect();
    let mut slopes = vec![MapSlopes::default(); told.len()];
    let mut parts = Vec::new();
    for loss in losses {
        let (part, own) = loss.conclude(&scale, &told);
        parts.push(part);
        slopes.iter_mut().zip(&own).for_each(|(all, own)| all.add(own));
    }
    let voxels: Vec<Slopes> = slopes.iter().map(|slopes| slopes.voxels).collect();
    let mut slope = gradient(logits, targets, &voxels)?;
    if let Some(skeletons) = skeletons {
        let lines: Vec<SkeletonSlopes> = slopes.iter().map(|slopes| slopes.skeleton).collect();
        slope = (slope + skeletons.gradient(&lines)?)?;
    }
    let Some(Part { value, targets, terms, .. }) = parts.into_iter().reduce(|sum, part| sum.plus(&part)) else {
        candle_core::bail!("loss: none is listed")
    };
    Ok(ScaleLoss { value, gradient: slope, targets, terms: terms.into_iter().collect(), sums: Some(own) })
}

/// Sums of each map over the samples of a group: over all of them, or each alone.
pub(super) fn grouped(sums: &[MapSums], prompts: usize, groups: usize) -> Vec<MapSums> {
    let mut all = vec![MapSums::default(); groups * prompts];
    let samples = sums.len() / prompts.max(1);
    for (at, own) in sums.iter().enumerate() {
        let group = at / prompts * groups / samples.max(1);
        all[group * prompts + at % prompts].add(own);
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
                let uploaded = uploaded(&targets, &Device::Cpu).unwrap();
                let theirs = scale_loss(&config.losses(), &logits, &uploaded, &maps, weight).unwrap();
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
