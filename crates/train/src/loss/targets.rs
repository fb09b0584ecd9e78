//! Targets with their ignore mask, at every supervised scale.

use pulmoav_ops::loss::{Targets, halved};

use crate::code::{CENTRELINE_BIT, FULL, IGNORED, Share, TargetTable};

/// Targets `[n, d, h, w, p]`, one byte each: share of the voxel in 1/[`FULL`], or [`IGNORED`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGrid {
    /// `[n, d, h, w, p]`.
    pub shape: [usize; 5],
    /// Row-major.
    pub data: Vec<Share>,
    /// Whether the voxel is supervised and near a centreline of the target, in the same order; empty where nobody asked.
    pub centreline: Vec<bool>,
}

impl TargetGrid {
    /// Looks up every voxel of every sample: `codes` `[d, h, w]` with that sample's table.
    pub fn new(shape: [usize; 3], samples: &[(&[u8], TargetTable)]) -> Self {
        let targets = samples.first().map_or(0, |(_, table)| table.maps());
        let voxels: usize = shape.iter().product();
        let mut data = vec![IGNORED; samples.len() * voxels * targets];
        for ((codes, table), out) in samples.iter().zip(data.chunks_exact_mut((voxels * targets).max(1))) {
            for (&code, out) in codes.iter().zip(out.chunks_exact_mut(targets)) {
                table.look_up(code, out);
            }
        }
        Self { shape: [samples.len(), shape[0], shape[1], shape[2], targets], data, centreline: Vec::new() }
    }

    /// Targets that were made on the host.
    ///
    /// # Errors
    /// Targets that are not `[n, d, h, w, p]`.
    pub(crate) fn of(targets: &Targets) -> candle_core::Result<Self> {
        let &[n, d, h, w, p] = targets.dims() else { candle_core::bail!("loss: targets are {:?}", targets.dims()) };
        Ok(Self { shape: [n, d, h, w, p], data: targets.to_host()?, centreline: Vec::new() })
    }

    /// The same with centrelines; `codes` are those that [`TargetGrid::new`] was given.
    #[must_use]
    pub fn with_centrelines<'a>(mut self, codes: impl Iterator<Item = &'a [u8]>) -> Self {
        let shares = self.data.chunks_exact(self.shape[4].max(1));
        self.centreline = codes
            .flatten()
            .zip(shares)
            .flat_map(|(code, shares)| {
                let near = code & CENTRELINE_BIT != 0;
                shares.iter().map(move |&share| near && share == FULL)
            })
            .collect();
        self
    }

    /// The same at half the resolution: see [`halved`].
    #[must_use]
    pub fn halved(&self) -> Self {
        let (data, shape) = halved(&self.data, self.shape);
        Self { shape, data, centreline: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::Annotated,
        code::{SUPERVISED_BIT, tests::target},
    };
    use pulmoav_plan::VesselClass;

    #[test]
    fn halving_averages_what_is_known() {
        let table =
            TargetTable::new(&[target("artery", &[VesselClass::Artery], None)], &[], &Annotated::default(), false);
        let mut codes = vec![SUPERVISED_BIT; 2 * 2 * 4];
        codes[0] |= 1;
        codes[1] |= 1;
        codes[2] = 0;
        for i in [2, 3, 6, 7, 10] {
            codes[i] = 1;
        }
        let fine = TargetGrid::new([2, 2, 4], &[(&codes, table)]);
        assert_eq!(fine.data[..4], [FULL, FULL, IGNORED, IGNORED]);
        let coarse = fine.halved();
        assert_eq!(coarse.shape, [1, 1, 1, 2, 1]);
        assert_eq!(coarse.data, [FULL / 4, IGNORED]);
    }
}
