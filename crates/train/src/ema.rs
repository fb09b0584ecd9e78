//! The moving average (EMA) of the weights: what gets exported and scored, and what the teacher is.
//!
//! ```text
//! mean ← mean + (1 − d) (w − mean),  d = min(decay, (1 + t) / (10 + t))          t: updates
//! ```

use pulmoav_model::Parameters;
use pulmoav_ops::{
    device::to_host,
    optimizer::{State, follow},
};

use crate::{error::TrainError, optimizer::Slot};

/// The averages, in the order of the optimiser's slots, on the device of the parameters.
pub struct Ema {
    decay: f64,
    means: Vec<Mean>,
}

/// The average of one parameter.
pub struct Mean {
    name: String,
    values: State,
}

impl Ema {
    /// Starts at the weights.
    pub fn new(decay: f64, slots: &[Slot]) -> Result<Self, TrainError> {
        let start = |slot: &Slot| {
            let values = State::from_host(to_host(&slot.var)?, slot.var.device())?;
            Ok(Mean { name: slot.name.clone(), values })
        };
        Ok(Self { decay, means: slots.iter().map(start).collect::<Result<_, TrainError>>()? })
    }

    /// Follows update number `count` (from 1) of the same slots.
    pub fn follow(&mut self, count: u64, slots: &[Slot]) -> Result<(), TrainError> {
        let t = count as f64;
        let share = (1.0 - self.decay.min((1.0 + t) / (10.0 + t))) as f32;
        for (mean, slot) in self.means.iter_mut().zip(slots) {
            follow(&mut mean.values, &slot.var, share)?;
        }
        Ok(())
    }

    /// Sets parameters of the same names to the averages.
    pub fn copy_to(&self, parameters: &Parameters) -> Result<(), TrainError> {
        for mean in &self.means {
            if let Some(var) = parameters.get(&mean.name) {
                mean.values.copy_to(var)?;
            }
        }
        Ok(())
    }

    pub(crate) fn means(&self) -> &[Mean] {
        &self.means
    }

    pub(crate) fn means_mut(&mut self) -> &mut [Mean] {
        &mut self.means
    }
}

impl Mean {
    pub(crate) fn values(&self) -> &State {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut State {
        &mut self.values
    }
}
