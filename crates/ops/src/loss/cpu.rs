//! The plain loops: the reference of the kernels.

use super::{Extent, IGNORED, NUMBERS, ON_LINE, Sums};

/// `logits` and `targets` `[samples, voxels, maps]`.
pub(super) fn sums(logits: &[f32], targets: &[u8], extent: Extent) -> Vec<Sums> {
    let Extent { samples, voxels, maps } = extent;
    let mut all = vec![Sums::default(); samples * maps];
    for (at, (&z, &target)) in logits.iter().zip(targets).enumerate().filter(|(_, (_, target))| **target != IGNORED) {
        all[at / (voxels * maps) * maps + at % maps].add(terms(z, target));
    }
    all
}

/// One voxel's part of each sum.
fn terms(z: f32, target: u8) -> [f64; NUMBERS] {
    let (p, y) = (probability(z), share(target));
    let on_line = f32::from(u8::from(target == ON_LINE));
    let bce = z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z;
    [p * y, p, y, bce, 1.0, p * on_line, on_line].map(f64::from)
}

/// `slopes` `[samples, maps, 4]`.
pub(super) fn gradient(logits: &[f32], targets: &[u8], slopes: &[f32], extent: Extent) -> Vec<f32> {
    let Extent { voxels, maps, .. } = extent;
    let slope = |(at, (&z, &target)): (usize, (&f32, &u8))| {
        if target == IGNORED {
            return 0.0;
        }
        let (p, y) = (probability(z), share(target));
        let slopes = &slopes[(at / (voxels * maps) * maps + at % maps) * 4..][..4];
        let line = if target == ON_LINE { slopes[3] } else { 0.0 };
        slopes[0] * (p - y) + (slopes[1] + slopes[2] * y + line) * p * (1.0 - p)
    };
    logits.iter().zip(targets).enumerate().map(slope).collect()
}

fn probability(z: f32) -> f32 {
    let small = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

fn share(target: u8) -> f32 {
    f32::from(target.min(super::FULL)) / f32::from(super::FULL)
}
