//! The plain loops: the reference of the kernels.

use super::{CODES, Extent, FULL, IGNORED, NUMBERS, ON_LINE, Sums};

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

/// See [`super::Targets::look_up`].
pub(super) fn look_up(codes: &[u8], tables: &[&[[u8; CODES]]], voxels: usize, line: u8) -> Vec<u8> {
    let samples = codes.chunks(voxels.max(1)).zip(tables);
    let of_voxel = |code: u8, table: &[u8; CODES]| match table[usize::from(code) % CODES] {
        FULL if code & line != 0 => ON_LINE,
        byte => byte,
    };
    let of_sample = |(codes, tables): (&'_ [u8], &&[[u8; CODES]])| -> Vec<u8> {
        codes.iter().flat_map(|&code| tables.iter().map(move |table| of_voxel(code, table))).collect()
    };
    samples.flat_map(of_sample).collect()
}

/// Targets at half the resolution (sizes rounded up): the mean over the known ones of each 2³ block, rounded; a block
/// with fewer than half of its voxels known is [`IGNORED`]. Centrelines are not kept.
///
/// # Shapes
/// `[n, z, y, x, maps]`, also what comes out.
pub fn halved(targets: &[u8], [n, depth, height, width, maps]: [usize; 5]) -> (Vec<u8>, [usize; 5]) {
    let half = [depth, height, width].map(|size| size.div_ceil(2));
    let mut data = Vec::with_capacity(n * half.iter().product::<usize>() * maps);
    let mut block = vec![Block::default(); maps];
    for sample in 0..n {
        for [z, y, x] in places(half) {
            block.fill(Block::default());
            for [dz, dy, dx] in places([2, 2, 2]) {
                let at = [2 * z + dz, 2 * y + dy, 2 * x + dx];
                if at[0] < depth && at[1] < height && at[2] < width {
                    let start = (((sample * depth + at[0]) * height + at[1]) * width + at[2]) * maps;
                    block.iter_mut().zip(&targets[start..start + maps]).for_each(|(block, &share)| block.add(share));
                }
            }
            data.extend(block.iter().map(|block| block.share()));
        }
    }
    (data, [n, half[0], half[1], half[2], maps])
}

#[derive(Clone, Copy, Default)]
struct Block {
    voxels: u16,
    known: u16,
    sum: u16,
}

impl Block {
    fn add(&mut self, share: u8) {
        self.voxels += 1;
        if share != IGNORED {
            self.known += 1;
            self.sum += u16::from(share.min(super::FULL));
        }
    }

    fn share(self) -> u8 {
        if self.known == 0 || self.known * 2 < self.voxels {
            return IGNORED;
        }
        ((self.sum + self.known / 2) / self.known).min(u16::from(super::FULL)) as u8
    }
}

fn places([depth, height, width]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..depth).flat_map(move |z| (0..height).flat_map(move |y| (0..width).map(move |x| [z, y, x])))
}
