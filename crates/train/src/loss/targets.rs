//! Targets with their ignore mask, at every supervised scale.

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

    /// The same at half the resolution (sizes rounded up): the mean over the supervised ones of each 2³ block; a block
    /// with fewer than half of its voxels supervised is ignored.
    #[must_use]
    pub fn halved(&self) -> Self {
        let [n, d, h, w, p] = self.shape;
        let [half_d, half_h, half_w] = [d.div_ceil(2), h.div_ceil(2), w.div_ceil(2)];
        let mut data = Vec::with_capacity(n * half_d * half_h * half_w * p);
        let mut block = vec![Block::default(); p];
        for sample in 0..n {
            for (z, y, x) in blocks([half_d, half_h, half_w]) {
                block.fill(Block::default());
                for (dz, dy, dx) in blocks([2, 2, 2]) {
                    let at = [2 * z + dz, 2 * y + dy, 2 * x + dx];
                    if at[0] < d && at[1] < h && at[2] < w {
                        let start = (((sample * d + at[0]) * h + at[1]) * w + at[2]) * p;
                        block.iter_mut().zip(&self.data[start..start + p]).for_each(|(b, &share)| b.add(share));
                    }
                }
                data.extend(block.iter().map(|block| block.share()));
            }
        }
        Self { shape: [n, half_d, half_h, half_w, p], data, centreline: Vec::new() }
    }
}

#[derive(Clone, Copy, Default)]
struct Block {
    voxels: u16,
    known: u16,
    sum: u16,
}

impl Block {
    fn add(&mut self, share: Share) {
        self.voxels += 1;
        if share != IGNORED {
            self.known += 1;
            self.sum += u16::from(share);
        }
    }

    fn share(self) -> Share {
        if self.known == 0 || self.known * 2 < self.voxels {
            return IGNORED;
        }
        ((self.sum + self.known / 2) / self.known).min(u16::from(FULL)) as Share
    }
}

fn blocks([depth, height, width]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..depth).flat_map(move |z| (0..height).flat_map(move |y| (0..width).map(move |x| (z, y, x))))
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
