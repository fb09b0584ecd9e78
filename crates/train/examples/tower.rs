//! Trains the bundled text tower and says what it learned: `tower OUT.safetensors [STEPS]`.

use std::time::Instant;

use pulmoav_task::Monitor;
use pulmoav_text::TARGETS;
use pulmoav_text::corpus::{HELD_OUT, read_table};
use pulmoav_train::optimizer::{AdamWConfig, OptimizerConfig};
use pulmoav_train::tower::{TowerConfig, train_tower};

struct Lines(Instant);

impl Monitor for Lines {
    fn report(&self, _stage: &'static str, done: u64, total: u64) {
        if done.is_multiple_of(100) {
            eprintln!("{done}/{total} {:.0} s", self.0.elapsed().as_secs_f64());
        }
    }

    fn cancelled(&self) -> bool {
        false
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: tower OUT.safetensors [STEPS]")?;
    let steps = arguments.next().map_or(Ok(1500), |steps| steps.parse())?;
    let config = TowerConfig {
        seed: 1,
        width: 64,
        layers: 2,
        steps,
        batch: 192,
        learning_rate: 3e-3,
        smoothing: 0.02,
        optimizer: OptimizerConfig::Adamw(AdamWConfig {
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-8,
            weight_decay: 0.05,
            clip_norm: 1.0,
            mean_decay: 0.0,
        }),
    };
    let tower = train_tower(&config, &Device::Cpu, &Lines(Instant::now()))?;
    candle_core::safetensors::save(&tower.tensors().iter().cloned().collect(), &out)?;

    let table = read_table(HELD_OUT);
    let resolved = tower.resolve(&table.iter().map(|(_, text)| *text).collect::<Vec<_>>())?;
    let wrong = table.iter().zip(&resolved).filter(|((target, _), resolution)| *target != resolution.target);
    for ((target, text), resolution) in wrong.clone() {
        println!("{text:?}: {:?} ({:.2}), expected {target:?}", resolution.target, resolution.confidence);
    }
    println!("held out: {} of {} right", table.len() - wrong.count(), table.len());
    println!("cosines between the targets' embeddings:");
    let embeddings = tower.target_embeddings()?;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (name, a) in TARGETS.iter().zip(&embeddings) {
        let row: Vec<String> =
            embeddings.iter().map(|b| format!("{:5.2}", dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())).collect();
        println!("{name:>14} |{:5.2}| {}", dot(a, a).sqrt(), row.join(" "));
    }
    println!("sha256 {}", tower.sha256()?);
    Ok(())
}
