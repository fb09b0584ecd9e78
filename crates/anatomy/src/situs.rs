//! Whether the anatomy agrees with the sides that the header gives.

use crate::airway::Airways;
use crate::coarse::Coarse;
use crate::lungs::{LEFT, Lungs, RIGHT};
use crate::pose::BONE_HU;

/// The heart makes the left lung narrower between these heights from the carina, adult mm.
const HEART_MM: [f64; 2] = [-95.0, -35.0];
/// Ratios of the right lung to the left one there that speak for and against the header.
const HEART_RATIO: [f64; 2] = [1.12, 0.85];
/// The heart's tissue lies left of the spine by so much for, right of it by so much against, adult mm.
const HEART_LEFT_MM: [f64; 2] = [5.0, -5.0];
/// Where that is looked for, as shares of the lungs' height from below: above the domes, below the hila.
const HEART_HEIGHTS: [f64; 2] = [0.25, 0.45];
/// Tissue averages above this.
const TISSUE_HU: f32 = -200.0;
/// Ratios of the left main bronchus's length to the right one's that speak for and against.
const BRONCHUS_RATIO: [f64; 2] = [1.2, 0.7];
/// The right dome stands higher by so much for, lower by so much against, mm.
const DOME_MM: [f64; 2] = [4.0, -12.0];

/// What speaks for and against the header's sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Votes {
    pub(crate) agree: usize,
    pub(crate) contradict: usize,
}

impl Votes {
    /// The heart's size and place, main bronchi and domes, as far as they are in the scan.
    pub(crate) fn count(coarse: &Coarse, lungs: &Lungs, airways: &Airways) -> Self {
        let mut votes = Self::default();
        if lungs.volumes_ml.contains(&0.0) {
            return votes;
        }
        let size = 2.0 * lungs.half_width_mm / crate::region::ADULT_WIDTH_MM;
        if let Some([z, ..]) = airways.carina {
            let carina_mm = z * lungs.grid.spacing_mm[0];
            let [low, high] = HEART_MM.map(|mm| ((carina_mm + mm * size) / coarse.spacing_mm[0]).max(0.0) as usize);
            let between = |side: u8| aerated_voxels(coarse, lungs, side, low..high.min(coarse.shape[0]));
            let (left, right) = (between(LEFT), between(RIGHT));
            if left + right > 0.0 && low > 0 {
                votes.add(right / left.max(1.0), HEART_RATIO);
            }
        }
        if let Some(left_mm) = heart_left_of_spine_mm(coarse, lungs) {
            votes.add(left_mm / size, HEART_LEFT_MM);
        }
        if let Some([left_mm, right_mm]) = airways.main_bronchi_mm {
            votes.add(left_mm / right_mm.max(1.0), BRONCHUS_RATIO);
        }
        if let (Some(left_mm), Some(right_mm)) = (dome_mm(coarse, lungs, LEFT), dome_mm(coarse, lungs, RIGHT)) {
            votes.add(right_mm - left_mm, DOME_MM);
        }
        votes
    }

    /// Two findings against the header and none for it.
    pub(crate) fn are_against(&self) -> bool {
        self.contradict >= 2 && self.agree == 0
    }

    fn add(&mut self, value: f64, [agrees, contradicts]: [f64; 2]) {
        self.agree += usize::from(value >= agrees);
        self.contradict += usize::from(value <= contradicts);
    }
}

fn aerated_voxels(coarse: &Coarse, lungs: &Lungs, side: u8, slices: std::ops::Range<usize>) -> f64 {
    let plane = coarse.shape[1] * coarse.shape[2];
    let voxels = slices.start * plane..slices.end.max(slices.start) * plane;
    // What was filled may be the heart that this looks for.
    voxels.filter(|&index| lungs.sides[index] == side && !lungs.filled[index]).count() as f64
}

/// How far the mean place of what lies between the lungs at the heart's height is to the left of the spine, mm.
fn heart_left_of_spine_mm(coarse: &Coarse, lungs: &Lungs) -> Option<f64> {
    let [_, height, width] = coarse.shape;
    let [low, high] = [lungs.bounds.low, lungs.bounds.high].map(|at| [0, 1].map(|axis| at[axis] / coarse.factor[axis]));
    let columns = |slices: std::ops::Range<usize>, rows: std::ops::Range<usize>, wanted: &dyn Fn(usize) -> bool| {
        let mut counts = vec![0usize; width];
        for z in slices {
            for y in rows.clone() {
                let row = (z * height + y) * width;
                counts.iter_mut().enumerate().for_each(|(x, count)| *count += usize::from(wanted(row + x)));
            }
        }
        counts
    };
    let is_bone = |index: usize| coarse.hu[index] > BONE_HU && lungs.region[index] == 0;
    let spine = median(&columns(low[0]..high[0], 0..low[1].midpoint(high[1]), &is_bone))?;
    let at = |share: f64| low[0] + (share * (high[0] - low[0]) as f64).round() as usize;
    let is_heart = |index: usize| coarse.hu[index] > TISSUE_HU && lungs.region[index] != 0 && lungs.sides[index] == 0;
    let heart = mean(&columns(at(HEART_HEIGHTS[0])..at(HEART_HEIGHTS[1]), 0..height, &is_heart))?;
    Some((spine - heart) * coarse.spacing_mm[2])
}

/// The column with half of what was counted on each side.
fn median(counts: &[usize]) -> Option<f64> {
    let all: usize = counts.iter().sum();
    let mut below = 0;
    let middle = counts.iter().position(|&count| {
        below += count;
        2 * below >= all
    });
    middle.filter(|_| all > 0).map(|column| column as f64)
}

fn mean(counts: &[usize]) -> Option<f64> {
    let all: usize = counts.iter().sum();
    let sum: usize = counts.iter().enumerate().map(|(column, count)| column * count).sum();
    (all > 0).then(|| sum as f64 / all as f64)
}

/// Height of the dome below a lung, mm from the scan's lowest slice; `None` where the scan cuts it.
fn dome_mm(coarse: &Coarse, lungs: &Lungs, side: u8) -> Option<f64> {
    let [depth, height, width] = coarse.shape;
    let mut bottoms = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let lowest = (0..depth).find(|&z| lungs.sides[(z * height + y) * width + x] == side);
            if let Some(z) = lowest {
                if z == 0 {
                    return None;
                }
                bottoms.push(z);
            }
        }
    }
    bottoms.sort_unstable();
    // The dome's top, not the rim that hangs down around it, nor the columns beside the hilum.
    bottoms.get(bottoms.len() * 6 / 10).map(|&z| z as f64 * coarse.spacing_mm[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Chest, chest, chest_with_wrong_sides};
    use pulmoav_volume::crop::View;

    fn votes(chest: &Chest) -> Votes {
        let found = chest.find();
        let coarse = Coarse::average(&View::new(&chest.hu, chest.grid.shape), &chest.grid);
        Votes::count(&coarse, found.lungs.as_ref().expect("lungs"), &found.airways)
    }

    #[test]
    fn heart_bronchi_and_domes_vote() {
        // The domes are equal.
        assert_eq!(votes(&chest()), Votes { agree: 3, contradict: 0 });
        // Part of the heart counts as a consolidation of the right lung, so that it does not vote.
        assert_eq!(votes(&chest_with_wrong_sides()), Votes { agree: 0, contradict: 2 });
    }

    #[test]
    fn two_votes_against_and_none_for_count() {
        for (agree, contradict, against) in [(0, 2, true), (0, 3, true), (1, 2, false), (0, 1, false), (2, 0, false)] {
            assert_eq!(Votes { agree, contradict }.are_against(), against, "{agree} for, {contradict} against");
        }
    }
}
