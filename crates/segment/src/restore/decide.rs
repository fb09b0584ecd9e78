//! What a voxel is, from the probabilities of the prompts asked: a row at a time, in blocks of voxels without a branch.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use pulmoav_anatomy::lungs::{LEFT, RIGHT};
use pulmoav_anatomy::marks;
use pulmoav_ops::labels::Rule;
use pulmoav_plan::{BodySide, Plan};
use pulmoav_simd::{Kernel, Lanes, Level};

use crate::prompt::contains;

/// A voxel is labelled above this probability.
const THRESHOLD: f32 = 0.5;

/// How a voxel's label follows from the probabilities of the prompts asked.
pub(super) struct Rules {
    values: Vec<u8>,
    /// The side a prompt is limited to, as a lung label; 0 = both, or as the network sees it.
    pub(super) sides: Vec<u8>,
    /// `narrower[i]`: prompts whose target lies within prompt i's.
    narrower: Vec<Vec<usize>>,
}

impl Rules {
    pub(super) fn new(plan: &Plan, asked: &[usize]) -> Self {
        let target = |&place: &usize| &plan.targets[place];
        let side = |side: Option<BodySide>| {
            side.filter(|_| plan.postprocesses()).map_or(0, |s| if s == BodySide::Left { LEFT } else { RIGHT })
        };
        let within = |wide: &usize| {
            let is_within = |&(_, narrow): &(usize, &usize)| contains(target(wide), target(narrow));
            asked.iter().enumerate().filter(is_within).map(|(index, _)| index).collect()
        };
        Self {
            values: asked.iter().map(|place| target(place).value).collect(),
            sides: asked.iter().map(|place| side(target(place).side)).collect(),
            narrower: asked.iter().map(within).collect(),
        }
    }

    /// The same for a device that looks up [`marks`]; `limited` to where vessels can be.
    pub(super) fn for_card(&self, limited: bool, has_lungs: bool) -> Vec<Rule> {
        let rule = |(prompt, &value): (usize, &u8)| {
            let narrower = self.narrower[prompt].iter().fold(0, |bits, &other| bits | 1 << other);
            let region = if limited { marks::REGION } else { 0 };
            let (mask, code) = match self.sides[prompt] {
                LEFT => (region | marks::NEARER_LEFT, region | marks::NEARER_LEFT),
                RIGHT => (region | marks::NEARER_RIGHT, region | marks::NEARER_RIGHT),
                _ => (region, region),
            };
            if has_lungs { Rule { value, narrower, mask, code } } else { Rule { value, narrower, mask: 0, code: 0 } }
        };
        self.values.iter().enumerate().map(rule).collect()
    }

    /// The value of the most probable prompt above the threshold; a prompt gives way to one within it that is above
    /// too. Of equals the first asked wins. Blocks of voxels without a branch: near a vessel every guess would be a
    /// coin's.
    ///
    /// # Shapes
    /// `probabilities` `[p, x]` → `labels` `[x]`.
    pub(super) fn decide(&self, probabilities: &[f32], labels: &mut [u8]) {
        Level::current().run(Decide { rules: self, probabilities, labels });
    }
}

/// [`Rules::decide`].
struct Decide<'a> {
    rules: &'a Rules,
    probabilities: &'a [f32],
    labels: &'a mut [u8],
}

impl Kernel for Decide<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { rules, probabilities, labels } = self;
        let width = labels.len();
        let (blocks, rest) = labels.as_chunks_mut::<BLOCK>();
        let done = blocks.len() * BLOCK;
        for (block, labels) in blocks.iter_mut().enumerate() {
            rules.decide_block(|prompt| probabilities[prompt * width..][..width].as_chunks().0[block], labels);
        }
        if !rest.is_empty() {
            let mut labels = [0; BLOCK];
            rules.decide_block(|prompt| padded(&probabilities[prompt * width + done..][..rest.len()]), &mut labels);
            rest.copy_from_slice(&labels[..rest.len()]);
        }
    }
}

impl Rules {
    #[inline(always)]
    fn decide_block(&self, of: impl Fn(usize) -> [f32; BLOCK], labels: &mut [u8; BLOCK]) {
        let mut most = [THRESHOLD; BLOCK];
        // As wide as the probabilities, so that a comparison of these chooses between those as it is.
        let mut found = [0u32; BLOCK];
        for (prompt, narrower) in self.narrower.iter().enumerate() {
            let mut left = of(prompt);
            for &other in narrower {
                left.iter_mut().zip(of(other)).for_each(|(left, p)| *left = if p > THRESHOLD { 0.0 } else { *left });
            }
            let value = u32::from(self.values[prompt]);
            for ((found, most), p) in found.iter_mut().zip(&mut most).zip(left) {
                *found = if p > *most { value } else { *found };
                *most = if p > *most { p } else { *most };
            }
        }
        labels.iter_mut().zip(found).for_each(|(label, found)| *label = found as u8);
    }
}

/// Voxels decided at a time.
const BLOCK: usize = 64;

/// The values, and 0 behind them.
fn padded(values: &[f32]) -> [f32; BLOCK] {
    let mut padded = [0.0; BLOCK];
    padded[..values.len()].copy_from_slice(values);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::plan;

    /// The definition.
    fn decide_voxel(rules: &Rules, probabilities: [f32; 4]) -> u8 {
        let gives_way = |prompt: usize| rules.narrower[prompt].iter().any(|&other| probabilities[other] > THRESHOLD);
        let (mut most, mut value) = (THRESHOLD, 0);
        for prompt in 0..4 {
            if probabilities[prompt] > most && !gives_way(prompt) {
                (most, value) = (probabilities[prompt], rules.values[prompt]);
            }
        }
        value
    }

    #[test]
    fn a_row_is_decided_as_its_voxels_one_by_one() {
        let rules = Rules::new(&plan(), &[0, 1, 2, 4]);
        for width in [1, 63, 64, 65, 200] {
            let rows: Vec<f32> = (0..4 * width).map(|i| ((i * 7919) % 103) as f32 / 102.0).collect();
            let voxel = |x: usize| decide_voxel(&rules, [0, 1, 2, 3].map(|prompt| rows[prompt * width + x]));
            let expected: Vec<u8> = (0..width).map(voxel).collect();
            for level in Level::present() {
                let mut labels = vec![9; width];
                level.run(Decide { rules: &rules, probabilities: &rows, labels: &mut labels });
                assert_eq!(labels, expected, "{width} voxels at {level:?}");
            }
        }
    }

    #[test]
    fn the_most_probable_wins_and_the_narrower_goes_first() {
        let plan = plan();
        // artery 1, vein 2, vessels 7
        let rules = Rules::new(&plan, &[0, 1, 4]);
        for (probabilities, expected) in [
            ([0.2, 0.3, 0.4], 0),
            ([0.6, 0.7, 0.1], 2),
            ([0.51, 0.2, 0.99], 1),
            ([0.5, 0.5, 0.8], 7),
            ([0.7, 0.7, 0.9], 1),
        ] {
            let mut label = [9];
            rules.decide(&probabilities, &mut label);
            assert_eq!(label, [expected], "{probabilities:?}");
        }
        // left artery 3 lies within artery 1
        let mut labels = [9; 2];
        Rules::new(&plan, &[0, 2]).decide(&[0.9, 0.8, 0.6, 0.1], &mut labels);
        assert_eq!(labels, [3, 1]);
    }
}
