//! Everything a step needs to know, complete: the defaults stand in the TypeScript configs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    augment::Augment,
    error::TrainError,
    loss::LossConfig,
    optimizer::OptimizerConfig,
    range::within,
    sampler::{Sampling, SamplingWeights},
    teacher::TeacherSettings,
};

/// What stays fixed over a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StepConfig {
    /// Seed of everything random in the run.
    pub seed: u64,
    /// Patches a step.
    pub batch: usize,
    /// Batches a step: their gradients are averaged into one update.
    pub accumulate: u64,
    /// Where patches are taken.
    pub sampling: Sampling,
    /// What is done to them.
    pub augment: Augment,
    /// What voxels that nobody annotated are to the run.
    pub unannotated: Unannotated,
    /// What is minimised.
    pub loss: LossConfig,
    /// How.
    pub optimizer: OptimizerConfig,
    /// Beginnings of the names of parameters that the run leaves as they are.
    pub frozen: Vec<String>,
}

/// What voxels that nobody annotated are to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unannotated {
    /// They carry no loss.
    Ignore,
    /// They are background, as in published code; this teaches that vessels are none.
    Background,
    /// A teacher labels them.
    Teacher,
}

/// What may change from step to step (decided by the loop and its policies).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepSettings {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Factors of the losses' weights by their names; a loss without one keeps its weight.
    pub loss_factors: BTreeMap<String, f64>,
    /// How the teacher takes part; `None`: not in this step.
    pub teacher: Option<TeacherSettings>,
    /// What this step's patches are drawn by.
    pub sampling: SamplingWeights,
    /// What the next step's patches are drawn by, which are made while this step runs.
    pub next_sampling: SamplingWeights,
}

impl StepSettings {
    /// Checks every range; `cases` is how many cases are learnt from.
    pub(crate) fn validate(&self, cases: usize) -> Result<(), TrainError> {
        within("learningRate", self.learning_rate, 0.0, 1e3)?;
        self.teacher.as_ref().map_or(Ok(()), TeacherSettings::validate)?;
        self.sampling.validate(cases)?;
        self.next_sampling.validate(cases)
    }
}

impl StepConfig {
    /// Whether the run leaves a parameter as it is.
    pub(crate) fn is_frozen(&self, name: &str) -> bool {
        self.frozen.iter().any(|prefix| name.starts_with(prefix))
    }

    /// Checks every range; `scales` is how many scales the network supervises.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the field, its value and what was expected.
    pub fn validate(&self, scales: usize) -> Result<(), TrainError> {
        if self.batch == 0 || self.batch > 1024 {
            return Err(TrainError::Config(format!("batch is {}, expected 1 to 1024", self.batch)));
        }
        if self.accumulate == 0 || self.accumulate > 1024 {
            return Err(TrainError::Config(format!("accumulate is {}, expected 1 to 1024", self.accumulate)));
        }
        self.sampling.validate()?;
        self.augment.validate()?;
        self.loss.validate(scales)?;
        self.optimizer.validate()
    }
}
