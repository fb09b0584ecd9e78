//! The published network (docs/method.md, Preset la-caf) at full width: seconds of a warm forward pass of one 96³ patch
//! with four prompts.
//!
//! Input: noise; random weights. Expected: the numbers of a second implementation (held by the tests of this crate).
//! Peer: `benches/la_caf_torch.py`, which starts this program in turn with PyTorch.
//!
//! `cargo bench --workspace --profile dev --bench la_caf -- [--threads 2] [--repeats 3]`: one line of JSON.
#![allow(missing_docs)]

#[path = "../../ops/benches/machine/mod.rs"]
mod machine;

use std::time::Instant;

use candle_core::{Device, Tensor};
use pulmoav_model::{Mode, Network, Parameters, prompt_embeddings};
use pulmoav_ops::block_cache::BlockCache;
use pulmoav_plan::Plan;
use serde_json::json;

/// As in the addon: results reuse the memory of results.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

const PATCH: usize = 96;
const TEXT_WIDTH: usize = 512;
const PROMPTS: usize = 4;

/// What may go wrong, on any thread.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let (threads, repeats) = (machine::threads(), machine::number("--repeats", 3));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let mut seconds = pool.install(|| measure(repeats))?;
    seconds.sort_by(f64::total_cmp);
    let peak = machine::peak_gflops() * threads as f64;
    println!(
        "{}",
        json!({"seconds": seconds[seconds.len() / 2], "peakGflops": peak, "peakBytes": machine::peak_bytes()})
    );
    Ok(())
}

/// Seconds of each repeat, after one to warm up.
fn measure(repeats: usize) -> Result<Vec<f64>, Failure> {
    let plan = plan()?;
    let network = Network::build(&plan, &mut Parameters::new(1))?;
    let prompts = prompt_embeddings(&plan, &Device::Cpu)?;
    let x = Tensor::rand(0f32, 1.0, (1, PATCH, PATCH, PATCH, 1), &Device::Cpu)?;
    let mut seconds = vec![];
    for repeat in 0..=repeats.max(1) {
        let start = Instant::now();
        std::hint::black_box(network.forward(&x, &prompts, Mode::Infer)?);
        if repeat > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

fn plan() -> Result<Plan, pulmoav_plan::PlanError> {
    let target = |place: usize| {
        let embedding: Vec<f64> = (0..TEXT_WIDTH).map(|i| ((7 * i + 13 * place) % 19) as f64 / 19.0 - 0.4).collect();
        let name = format!("target {place}");
        json!({"name": name, "value": place + 1, "prompt": name, "classes": ["artery"], "side": null, "embedding": embedding})
    };
    let targets: Vec<_> = (0..PROMPTS).map(target).collect();
    let plan = json!({
        "version": 1, "name": "la-caf", "spacingMm": [1.5, 1.5, 1.5], "channels": [{"kind": "window", "windowHu": [-700.0, 300.0]}],
        "patch": [PATCH, PATCH, PATCH], "crop": {"kind": "none"}, "walls": null,
        "tiles": {"tile": [PATCH, PATCH, PATCH], "overlap": 0.5, "blend": "logits", "skipEmpty": false},
        "targets": targets, "defaultTargets": ["target 0"], "textEncoder": {"id": "random", "sha256": "0"},
        "network": {"preset": "la-caf", "widthDivisor": 1, "variant": "la-caf", "textWidth": TEXT_WIDTH},
    });
    Plan::from_json(&plan.to_string())
}
