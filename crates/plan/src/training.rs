//! How much memory a training step takes, told by the plan alone.
//!
//! Every map is counted in channels of full resolution. The constants are fitted to the peaks of whole steps
//! (`cargo run --example step` of the train crate; docs/performance.md): networks of 8 to 32 first channels and patches
//! of 48³ to 96³, la-caf at an eighth to all of its widths.

use crate::{LaCaf, Network, Pulmoav};

/// Bytes of a value.
const VALUE: f64 = 4.0;
/// Bytes of a process that trains, before its first batch.
const BASE_BYTES: f64 = 130e6;
/// Copies of every parameter: itself, gradient, two moments, moving average.
const PARAMETER_COPIES: f64 = 5.0;
/// Parameters of la-caf at its published widths.
const LA_CAF_PARAMETERS: f64 = 19.7e6;

/// What the memory of a training step depends on beside the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepShape {
    /// Patch, voxels, `[z, y, x]`.
    pub patch: [usize; 3],
    /// Patches a batch.
    pub batch: usize,
    /// Maps that the network gives: targets, then what it learns beside them.
    pub outputs: usize,
    /// Whether a teacher labels what is not annotated.
    pub teacher: bool,
    /// Whether blocks are computed again in the backward pass instead of kept.
    pub recompute: bool,
}

/// Channels of full resolution that a step holds at its peak.
struct Channels {
    /// For each channel of the widest map of full resolution.
    each: f64,
    /// How many channels that map has.
    widest: usize,
    /// For each map that the network gives.
    output: f64,
    /// Numbers of the network.
    parameters: f64,
}

impl Network {
    /// Peak memory of a process that trains this network, bytes, without the data set's own files; `None` for a network
    /// that is not ours to train.
    pub fn training_bytes(&self, step: &StepShape) -> Option<f64> {
        let Channels { each, widest, output, parameters } = match self {
            Self::LaCaf(network) => network.channels_alive(step.recompute),
            Self::Pulmoav(network) => network.channels_alive(step.recompute),
            Self::PlainUnet(_) | Self::ResidualUnet(_) => return None,
        };
        let voxels = step.batch as f64 * step.patch.iter().map(|&edge| edge as f64).product::<f64>();
        // The teacher's own pass is over before the step's begins; what it says stays.
        let outputs = (step.outputs * if step.teacher { 2 } else { 1 }) as f64;
        let copies = PARAMETER_COPIES + f64::from(u8::from(step.teacher));
        Some(BASE_BYTES + VALUE * (voxels * (each * widest as f64 + output * outputs) + copies * parameters))
    }
}

impl Pulmoav {
    fn channels_alive(&self, recompute: bool) -> Channels {
        let channels = &self.stage_channels;
        let share = |level: usize, width: usize| 8.0f64.powi(-(level as i32)) * width as f64 / channels[0] as f64;
        let stages = channels.iter().zip(&self.stage_blocks).enumerate();
        // Of a block two convolutions and the sum, and the projection where the width changes; else its sum alone.
        let maps = |level: usize, blocks: usize| if recompute { blocks } else { 3 * blocks + usize::from(level > 0) };
        let encoder: f64 =
            stages.map(|(level, (&width, &blocks))| share(level, width) * maps(level, blocks) as f64).sum();
        let skips = channels.iter().rev().skip(1).rev().enumerate();
        let decoder: f64 = skips.map(|(level, &width)| share(level, width) * if recompute { 1.0 } else { 2.0 }).sum();
        let working = if recompute { 4.0 } else { 1.0 };
        let blocks =
            channels.iter().zip(&self.stage_blocks).map(|(&width, &blocks)| (2 * blocks * width * width) as f64);
        let parameters =
            27.0 * (blocks.sum::<f64>() + channels.iter().map(|&width| (2 * width * width) as f64).sum::<f64>());
        Channels { each: 1.0 + encoder + decoder + working, widest: channels[0], output: 4.0, parameters }
    }
}

impl LaCaf {
    fn channels_alive(&self, recompute: bool) -> Channels {
        let [each, output] = if recompute { [14.0, 19.0] } else { [16.7, 52.0] };
        let parameters = LA_CAF_PARAMETERS / (self.width_divisor * self.width_divisor).max(1) as f64;
        Channels { each, widest: (64 / self.width_divisor).max(1), output, parameters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auxiliary, LaCafVariant};

    /// Peaks of two steps on noise, kB, measured with two threads; 85 MB less than a whole training process.
    const MEASURED: [(&str, usize, usize, bool, f64); 12] = [
        ("pulmoav", 8, 64, false, 262_836.0),
        ("pulmoav", 8, 64, true, 253_792.0),
        ("pulmoav", 16, 64, false, 419_704.0),
        ("pulmoav", 16, 64, true, 392_720.0),
        ("pulmoav", 16, 96, false, 1_329_604.0),
        ("pulmoav", 16, 96, true, 1_234_720.0),
        ("pulmoav", 32, 64, false, 833_100.0),
        ("pulmoav", 32, 64, true, 761_124.0),
        ("la-caf", 2, 64, false, 1_621_080.0),
        ("la-caf", 2, 64, true, 1_141_124.0),
        ("la-caf", 4, 96, false, 3_335_896.0),
        ("la-caf", 4, 96, true, 2_011_464.0),
    ];

    #[test]
    fn predictions_are_near_what_was_measured() {
        for (preset, width, edge, recompute, kilobytes) in MEASURED {
            let (network, outputs) = if preset == "pulmoav" { (pulmoav(width), 10) } else { (la_caf(width), 4) };
            let step = StepShape { patch: [edge; 3], batch: 2, outputs, teacher: false, recompute };
            let predicted = network.training_bytes(&step).expect("ours") - 85e6;
            let ratio = predicted / (kilobytes * 1024.0);
            assert!((0.85..1.25).contains(&ratio), "{preset} {width} {edge} {recompute}: {ratio}");
        }
    }

    fn pulmoav(width: usize) -> Network {
        Network::Pulmoav(Pulmoav {
            stage_channels: [1, 2, 4, 8].map(|factor| factor * width).to_vec(),
            stage_blocks: vec![1, 1, 2, 1],
            prompt_width: 64,
            prompt_layers: 2,
            heads: 4,
            supervised_scales: 2,
            text_width: 64,
            auxiliary: vec![Auxiliary::Airway],
        })
    }

    fn la_caf(width_divisor: usize) -> Network {
        Network::LaCaf(LaCaf { width_divisor, variant: LaCafVariant::LaCaf, text_width: 512 })
    }
}
