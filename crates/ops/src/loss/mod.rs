//! What losses of voxels against shares of targets are made of: sums over what is supervised, and the gradient of the
//! logits. Which loss they make is the caller's.
//!
//! A target is one byte: the share of the voxel in 1/[`FULL`], or [`IGNORED`] where the reference says nothing.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Storage, Tensor, bail};

use crate::dense::values;

/// The whole voxel belongs to the target.
pub const FULL: u8 = 128;
/// The ignore mask.
pub const IGNORED: u8 = 255;

/// Sums over the supervised voxels of one map; p is the probability, y the share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Σ p y.
    pub both: f64,
    /// Σ p.
    pub predicted: f64,
    /// Σ y.
    pub reference: f64,
    /// Σ softplus(z) − y z, the cross-entropy.
    pub bce: f64,
    /// How many there are.
    pub voxels: f64,
}

/// Derivatives of a loss by a voxel of one map: of its probability (`dice`, `dice_reference`·y) and of its logit
/// (`bce`·(p − y)).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slopes {
    /// By the probability.
    pub dice: f32,
    /// By the probability, times the share.
    pub dice_reference: f32,
    /// By the logit, of the cross-entropy.
    pub bce: f32,
}

/// Sums by `[group, map]`, and the probabilities, for [`slopes`]. A group is the batch (1) or a sample (n).
///
/// # Shapes
/// `logits` f32 and `targets` u8 `[n, .., maps]` → `groups · maps` sums, probabilities as the logits.
///
/// # Errors
/// Shapes that differ, groups that do not divide n, tensors that are not contiguous.
pub fn sums(logits: &Tensor, targets: &Tensor, groups: usize) -> Result<(Vec<Sums>, Tensor)> {
    let (samples, maps) = (logits.dims().first().copied().unwrap_or(0), logits.dims().last().copied().unwrap_or(0));
    if logits.dims() != targets.dims() || maps == 0 || groups == 0 || !samples.is_multiple_of(groups) {
        bail!("loss: logits are {:?}, targets {:?}, in {groups} groups", logits.dims(), targets.dims());
    }
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() {
        return cuda::sums(logits, targets, groups);
    }
    let (logit_storage, logit_layout) = logits.storage_and_layout();
    let (target_storage, target_layout) = targets.storage_and_layout();
    let (z, y) = (values(&logit_storage, logit_layout)?, bytes(&target_storage, target_layout)?);
    let (sums, probabilities) = cpu::sums(z, y, groups, maps);
    Ok((sums, Tensor::from_vec(probabilities, logits.shape(), logits.device())?))
}

/// The gradient of the logits, written over the probabilities; `slopes` by `[group, map]`.
///
/// # Shapes
/// As [`sums`] gave them.
///
/// # Errors
/// As [`sums`].
pub fn slopes(probabilities: Tensor, targets: &Tensor, slopes: &[Slopes]) -> Result<Tensor> {
    let maps = probabilities.dims().last().copied().unwrap_or(0);
    if probabilities.dims() != targets.dims() || maps == 0 || slopes.is_empty() || slopes.len() % maps != 0 {
        bail!("loss: probabilities are {:?}, targets {:?}", probabilities.dims(), targets.dims());
    }
    #[cfg(feature = "cuda")]
    if probabilities.device().is_cuda() {
        return cuda::slopes(&probabilities, targets, slopes);
    }
    probabilities.inplace_op1(&WriteSlopes { targets, slopes })?;
    Ok(probabilities)
}

struct WriteSlopes<'a> {
    targets: &'a Tensor,
    slopes: &'a [Slopes],
}

impl InplaceOp1 for WriteSlopes<'_> {
    fn name(&self) -> &'static str {
        "loss_slopes"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(all), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("loss: expected contiguous f32 probabilities");
        };
        let (target_storage, target_layout) = self.targets.storage_and_layout();
        let maps = self.targets.dims().last().copied().unwrap_or(1);
        cpu::slopes(&mut all[start..end], bytes(&target_storage, target_layout)?, self.slopes, maps);
        Ok(())
    }
}

fn bytes<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [u8]> {
    match (storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::U8(all)), Some((start, end))) => Ok(&all[start..end]),
        _ => bail!("loss: targets must be contiguous and {:?}", DType::U8),
    }
}
