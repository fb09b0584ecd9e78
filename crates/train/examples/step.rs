//! Where a training step's time and memory go: `step PLAN.json [BATCH] [STEPS] [recompute]`, on noise instead of a data
//! set.

use std::{path::Path, time::Instant};

use candle_core::{Device, Tensor};
use pulmoav_model::{Mode, Network, Parameters, prompt_embeddings};
use pulmoav_ops::{block_cache::BlockCache, tape::Tape};
use pulmoav_plan::{Plan, StepShape};
use pulmoav_train::{
    loss::{LossConfig, MapWeights, TargetGrid, supervised},
    optimizer::{AdamWConfig, Optimizer, OptimizerConfig},
};

/// The addon's allocator.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let plan = arguments.next().ok_or("usage: step PLAN.json [BATCH] [STEPS] [recompute]")?;
    let batch = arguments.next().map_or(Ok(2), |n| n.parse())?;
    let steps: u64 = arguments.next().map_or(Ok(4), |n| n.parse())?;
    let recompute = arguments.next().is_some();
    let mode = if recompute { Mode::Recompute } else { Mode::Train };
    let plan = Plan::from_json(&std::fs::read_to_string(Path::new(&plan))?)?;
    let mut parameters = Parameters::new(1);
    let network = Network::build(&plan, &mut parameters)?;
    let prompts = prompt_embeddings(&plan, &Device::Cpu)?;
    let config =
        AdamWConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-4, clip_norm: 1.0, mean_decay: 0.995 };
    let variables = parameters.iter().map(|(name, var)| (name.to_owned(), var.clone())).collect();
    let mut optimizer = Optimizer::new(OptimizerConfig::Adamw(config), variables);
    let scales = plan.network.supervised_scales();
    let map_weights = MapWeights { class: 1.0, sided: 1.0, union: 1.0, auxiliary: 1.0 };
    let loss_config = LossConfig {
        dice: 1.0,
        bce: 1.0,
        skeleton_recall: 0.0,
        soft_cl_dice: 0.0,
        smooth: 1.0,
        batch_dice: true,
        scale_weights: vec![1.0; scales],
        map_weights,
    };
    let [d, h, w] = plan.patch;
    let channels = plan.channels.len();
    let image = noise(batch * d * h * w * channels);
    let image = Tensor::from_vec(image, (batch, d, h, w, channels), &Device::Cpu)?;
    let shape = [batch, d, h, w, plan.targets.len() + plan.auxiliary().len()];
    let mut targets = vec![TargetGrid { shape, data: vec![0; shape.iter().product()], centreline: vec![] }];
    while targets.len() < scales {
        targets.push(targets[targets.len() - 1].halved());
    }
    for count in 1..=steps {
        let mut clock = Instant::now();
        let mut lap = |name: &str| {
            print!("{name} {:.0} ms  ", clock.elapsed().as_secs_f64() * 1000.0);
            clock = Instant::now();
        };
        let (logits, tape) = Tape::record(|| network.forward(&image, &prompts, mode))?;
        lap("forward");
        let losses = supervised(&logits, &targets, &loss_config, &map_weights.of(&plan))?;
        lap("loss");
        let seeds = logits.into_iter().zip(losses).map(|(logits, loss)| (logits, loss.gradient)).collect();
        let mut gradients = tape.backward(seeds)?;
        lap("backward");
        optimizer.update(count, 1e-3, &mut gradients)?;
        lap("update");
        println!();
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("no peak is told");
    let shape = StepShape { patch: plan.patch, batch, outputs: shape[4], teacher: false, recompute };
    println!("{peak}, foreseen {:.0} kB", plan.network.training_bytes(&shape).unwrap_or_default() / 1024.0);
    Ok(())
}

/// Numbers in [0, 1) without pattern.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    (0..count).map(|_| next()).collect()
}
