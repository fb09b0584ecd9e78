//! The soft skeleton of maps of probabilities, and its gradient (Shit et al., "clDice – a novel topology-preserving loss
//! function for tubular structure segmentation", CVPR 2021, arXiv 2003.07311).
//!
//! With erosion E (the least of a voxel and its six neighbours) and dilation D (the largest of its 27), for p = σ(z):
//!
//! ```text
//! I₀ = p        Iⱼ₊₁ = E(Iⱼ)        δⱼ = max(0, Iⱼ − D(E(Iⱼ)))        S = 1 − Π (1 − δⱼ)
//! ```
//!
//! Neighbours outside the map do not count. Of a device only sums come back.

#[cfg(feature = "cuda")]
mod cuda;
mod host;
mod soft;

use candle_core::{Result, Tensor, bail};

use crate::device::{from_host, with_host};
use crate::loss::Targets;

pub use soft::SoftSkeleton;

/// Sums over the known voxels of one sample and map; y is the target's share of the voxel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SkeletonSums {
    /// Σ S.
    pub skeleton: f64,
    /// Σ S y.
    pub right: f64,
}

/// How steeply something depends on those sums.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SkeletonSlopes {
    /// On Σ S.
    pub skeleton: f32,
    /// On Σ S y.
    pub right: f32,
}

/// The soft skeletons of every sample and map.
pub struct Skeletons<'a> {
    logits: &'a Tensor,
    targets: &'a Targets,
    extent: Extent,
    #[cfg(feature = "cuda")]
    card: Option<cuda::Kept>,
}

/// `[samples, z, y, x, maps]`.
#[derive(Debug, Clone, Copy)]
struct Extent {
    samples: usize,
    shape: [usize; 3],
    maps: usize,
}

impl Extent {
    fn voxels(self) -> usize {
        self.shape.iter().product()
    }
}

impl<'a> Skeletons<'a> {
    /// Thins the maps; voxels without a target shape the skeleton beside them.
    ///
    /// # Shapes
    /// `logits` `[n, z, y, x, maps]`, targets the same.
    ///
    /// # Errors
    /// Shapes that differ; tensors on different devices, or not contiguous; a device without room.
    pub fn of(logits: &'a Tensor, targets: &'a Targets) -> Result<Self> {
        let (&[samples, z, y, x, maps], true) = (logits.dims(), logits.dims() == targets.dims()) else {
            bail!("skeleton: logits are {:?}, targets {:?}", logits.dims(), targets.dims());
        };
        let extent = Extent { samples, shape: [z, y, x], maps };
        Ok(Self {
            logits,
            targets,
            extent,
            #[cfg(feature = "cuda")]
            card: logits.device().is_cuda().then(|| cuda::Kept::of(logits, extent)).transpose()?,
        })
    }

    /// Sums of each sample and map, maps fastest; one read of the device.
    ///
    /// # Errors
    /// As [`Skeletons::of`].
    pub fn sums(&self) -> Result<Vec<SkeletonSums>> {
        #[cfg(feature = "cuda")]
        if let Some(card) = &self.card {
            return card.sums(self.targets);
        }
        let bytes = self.targets.to_host()?;
        with_host(self.logits, |logits| host::sums(logits, &bytes, self.extent))
    }

    /// The gradient by the logits; `slopes` as [`Skeletons::sums`] gives its answers.
    ///
    /// # Errors
    /// As [`Skeletons::of`]; another number of slopes.
    pub fn gradient(&self, slopes: &[SkeletonSlopes]) -> Result<Tensor> {
        if slopes.len() != self.extent.samples * self.extent.maps {
            bail!("skeleton: {} slopes for logits of shape {:?}", slopes.len(), self.logits.dims());
        }
        #[cfg(feature = "cuda")]
        if let Some(card) = &self.card {
            let numbers: Vec<f32> = slopes.iter().flat_map(|slopes| [slopes.skeleton, slopes.right]).collect();
            return card.gradient(
                self.logits,
                self.targets,
                &from_host(numbers, (slopes.len(), 2), self.logits.device())?,
            );
        }
        let bytes = self.targets.to_host()?;
        let gradient = with_host(self.logits, |logits| host::gradient(logits, &bytes, slopes, self.extent))?;
        from_host(gradient, self.logits.shape(), self.logits.device())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::loss::{FULL, IGNORED};

    /// The gradient of L = Σ a S + b Σ S y, against finite differences of the sums.
    #[test]
    fn the_gradient_is_that_of_the_sums() -> Result<()> {
        let shape = [2, 3, 4, 5, 2];
        let count: usize = shape.iter().product();
        let logits: Vec<f32> = (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) / 20.0).collect();
        let bytes: Vec<u8> = (0..count).map(|i| [FULL, 0, IGNORED, 50][i * 5 / 3 % 4]).collect();
        let targets = Targets::new(bytes.clone(), &shape, &Device::Cpu)?;
        let slopes: Vec<SkeletonSlopes> =
            (0..4).map(|i| i as f32).map(|i| SkeletonSlopes { skeleton: 0.3 + i, right: 1.0 - 0.5 * i }).collect();
        let loss = |logits: Vec<f32>| -> Result<f64> {
            let logits = Tensor::from_vec(logits, &shape, &Device::Cpu)?;
            let sums = Skeletons::of(&logits, &targets)?.sums()?;
            let by = |(sums, slopes): (&SkeletonSums, &SkeletonSlopes)| {
                sums.skeleton * f64::from(slopes.skeleton) + sums.right * f64::from(slopes.right)
            };
            Ok(sums.iter().zip(&slopes).map(by).sum())
        };
        let tensor = Tensor::from_vec(logits.clone(), &shape, &Device::Cpu)?;
        let found = Skeletons::of(&tensor, &targets)?.gradient(&slopes)?.flatten_all()?.to_vec1::<f32>()?;
        for at in 0..count {
            let moved = |by: f32| {
                let mut logits = logits.clone();
                logits[at] += by;
                loss(logits)
            };
            let expected = (moved(1e-3)? - moved(-1e-3)?) / 2e-3;
            // What nobody knows shapes the skeleton, but has no gradient.
            let expected = if bytes[at] == IGNORED { 0.0 } else { expected };
            assert!((f64::from(found[at]) - expected).abs() < 2e-3, "{at}: {} {expected}", found[at]);
        }
        Ok(())
    }
}
