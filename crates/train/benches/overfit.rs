//! Can `la-caf` at an eighth of its widths learn two 96³ crops by heart? Dice ≥ 0.9 within 500 steps, else this fails.
//!
//! `cargo bench -p pulmoav-train --bench overfit -- DATASET [STEPS]`: the first two cases of a data set, prepared for the
//! plan, one crop about the middle of each. Dice is counted over both crops and all four targets at a threshold of 0.5.

use std::{path::Path, process::ExitCode, time::Instant};

use candle_core::{Device, Tensor};
use pulmoav_model::{Mode, Network, Parameters, philox::normals, prompt_embeddings};
use pulmoav_ops::{block_cache::BlockCache, tape::Tape};
use pulmoav_plan::Plan;
use pulmoav_train::{
    case::{Annotated, DataSet},
    code::{AnswerTable, FULL},
    loss::{AnswerGrid, LossConfig, MapWeights, supervised},
    optimizer::{AdamW, AdamWConfig},
    patch::Patch,
    prepare::cached,
    sampler::Places,
};
use pulmoav_volume::monitor::Silent;

/// The addon's allocator.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

const EDGE: usize = 96;
const WIDTH_DIVISOR: usize = 8;
const TEXT_WIDTH: usize = 64;
const WINDOW_HU: [f32; 2] = [-700.0, 300.0];
const WANTED_DICE: f64 = 0.9;
const WARM_UP: u64 = 20;
const PEAK_RATE: f64 = 3e-3;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let dataset = arguments.next().ok_or("usage: overfit DATASET [STEPS]")?;
    let steps: u64 = arguments.next().map_or(Ok(500), |steps| steps.parse())?;
    let plan = plan()?;
    let patches = crops(Path::new(&dataset), &plan)?;
    let (image, answers) = (image(&patches)?, answers(&patches, &plan));
    let mut parameters = Parameters::new(1);
    let network = Network::build(&plan, &mut parameters)?;
    println!("la-caf / {WIDTH_DIVISOR}: {} parameters", parameters.element_count());
    let variables = parameters.iter().map(|(name, var)| (name.to_owned(), var.clone())).collect();
    let mut optimizer = AdamW::new(optimizer_config(), variables)?;
    let map_weights = MapWeights { class: 1.0, sided: 1.0, union: 1.0, auxiliary: 1.0 };
    let loss_config =
        LossConfig { dice: 1.0, bce: 1.0, smooth: 1.0, batch_dice: true, scale_weights: vec![1.0], map_weights };
    let prompts = prompt_embeddings(&plan)?;
    let start = Instant::now();
    for step in 0..steps {
        let (logits, tape) = Tape::record(|| network.forward(&image, &prompts, Mode::Train))?;
        let losses = supervised(&logits, std::slice::from_ref(&answers), &loss_config, &map_weights.of(&plan))?;
        let (loss, dice) = (losses[0].value, dice(&logits[0], &answers)?);
        if step % 20 == 0 || dice >= WANTED_DICE {
            println!("step {step}  loss {loss:.4}  dice {dice:.4}  {:.0} s", start.elapsed().as_secs_f64());
        }
        if dice >= WANTED_DICE {
            return Ok(ExitCode::SUCCESS);
        }
        let seeds = logits.into_iter().zip(losses).map(|(logits, loss)| (logits, loss.gradient)).collect();
        optimizer.update(step + 1, rate(step, steps), &mut tape.backward(seeds)?)?;
    }
    println!("Dice stayed below {WANTED_DICE}");
    Ok(ExitCode::FAILURE)
}

fn optimizer_config() -> AdamWConfig {
    AdamWConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-5, clip_norm: 1.0, mean_decay: 0.0 }
}

fn rate(step: u64, steps: u64) -> f64 {
    let warm = ((step + 1) as f64 / WARM_UP as f64).min(1.0);
    warm * PEAK_RATE * (1.0 - 0.9 * step as f64 / steps as f64)
}

/// The published plan with narrower layers and embeddings drawn from a normal distribution.
fn plan() -> Result<Plan, Box<dyn std::error::Error>> {
    let names = ["left artery", "left vein", "right artery", "right vein"];
    let targets: Vec<serde_json::Value> = names
        .iter()
        .zip(1u64..)
        .map(|(name, value)| {
            let (side, class) = name.split_once(' ').unwrap_or_default();
            let embedding = normals(1, value, TEXT_WIDTH);
            serde_json::json!({ "name": name, "value": value, "prompt": name, "classes": [class], "side": side,
                "embedding": embedding })
        })
        .collect();
    Ok(serde_json::from_value(serde_json::json!({
        "version": 1, "name": "la-caf / 8", "spacingMm": [1.5, 1.5, 1.5],
        "channels": [{ "kind": "window", "windowHu": WINDOW_HU }],
        "patch": [EDGE, EDGE, EDGE], "crop": { "kind": "lungs", "marginMm": 25 },
        "tiles": { "tile": [EDGE, EDGE, EDGE], "overlap": 0.5, "blend": "logits", "skipEmpty": false },
        "targets": targets, "defaultTargets": names,
        "textEncoder": { "id": "drawn", "sha256": "" },
        "network": { "preset": "la-caf", "widthDivisor": WIDTH_DIVISOR, "variant": "la-caf", "textWidth": TEXT_WIDTH }
    }))?)
}

/// One crop about the middle of each of the first two cases.
fn crops(dataset: &Path, plan: &Plan) -> Result<Vec<Patch>, Box<dyn std::error::Error>> {
    let set = DataSet::open(dataset)?;
    let cache = std::env::temp_dir().join("pulmoav-overfit");
    let mut patches = Vec::new();
    for case in set.cases.iter().take(2) {
        let case = cached(&cache, plan, case, &Silent)?;
        let origin = case.shape().map(|size| (size as isize - EDGE as isize) / 2);
        patches.push(case.patch(origin, [EDGE; 3], [true; 2])?);
    }
    Ok(patches)
}

fn image(patches: &[Patch]) -> Result<Tensor, candle_core::Error> {
    let [low, high] = WINDOW_HU;
    let shares = patches.iter().flat_map(|patch| patch.hu.iter().map(|hu| ((hu - low) / (high - low)).clamp(0.0, 1.0)));
    Tensor::from_iter(shares, &Device::Cpu)?.reshape((patches.len(), EDGE, EDGE, EDGE, 1))
}

fn answers(patches: &[Patch], plan: &Plan) -> AnswerGrid {
    let table = AnswerTable::new(&plan.targets, &[], &Annotated::default(), false);
    let samples: Vec<(&[u8], AnswerTable)> = patches.iter().map(|patch| (&*patch.codes, table.clone())).collect();
    AnswerGrid::new([EDGE; 3], &samples)
}

/// Dice of all logits above 0 against all whole answers.
fn dice(logits: &Tensor, answers: &AnswerGrid) -> Result<f64, candle_core::Error> {
    let logits = logits.flatten_all()?.to_vec1::<f32>()?;
    let (mut both, mut sum) = (0u64, 0u64);
    for (&z, &answer) in logits.iter().zip(&answers.data) {
        let (found, there) = (z > 0.0, answer == FULL);
        both += u64::from(found && there);
        sum += u64::from(found) + u64::from(there);
    }
    Ok(2.0 * both as f64 / sum.max(1) as f64)
}
