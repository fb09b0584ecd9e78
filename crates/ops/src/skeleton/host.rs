//! Sums and gradients on the host, map by map.

use rayon::prelude::*;

use super::{Extent, SkeletonSlopes, SkeletonSums, SoftSkeleton};
use crate::loss::{FULL, IGNORED};

/// One map of one sample.
struct Map {
    probabilities: Vec<f32>,
    targets: Vec<u8>,
    shape: [usize; 3],
}

impl Map {
    fn of(logits: &[f32], targets: &[u8], extent: Extent, at: usize) -> Self {
        let (sample, map) = (at / extent.maps, at % extent.maps);
        let places = || (0..extent.voxels()).map(|voxel| (sample * extent.voxels() + voxel) * extent.maps + map);
        Self {
            probabilities: places().map(|at| 1.0 / (1.0 + (-logits[at]).exp())).collect(),
            targets: places().map(|at| targets[at]).collect(),
            shape: extent.shape,
        }
    }

    fn skeleton(&self) -> SoftSkeleton {
        SoftSkeleton::of(&self.probabilities, self.shape)
    }

    fn sums(&self) -> SkeletonSums {
        let mut sums = SkeletonSums::default();
        for (skeleton, &target) in self.skeleton().values.iter().zip(&self.targets) {
            if target != IGNORED {
                sums.skeleton += f64::from(*skeleton);
                sums.right += f64::from(skeleton * share(target));
            }
        }
        sums
    }

    fn gradient(&self, slopes: SkeletonSlopes) -> Vec<f32> {
        let by_skeleton = self.targets.iter().map(|&target| match target {
            IGNORED => 0.0,
            target => slopes.skeleton + slopes.right * share(target),
        });
        let mut gradient = self.skeleton().backward(by_skeleton.collect());
        for ((slope, p), &target) in gradient.iter_mut().zip(&self.probabilities).zip(&self.targets) {
            *slope = if target == IGNORED { 0.0 } else { *slope * p * (1.0 - p) };
        }
        gradient
    }
}

fn share(target: u8) -> f32 {
    f32::from(target.min(FULL)) / f32::from(FULL)
}

pub(super) fn sums(logits: &[f32], targets: &[u8], extent: Extent) -> Vec<SkeletonSums> {
    let maps = (0..extent.samples * extent.maps).into_par_iter();
    maps.map(|at| Map::of(logits, targets, extent, at).sums()).collect()
}

pub(super) fn gradient(logits: &[f32], targets: &[u8], slopes: &[SkeletonSlopes], extent: Extent) -> Vec<f32> {
    let of_maps: Vec<Vec<f32>> = slopes
        .par_iter()
        .enumerate()
        .map(|(at, slopes)| Map::of(logits, targets, extent, at).gradient(*slopes))
        .collect();
    let mut all = vec![0.0; logits.len()];
    for (at, own) in of_maps.iter().enumerate() {
        let first = at / extent.maps * extent.voxels() * extent.maps + at % extent.maps;
        all[first..].iter_mut().step_by(extent.maps).zip(own).for_each(|(to, slope)| *to = *slope);
    }
    all
}
