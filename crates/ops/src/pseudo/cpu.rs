//! The plain loop: the reference of the kernel.

use rayon::prelude::*;

use super::{
    ACCEPTED_BIT, CLASSES, CODES, Counts, IGNORE_BIT, LABEL_BITS, RIGHT_BIT, Role, Rules, SUPERVISED_BIT, Sample,
};

/// Voxels a block: what a block counts never depends on the number of threads.
const BLOCK: usize = 4096;

type AllCounts = [Counts; CLASSES];

/// The targets' bytes, and what was seen of each class.
pub(super) fn label(logits: &[f32], codes: &[u8], rules: &Rules) -> (Vec<u8>, AllCounts) {
    let maps = rules.roles.len();
    let mut targets = vec![0; logits.len()];
    let mut counts = AllCounts::default();
    let length = (rules.voxels * maps).max(1);
    let samples = rules.samples.iter().zip(codes.chunks(rules.voxels.max(1)));
    for ((logits, targets), (sample, codes)) in logits.chunks(length).zip(targets.chunks_mut(length)).zip(samples) {
        let blocks = logits.par_chunks(BLOCK * maps).zip(targets.par_chunks_mut(BLOCK * maps));
        let seen: Vec<AllCounts> = blocks
            .zip(codes.par_chunks(BLOCK))
            .map(|((logits, targets), codes)| {
                let mut counts = AllCounts::default();
                let voxels = logits.chunks_exact(maps).zip(targets.chunks_exact_mut(maps)).zip(codes);
                for ((logits, targets), &code) in voxels {
                    let found = rules.voxel(sample, code, logits, &mut counts);
                    for (target, table) in targets.iter_mut().zip(&sample.table) {
                        *target = table[usize::from(found) % CODES];
                    }
                }
                counts
            })
            .collect();
        for block in &seen {
            counts.iter_mut().zip(block).for_each(|(all, own)| all.add(own));
        }
    }
    (targets, counts)
}

impl Rules<'_> {
    /// A voxel's code with the label, and whether it counts.
    fn voxel(&self, sample: &Sample, code: u8, logits: &[f32], counts: &mut AllCounts) -> u8 {
        let place = code & (RIGHT_BIT | SUPERVISED_BIT);
        if code & IGNORE_BIT != 0 {
            return place;
        }
        let (class, confidence) = self.opinion(code, logits);
        let reference = code & LABEL_BITS;
        let is_whole = code & SUPERVISED_BIT != 0 && sample.knows == [true; 2];
        for (known, counts) in counts.iter_mut().enumerate() {
            if is_whole || sample.is_known(code, known) {
                let [referenced, predicted] = [usize::from(reference), class].map(|given| given == known);
                counts.referenced += u64::from(referenced);
                counts.predicted += u64::from(predicted);
                counts.agreed += u64::from(referenced && predicted);
            }
        }
        if is_whole {
            return place;
        }
        if sample.is_known(code, usize::from(reference)) {
            return place | reference | ACCEPTED_BIT;
        }
        if sample.is_known(code, class) {
            // The reference says that there is none.
            return place;
        }
        let accepted = confidence >= self.thresholds[class];
        counts[class].add(&Counts { voxels: 1, accepted: u64::from(accepted), confidence, ..Counts::default() });
        if accepted { place | class as u8 | ACCEPTED_BIT } else { place }
    }

    /// The class of a voxel, and how sure the network is of it.
    fn opinion(&self, code: u8, logits: &[f32]) -> (usize, f64) {
        let [first, second] = [1, 2].map(|class| self.probability(class, code, logits));
        let odds = [(1.0 - first) * (1.0 - second), first * (1.0 - second), second * (1.0 - first)];
        let class = (1..CLASSES).fold(0, |best, class| if odds[class] > odds[best] { class } else { best });
        (class, f64::from(odds[class]) / f64::from(odds.iter().sum::<f32>()).max(1e-12))
    }

    /// The largest probability of the maps that speak of a class at a voxel.
    fn probability(&self, class: u8, code: u8, logits: &[f32]) -> f32 {
        let speaks = |role: &Role| role.class == class && role.side.is_none_or(|side| code & RIGHT_BIT == side);
        let maps = self.roles.iter().zip(logits).filter(|(role, _)| speaks(role));
        maps.map(|(_, logit)| 1.0 / (1.0 + (-logit).exp())).fold(0.0, f32::max)
    }
}

impl Sample {
    /// Whether the reference says of this voxel if it is of that class, the first or the second.
    fn is_known(&self, code: u8, class: usize) -> bool {
        code & SUPERVISED_BIT != 0 && class.checked_sub(1).is_some_and(|at| self.knows.get(at) == Some(&true))
    }
}
