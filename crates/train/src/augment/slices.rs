//! Thick slices: what a scan of 2–5 mm looks like after it was resampled to the plan's spacing.

use pulmoav_ops::augment::{Average, CardPatch};
use serde::{Deserialize, Serialize};

use super::{Augmentation, CardTables, Change, Randoms, Site};
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

    fn draw(&self, site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        let thickness_mm = random.choice.between(self.thickness_mm[0], self.thickness_mm[1]);
        let (thickness, offset) = (thickness_mm / site.spacing_mm[0] as f32, random.choice.uniform());
        Box::new(Thickened([Stack { thickness, offset }, Stack::THIN, Stack::THIN]))
    }
}

/// Slices of some thickness along each axis, `[z, y, x]`.
#[derive(Debug)]
pub(super) struct Thickened(pub(super) [Stack; 3]);

/// Slices along one axis: their centres lie at (k + `offset`) · `thickness`, in voxels. Where they are no thicker than a
/// voxel, nothing is averaged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stack {
    pub(super) thickness: f32,
    pub(super) offset: f32,
}

impl Thickened {
    fn stacks(&self) -> impl Iterator<Item = (usize, Stack)> + '_ {
        self.0.iter().copied().enumerate().filter(|(_, stack)| stack.thickness > 1.0)
    }
}

impl Change for Thickened {
    fn apply(&self, patch: &mut Patch) {
        for (axis, stack) in self.stacks() {
            patch.hu = thicken(&patch.hu, patch.shape, axis, stack);
        }
    }

    fn apply_on_card(&self, patch: &mut CardPatch, _tables: &CardTables) -> candle_core::Result<()> {
        let shape = patch.shape();
        self.stacks().try_for_each(|(axis, stack)| {
            let averages: Vec<Average> = (0..shape[axis]).map(|at| stack.average(at, shape[axis])).collect();
            patch.average(axis, &averages)
        })
    }
}

impl Stack {
    pub(super) const THIN: Self = Self { thickness: 0.0, offset: 0.0 };

    /// What a plane of so many becomes.
    fn average(self, at: usize, planes: usize) -> Average {
        let Self { thickness, offset } = self;
        let position = (at as f32 + 0.5) / thickness - offset;
        let below = position.floor();
        let share = position - below;
        let mut weights = vec![0.0f32; planes];
        add_slice(&mut weights, (below + offset) * thickness, thickness, 1.0 - share);
        add_slice(&mut weights, (below + 1.0 + offset) * thickness, thickness, share);
        let first = weights.iter().position(|&weight| weight > 0.0).unwrap_or(0);
        let end = weights.iter().rposition(|&weight| weight > 0.0).map_or(0, |last| last + 1);
        Average { first, weights: weights[first..end].to_vec() }
    }
}

/// Averages along `axis`.
fn thicken(hu: &[f32], shape: [usize; 3], axis: usize, stack: Stack) -> Vec<f32> {
    let plane: usize = shape[axis + 1..].iter().product();
    let block = (plane * shape[axis]).max(1);
    let mut thick = vec![0.0f32; hu.len()];
    for at in 0..shape[axis] {
        let Average { first, weights } = stack.average(at, shape[axis]);
        for (thick, hu) in thick.chunks_exact_mut(block).zip(hu.chunks_exact(block)) {
            let out = &mut thick[at * plane..(at + 1) * plane];
            for (source, weight) in hu[first * plane..].chunks_exact(plane).zip(&weights) {
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
            for hu in (0..3).flat_map(|axis| thicken(&flat, [16, 2, 2], axis, Stack { thickness, offset })) {
                assert!((hu - 40.0).abs() < 1e-3, "{hu}");
            }
        }
        let mut line = vec![0.0f32; 16];
        line[8] = 300.0;
        let thick = thicken(&line, [1, 16, 1], 1, Stack { thickness: 3.0, offset: 0.2 });
        let peak = thick.iter().copied().fold(0.0f32, f32::max);
        assert!(peak < 101.0, "{peak}");
        assert!(peak > 30.0, "{peak}");
    }
}
