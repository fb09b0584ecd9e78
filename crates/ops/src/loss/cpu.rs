//! The sweeps over voxels on the CPU; sums are kept per block and added in block order.

use rayon::prelude::*;

use super::{FULL, IGNORED, Slopes, Sums};

/// Voxels a block.
const BLOCK: usize = 4096;

impl Sums {
    fn add(&mut self, other: &Self) {
        self.both += other.both;
        self.predicted += other.predicted;
        self.reference += other.reference;
        self.bce += other.bce;
        self.voxels += other.voxels;
    }
}

/// Sums by `[group, map]`, and the probabilities, 0 where nothing is supervised.
pub(super) fn sums(logits: &[f32], targets: &[u8], groups: usize, maps: usize) -> (Vec<Sums>, Vec<f32>) {
    let mut probabilities = vec![0.0f32; logits.len()];
    let mut all = Vec::with_capacity(groups * maps);
    let (group_len, block) = ((logits.len() / groups).max(1), BLOCK * maps);
    let parts = logits.chunks(group_len).zip(targets.chunks(group_len)).zip(probabilities.chunks_mut(group_len));
    for ((logits, targets), probabilities) in parts {
        let partial: Vec<Vec<Sums>> = logits
            .par_chunks(block)
            .zip(targets.par_chunks(block))
            .zip(probabilities.par_chunks_mut(block))
            .map(|((logits, targets), probabilities)| block_sums(logits, targets, probabilities, maps))
            .collect();
        let mut sums = vec![Sums::default(); maps];
        for block in &partial {
            sums.iter_mut().zip(block).for_each(|(sum, part)| sum.add(part));
        }
        all.extend(sums);
    }
    (all, probabilities)
}

/// Probabilities become gradients of the logits.
pub(super) fn slopes(gradient: &mut [f32], targets: &[u8], slopes: &[Slopes], maps: usize) {
    let (group_len, block) = ((gradient.len() / (slopes.len() / maps)).max(1), BLOCK * maps);
    let groups = gradient.chunks_mut(group_len).zip(targets.chunks(group_len)).zip(slopes.chunks(maps));
    for ((gradient, targets), slopes) in groups {
        let blocks = gradient.par_chunks_mut(block).zip(targets.par_chunks(block));
        blocks.for_each(|(gradient, targets)| block_gradient(gradient, targets, slopes));
    }
}

/// Sums of a block by map; `probabilities` is filled.
fn block_sums(logits: &[f32], targets: &[u8], probabilities: &mut [f32], maps: usize) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); maps];
    let voxels = logits.chunks_exact(maps).zip(targets.chunks_exact(maps)).zip(probabilities.chunks_exact_mut(maps));
    for ((logits, targets), probabilities) in voxels {
        for (((&z, &target), probability), sum) in logits.iter().zip(targets).zip(probabilities).zip(&mut sums) {
            if target == IGNORED {
                continue;
            }
            let y = share(target);
            let small = (-z.abs()).exp();
            let p = if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            *probability = p;
            sum.both += f64::from(p * y);
            sum.predicted += f64::from(p);
            sum.reference += f64::from(y);
            sum.bce += f64::from(z.max(0.0) + small.ln_1p() - y * z);
            sum.voxels += 1.0;
        }
    }
    sums
}

fn block_gradient(gradient: &mut [f32], targets: &[u8], slopes: &[Slopes]) {
    let maps = slopes.len();
    for (gradient, targets) in gradient.chunks_exact_mut(maps).zip(targets.chunks_exact(maps)) {
        for ((gradient, &target), slopes) in gradient.iter_mut().zip(targets).zip(slopes) {
            if target == IGNORED {
                *gradient = 0.0;
                continue;
            }
            let (p, y) = (*gradient, share(target));
            *gradient = slopes.bce * (p - y) + (slopes.dice + slopes.dice_reference * y) * p * (1.0 - p);
        }
    }
}

fn share(target: u8) -> f32 {
    f32::from(target) / f32::from(FULL)
}
