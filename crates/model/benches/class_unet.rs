//! nnU-Net's U-Nets at full size: seconds of a warm forward pass of one window.
//!
//! Input: noise; random weights. Expected: the numbers that PyTorch gives (held by `crates/checkpoint`'s tests). Peer:
//! `benches/nnunet_window_torch.py`, which starts this program in turn with PyTorch.
//!
//! `cargo bench --workspace --profile dev --bench class_unet -- [--net plain] [--threads 2] [--repeats 3] [--cpu-time]`:
//! one line of JSON; with `--cpu-time` seconds on a core instead of wall time. Networks: `plain`, `residual`, `anisotropic`.
#![allow(missing_docs)]

#[path = "../../ops/benches/machine/mod.rs"]
mod machine;

use candle_core::{Device, Tensor};
use pulmoav_model::{ClassNetwork, Parameters};
use pulmoav_ops::block_cache::BlockCache;
use pulmoav_plan::{ClassPlan, PlanError};
use serde_json::{Value, json};

/// As in the addon: results reuse the memory of results.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

/// What may go wrong, on any thread.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let (threads, repeats) = (machine::threads(), machine::number("--repeats", 3).max(1));
    let arguments: Vec<String> = std::env::args().collect();
    let net = arguments.iter().position(|argument| argument == "--net").and_then(|at| arguments.get(at + 1));
    let plan = plan(net.map_or("plain", String::as_str))?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (mut seconds, parameters) = pool.install(|| measure(&plan, repeats))?;
    seconds.sort_by(f64::total_cmp);
    let peak = machine::peak_gflops() * threads as f64;
    let median = seconds[seconds.len() / 2];
    let bytes = machine::peak_bytes();
    println!("{}", json!({"seconds": median, "peakGflops": peak, "peakBytes": bytes, "parameters": parameters}));
    Ok(())
}

/// Seconds of each repeat, after one to warm up, and the network's numbers.
fn measure(plan: &ClassPlan, repeats: usize) -> Result<(Vec<f64>, usize), Failure> {
    let mut parameters = Parameters::new(1);
    let network = ClassNetwork::build(plan, &mut parameters)?;
    let [depth, height, width] = plan.patch;
    let x = Tensor::rand(0f32, 1.0, (1, depth, height, width, 1), &Device::Cpu)?;
    let mut seconds = vec![];
    for repeat in 0..=repeats {
        let start = machine::Clock::start();
        std::hint::black_box(network.forward(&x)?);
        if repeat > 0 {
            seconds.push(start.seconds());
        }
    }
    Ok((seconds, parameters.element_count()))
}

fn plan(net: &str) -> Result<ClassPlan, PlanError> {
    let six = [32, 64, 128, 256, 320, 320];
    let halved = |stages: usize| (0..stages).map(|stage| if stage == 0 { [1; 3] } else { [2; 3] }).collect::<Vec<_>>();
    let (patch, network) = match net {
        "residual" => ([96; 3], network("residual-unet", &six, &[[3; 3]; 6], &halved(6), &[1, 3, 4, 6, 6, 6], 1)),
        "anisotropic" => {
            let kernels = [[1, 3, 3], [1, 3, 3], [3; 3], [3; 3], [3; 3], [3; 3], [3; 3]];
            let strides = [[1; 3], [1, 2, 2], [1, 2, 2], [2; 3], [2; 3], [1, 2, 2], [1, 2, 2]];
            let channels = [32, 64, 128, 256, 320, 320, 320];
            ([28, 256, 256], network("plain-unet", &channels, &kernels, &strides, &[2; 7], 2))
        }
        _ => ([128; 3], network("plain-unet", &six, &[[3; 3]; 6], &halved(6), &[2; 6], 2)),
    };
    let plan = json!({
        "version": 2, "name": net, "axes": [0, 1, 2], "reorient": false, "spacingMm": [1.0, 1.0, 1.0], "patch": patch,
        "source": {"family": "nnunet", "dataset": "noise", "trainer": "none", "configuration": "none", "licence": null},
        "channels": [{"name": "CT", "normalisation": {"kind": "none"}}], "step": 0.5, "mirrorAxes": [],
        "imageResampling": {"kind": "none"}, "logitResampling": {"kind": "none"}, "output": {"kind": "softmax"},
        "classes": (1..5).map(|value| json!({"name": value.to_string(), "value": value})).collect::<Vec<_>>(),
        "folds": 1, "network": network,
    });
    ClassPlan::from_json(&plan.to_string())
}

fn network(
    preset: &str,
    channels: &[usize],
    kernels: &[[usize; 3]],
    strides: &[[usize; 3]],
    blocks: &[usize],
    decoder: usize,
) -> Value {
    json!({
        "preset": preset, "stageChannels": channels, "kernels": kernels, "strides": strides, "stageBlocks": blocks,
        "decoderBlocks": vec![decoder; channels.len() - 1], "convBias": true, "normEps": 1e-5, "negativeSlope": 0.01,
        "activationFirst": false, "outputs": 5,
    })
}
