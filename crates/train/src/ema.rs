//! The moving average (EMA) of the weights: what gets exported and scored, and what the teacher is.
//!
//! ```text
//! mean ← mean + (1 − d) (w − mean),  d = min(decay, (1 + t) / (10 + t))          t: updates
//! ```

use candle_core::{Device, Tensor};
use pulmoav_model::Parameters;
use rayon::prelude::*;

use crate::{
    error::TrainError,
    optimizer::{Slot, with_values},
};

/// Values a block.
const BLOCK: usize = 16_384;

/// The averages, in the order of the optimiser's slots.
pub struct Ema {
    decay: f64,
    means: Vec<Mean>,
}

/// The average of one parameter.
pub struct Mean {
    name: String,
    values: Vec<f32>,
}

impl Ema {
    /// Starts at the weights.
    pub fn new(decay: f64, slots: &[Slot]) -> Result<Self, TrainError> {
        let start = |slot: &Slot| Ok(Mean { name: slot.name.clone(), values: slot.var.flatten_all()?.to_vec1()? });
        Ok(Self { decay, means: slots.iter().map(start).collect::<Result<_, TrainError>>()? })
    }

    /// Follows update number `count` (from 1) of the same slots.
    pub fn follow(&mut self, count: u64, slots: &[Slot]) -> Result<(), TrainError> {
        let t = count as f64;
        let share = (1.0 - self.decay.min((1.0 + t) / (10.0 + t))) as f32;
        for (mean, slot) in self.means.iter_mut().zip(slots) {
            with_values(slot.var.as_tensor(), |weights| {
                let blocks = mean.values.par_chunks_mut(BLOCK).zip(weights.par_chunks(BLOCK));
                blocks.for_each(|(means, weights)| {
                    means.iter_mut().zip(weights).for_each(|(mean, weight)| *mean += share * (weight - *mean));
                });
            })?;
        }
        Ok(())
    }

    /// Sets parameters of the same names to the averages.
    pub fn copy_to(&self, parameters: &Parameters) -> Result<(), TrainError> {
        for mean in &self.means {
            if let Some(var) = parameters.get(&mean.name) {
                var.set(&Tensor::from_slice(&mean.values, var.shape(), &Device::Cpu)?)?;
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
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// Takes over values of the same number.
    pub(crate) fn set(&mut self, values: Vec<f32>) {
        debug_assert_eq!(values.len(), self.values.len(), "{}", self.name);
        self.values = values;
    }
}
