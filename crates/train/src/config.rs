//! Everything a step needs to know, complete: the defaults stand in the TypeScript configs.

use serde::{Deserialize, Serialize};

use crate::{augment::Augment, error::TrainError, loss::LossConfig, optimizer::AdamWConfig, sampler::Sampling};

/// What stays fixed over a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StepConfig {
    /// Seed of everything random in the run.
    pub seed: u64,
    /// Patches a step.
    pub batch: usize,
    /// Where patches are taken.
    pub sampling: Sampling,
    /// What is done to them.
    pub augment: Augment,
    /// What is minimised.
    pub loss: LossConfig,
    /// How.
    pub optimizer: AdamWConfig,
}

/// What may change from step to step (decided by the loop and its schedule).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StepSettings {
    /// Learning rate of this step.
    pub learning_rate: f64,
}

impl StepConfig {
    /// Checks every range; `scales` is how many scales the network supervises.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the field, its value and what was expected.
    pub fn validate(&self, scales: usize) -> Result<(), TrainError> {
        if self.batch == 0 || self.batch > 1024 {
            return Err(TrainError::Config(format!("batch is {}, expected 1 to 1024", self.batch)));
        }
        self.sampling.validate()?;
        self.augment.validate()?;
        self.loss.validate(scales)?;
        self.optimizer.validate()
    }
}
