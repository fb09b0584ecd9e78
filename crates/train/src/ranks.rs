//! Several processes that take the same steps, a card each. A step's batches are dealt out among them, their gradients
//! are summed, and what the batches came to is told to all: so a step is the one that a single process would take with
//! the same config, but for the order of sums.
//!
//! The first rank has the loop, and orders each step; the others follow.

use std::collections::BTreeMap;

use pulmoav_ops::Ranks;
use serde::{Deserialize, Serialize};

use crate::{
    config::StepSettings,
    error::TrainError,
    report::{Pass, SampleReport, StepReport, StepSeconds, TeacherReport},
    teacher::Verdict,
    trainer::Trainer,
};

/// What the first rank orders; nothing once it has left.
type Order = Option<(u64, StepSettings)>;

impl Trainer {
    /// Waits for all ranks; from now on every step is theirs together.
    ///
    /// # Errors
    /// `ERR_CONFIG` where the batches of a step cannot be dealt out evenly; what joining gives.
    pub fn join(&mut self, identity: &[u8], rank: usize, count: usize) -> Result<(), TrainError> {
        let batches = self.config().accumulate;
        if !batches.is_multiple_of(count as u64) {
            return Err(TrainError::Config(format!(
                "step.accumulate is {batches}, but {count} devices share the batches of a step: it must be a multiple \
                 of {count}"
            )));
        }
        self.ranks = Some(Ranks::join(self.device(), identity, rank, count)?);
        Ok(())
    }

    /// Takes the step that the first rank orders; `None` once it has left.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn follow(&mut self) -> Result<Option<StepReport>, TrainError> {
        let Some(ranks) = &self.ranks else {
            return Err(TrainError::Internal("a trainer that has not joined others follows".into()));
        };
        let told = ranks.share(&[])?;
        let order: Order = told.first().map_or(Ok(None), |order| serde_json::from_slice(order)).map_err(internal)?;
        order.map(|(step, settings)| self.take_step(step, &settings)).transpose()
    }

    /// Tells the others that no further step comes; to be called on the first rank.
    ///
    /// # Errors
    /// What telling gives.
    pub fn leave(&mut self) -> Result<(), TrainError> {
        self.tell(&None)?;
        self.ranks = None;
        Ok(())
    }

    pub(crate) fn order(&self, step: u64, settings: &StepSettings) -> Result<(), TrainError> {
        if self.ranks.is_some() { self.tell(&Some((step, settings.clone()))) } else { Ok(()) }
    }

    fn tell(&self, order: &Order) -> Result<(), TrainError> {
        if let Some(ranks) = &self.ranks {
            ranks.share(&serde_json::to_vec(order).map_err(internal)?)?;
        }
        Ok(())
    }
}

/// The passes of all ranks, in the order of their batches.
pub(crate) fn shared(ranks: &Ranks, own: &[Pass]) -> Result<Vec<Pass>, TrainError> {
    let told: Vec<Told> = own.iter().map(Told::of).collect();
    let all = ranks.share(&serde_json::to_vec(&told).map_err(internal)?)?;
    let all: Vec<Vec<Told>> =
        all.iter().map(|told| serde_json::from_slice(told)).collect::<Result<_, _>>().map_err(internal)?;
    let rounds = all.iter().map(Vec::len).max().unwrap_or(0);
    let in_order = (0..rounds).flat_map(|round| all.iter().filter_map(move |of_rank| of_rank.get(round)));
    let names: Vec<&'static str> = own.iter().flat_map(|pass| pass.terms.keys().copied()).collect();
    Ok(in_order.map(|told| told.pass(&names)).collect())
}

#[allow(clippy::needless_pass_by_value)] // As `map_err` hands it over.
fn internal(error: serde_json::Error) -> TrainError {
    TrainError::Internal(error.to_string())
}

/// A pass as it is told: numbers as their bits, since a loss may be no number.
#[derive(Serialize, Deserialize)]
struct Told {
    loss: u64,
    targets: Vec<(String, u64)>,
    terms: Vec<(String, u64)>,
    samples: Vec<(usize, Option<usize>, Option<u64>)>,
    teacher: Option<(u64, [Verdict; 3])>,
    seconds: [f64; 4],
}

impl Told {
    fn of(pass: &Pass) -> Self {
        let StepSeconds { batch, forward, backward, update } = pass.seconds;
        let sample = |sample: &SampleReport| (sample.case, sample.calibre, sample.loss.map(f64::to_bits));
        Self {
            loss: pass.loss.to_bits(),
            targets: pass.targets.iter().map(|(name, loss)| (name.clone(), loss.to_bits())).collect(),
            terms: pass.terms.iter().map(|(name, loss)| ((*name).to_owned(), loss.to_bits())).collect(),
            samples: pass.samples.iter().map(sample).collect(),
            teacher: pass.teacher.as_ref().map(|teacher| (teacher.loss.to_bits(), teacher.verdicts)),
            seconds: [batch, forward, backward, update],
        }
    }

    /// `names` are those of the losses, which all ranks have alike.
    fn pass(&self, names: &[&'static str]) -> Pass {
        let [batch, forward, backward, update] = self.seconds;
        let term = |(name, loss): &(String, u64)| {
            names.iter().find(|known| *known == name).map(|known| (*known, f64::from_bits(*loss)))
        };
        let sample = |&(case, calibre, loss): &(usize, Option<usize>, Option<u64>)| SampleReport {
            case,
            calibre,
            loss: loss.map(f64::from_bits),
        };
        let taught = |(loss, verdicts)| TeacherReport { loss: f64::from_bits(loss), verdicts };
        Pass {
            loss: f64::from_bits(self.loss),
            targets: self.targets.iter().map(|(name, loss)| (name.clone(), f64::from_bits(*loss))).collect(),
            terms: self.terms.iter().filter_map(term).collect::<BTreeMap<_, _>>(),
            samples: self.samples.iter().map(sample).collect(),
            teacher: self.teacher.map(taught),
            seconds: StepSeconds { batch, forward, backward, update },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_told_to_the_bit() {
        let verdict = Verdict { voxels: 7, accepted: 5, confidence: 3.25, ..Verdict::default() };
        let pass = Pass {
            loss: 0.1 + 0.2,
            targets: [("artery".to_owned(), f64::NAN), ("vein".to_owned(), 1.0 / 3.0)].into(),
            terms: [("dice", 0.7), ("bce", f64::INFINITY)].into(),
            samples: vec![SampleReport { case: 3, calibre: Some(1), loss: Some(1e-300) }],
            teacher: Some(TeacherReport { loss: 0.25, verdicts: [verdict; 3] }),
            seconds: StepSeconds { batch: 0.5, forward: 1.0, backward: 2.0, update: 0.0 },
        };
        let text = serde_json::to_string(&[Told::of(&pass)]).unwrap();
        let [told]: [Told; 1] = serde_json::from_str(&text).unwrap();
        let again = told.pass(&["dice", "bce"]);
        assert_eq!(again.loss, pass.loss);
        assert!(again.targets["artery"].is_nan() && again.targets["vein"] == 1.0 / 3.0);
        assert_eq!((again.terms, again.samples, again.teacher), (pass.terms, pass.samples, pass.teacher));
        assert_eq!(again.seconds, pass.seconds);
    }
}
