//! A fold's network as the sliding window uses it.

use candle_core::{Device, Tensor};
use pulmoav_model::{ClassNetwork, Parameters};
use pulmoav_ops::device::{from_host, to_host};
use pulmoav_plan::{ClassPlan, Output};

use super::network::{CardNetwork, WindowNetwork};
use crate::error::SegmentError;

/// The network of one fold.
#[derive(Debug)]
pub struct FoldNetwork {
    network: ClassNetwork,
    channels: usize,
    outputs: usize,
}

impl FoldNetwork {
    /// Builds the plan's network on a fold's parameters, whose storage it shares.
    ///
    /// # Errors
    /// What [`ClassNetwork::build`] refuses.
    pub fn build(plan: &ClassPlan, parameters: &mut Parameters) -> Result<Self, SegmentError> {
        let network = ClassNetwork::build(plan, parameters)?;
        let outputs = plan.classes.len() + usize::from(plan.output == Output::Softmax);
        Ok(Self { network, channels: plan.channels.len(), outputs })
    }
}

impl WindowNetwork for FoldNetwork {
    fn channels(&self) -> usize {
        self.channels
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn logits(&self, window: Vec<f32>, [depth, height, width]: [usize; 3]) -> Result<Vec<f32>, SegmentError> {
        let x = from_host(window, (1, depth, height, width, self.channels), self.network.device())?;
        Ok(to_host(&self.network.forward(&x)?)?)
    }

    fn on_card(&self) -> Option<&dyn CardNetwork> {
        self.network.device().is_cuda().then_some(self)
    }
}

impl CardNetwork for FoldNetwork {
    fn device(&self) -> &Device {
        self.network.device()
    }

    fn value_bytes(&self) -> usize {
        self.network.value_bytes()
    }

    fn logits(&self, windows: &Tensor) -> Result<Tensor, SegmentError> {
        Ok(self.network.forward(windows)?)
    }
}
