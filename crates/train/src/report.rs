//! What steps came to.

use std::collections::BTreeMap;

use pulmoav_task::Warning;

use crate::teacher::Verdict;

/// What a step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// The loss over all scales and targets.
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// False where the gradient was not finite and the weights were left alone.
    pub applied: bool,
    /// Wall time.
    pub seconds: f64,
    /// Of which: waiting for the batch, forward with loss, backward, update.
    pub parts: StepSeconds,
    /// Loss of each target and auxiliary map at the finest scale; those without supervision in this batch are left out.
    pub targets: BTreeMap<String, f64>,
    /// Each loss at the finest scale before its weight, by the name of the weight.
    pub terms: BTreeMap<&'static str, f64>,
    /// The patches of the batch.
    pub samples: Vec<SampleReport>,
    /// What was learnt from the teacher; `None` where it took no part.
    pub teacher: Option<TeacherReport>,
    /// What was found out about the device meanwhile.
    pub warnings: Vec<Warning>,
}

/// What one patch came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleReport {
    /// Index of its case among those learnt from.
    pub case: usize,
    /// Calibre of the vessel it was drawn for: 0 small, 1 medium, 2 large; `None` where it was drawn for none.
    pub calibre: Option<usize>,
    /// Soft Dice loss of artery and vein at the finest scale, 0 to 1; `None` where the reference has neither.
    pub loss: Option<f64>,
}

/// What a step learnt from its teacher.
#[derive(Debug, Clone, PartialEq)]
pub struct TeacherReport {
    /// The loss over all scales and targets, before its weight.
    pub loss: f64,
    /// Of background, artery and vein.
    pub verdicts: [Verdict; 3],
}

/// Where a step's time went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSeconds {
    /// Waiting for the batch.
    pub batch: f64,
    /// Forward pass and loss.
    pub forward: f64,
    /// Backward pass.
    pub backward: f64,
    /// Optimiser, and freeing the graph.
    pub update: f64,
}

/// What one of a step's batches came to.
pub(crate) struct Pass {
    pub(crate) loss: f64,
    pub(crate) targets: BTreeMap<String, f64>,
    pub(crate) terms: BTreeMap<&'static str, f64>,
    pub(crate) samples: Vec<SampleReport>,
    pub(crate) teacher: Option<TeacherReport>,
    /// But for the update's.
    pub(crate) seconds: StepSeconds,
}

impl StepSeconds {
    /// The seconds of all passes, with those of the update.
    pub(crate) fn of(passes: &[Pass], update: f64) -> Self {
        let sum = |part: fn(&Self) -> f64| passes.iter().map(|pass| part(&pass.seconds)).sum::<f64>();
        Self { batch: sum(|s| s.batch), forward: sum(|s| s.forward), backward: sum(|s| s.backward), update }
    }

    pub(crate) fn sum(&self) -> f64 {
        self.batch + self.forward + self.backward + self.update
    }
}

impl Pass {
    /// Means over the passes that know a number; samples and voxels of all of them.
    pub(crate) fn joined(passes: Vec<Self>) -> Self {
        let seconds = StepSeconds::of(&passes, 0.0);
        let count = passes.len() as f64;
        let loss = passes.iter().map(|pass| pass.loss).sum::<f64>() / count;
        let targets = means(passes.iter().map(|pass| &pass.targets));
        let terms = means(passes.iter().map(|pass| &pass.terms));
        let taught: Vec<&TeacherReport> = passes.iter().filter_map(|pass| pass.teacher.as_ref()).collect();
        let teacher = (!taught.is_empty()).then(|| TeacherReport {
            loss: taught.iter().map(|taught| taught.loss).sum::<f64>() / taught.len() as f64,
            verdicts: taught.iter().fold(Default::default(), |mut sum: [Verdict; 3], taught| {
                sum.iter_mut().zip(&taught.verdicts).for_each(|(sum, seen)| sum.add(seen));
                sum
            }),
        });
        let samples = passes.into_iter().flat_map(|pass| pass.samples).collect();
        Self { loss, targets, terms, samples, teacher, seconds }
    }
}

fn means<'a, K: Ord + Clone + 'a>(maps: impl Iterator<Item = &'a BTreeMap<K, f64>>) -> BTreeMap<K, f64> {
    let mut sums: BTreeMap<K, (f64, f64)> = BTreeMap::new();
    for (name, value) in maps.flatten() {
        let (sum, count) = sums.entry(name.clone()).or_default();
        (*sum, *count) = (*sum + value, *count + 1.0);
    }
    sums.into_iter().map(|(name, (sum, count))| (name, sum / count)).collect()
}
