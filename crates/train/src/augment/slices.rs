//! Thick slices: what a scan of 2–5 mm looks like after it was resampled to the plan's spacing.

use serde::{Deserialize, Serialize};

use super::{Augmentation, Randoms};
use crate::error::TrainError;
use crate::patch::Patch;
use crate::range::rising;

/// Averages along z into slices of uniform thickness at a random offset and interpolates linearly between their
/// centres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Slices {
    /// How often.
    pub probability: f32,
    /// Thinnest and thickest slice.
    pub thickness_mm: [f32; 2],
}

impl Augmentation for Slices {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn check_ranges(&self) -> Result<(), TrainError> {
        rising("augment.slices.thicknessMm", self.thickness_mm, 0.1, 20.0)
    }

    fn apply(&self, patch: &mut Patch, spacing_mm: [f64; 3], random: &mut Randoms<'_>) {
        let thickness = random.choice.between(self.thickness_mm[0], self.thickness_mm[1]) / spacing_mm[0] as f32;
        let offset = random.choice.uniform();
        if thickness > 1.0 {
            patch.hu = thicken(&patch.hu, patch.shape, 0, thickness, offset);
        }
    }
}

/// Averages along `axis`: `thickness` in voxels; slice centres lie at (k + `offset`) · `thickness`.
pub(super) fn thicken(hu: &[f32], shape: [usize; 3], axis: usize, thickness: f32, offset: f32) -> Vec<f32> {
    let plane: usize = shape[axis + 1..].iter().product();
    let stack = (plane * shape[axis]).max(1);
    let mut thick = vec![0.0f32; hu.len()];
    for at in 0..shape[axis] {
        let position = (at as f32 + 0.5) / thickness - offset;
        let below = position.floor();
        let share = position - below;
        let mut weights = vec![0.0f32; shape[axis]];
        add_slice(&mut weights, (below + offset) * thickness, thickness, 1.0 - share);
        add_slice(&mut weights, (below + 1.0 + offset) * thickness, thickness, share);
        let first = weights.iter().position(|&weight| weight > 0.0).unwrap_or(0);
        let end = weights.iter().rposition(|&weight| weight > 0.0).map_or(0, |last| last + 1);
        for (thick, hu) in thick.chunks_exact_mut(stack).zip(hu.chunks_exact(stack)) {
            let out = &mut thick[at * plane..(at + 1) * plane];
            for (source, &weight) in hu[first * plane..end * plane].chunks_exact(plane).zip(&weights[first..end]) {
                out.iter_mut().zip(source).for_each(|(out, hu)| *out += weight * hu);
            }
        }
    }
    thick
}

/// Adds a box of this centre and width, cut at the patch's ends, to the weights of the planes.
fn add_slice(weights: &mut [f32], centre: f32, width: f32, share: f32) {
    let depth = weights.len() as f32;
    let (low, high) = ((centre - width / 2.0).max(0.0), (centre + width / 2.0).min(depth));
    if high - low < 1e-3 {
        let nearest = if centre < depth / 2.0 { 0 } else { weights.len() - 1 };
        weights[nearest] += share;
        return;
    }
    for (z, weight) in weights.iter_mut().enumerate() {
        let covered = (high.min(z as f32 + 1.0) - low.max(z as f32)).max(0.0);
        *weight += share * covered / (high - low);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_stay_and_lines_are_smeared() {
        let flat = vec![40.0f32; 16 * 4];
        for (thickness, offset) in [(2.0, 0.0), (3.7, 0.4), (5.0, 0.99)] {
            for hu in (0..3).flat_map(|axis| thicken(&flat, [16, 2, 2], axis, thickness, offset)) {
                assert!((hu - 40.0).abs() < 1e-3, "{hu}");
            }
        }
        let mut line = vec![0.0f32; 16];
        line[8] = 300.0;
        let thick = thicken(&line, [1, 16, 1], 1, 3.0, 0.2);
        let peak = thick.iter().copied().fold(0.0f32, f32::max);
        assert!(peak < 101.0, "{peak}");
        assert!(peak > 30.0, "{peak}");
    }
}
