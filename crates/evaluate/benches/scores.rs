//! Times and memory of scores on a pair of label maps.
//!
//! Input: `gt.nii.gz` and `pred.nii.gz` of the peers' chest, 512 × 512 × 400 voxels, arteries 1 and veins 2. Expected:
//! the peers' values. Peer: `metrics.py` of the peers' scripts, started beside it by `npm run bench -- --only scores`.
//!
//! `cargo bench --workspace --profile dev --bench scores -- --data DIR --case CASE [--threads N] [--repeats N]`: a line
//! of JSON, the best of N and the process's peak memory. Cases ending in `_bbox` are of the box that holds both masks,
//! cut out before the clock starts.
#![allow(missing_docs)]

use std::path::PathBuf;
use std::time::Instant;

use pulmoav_evaluate::{Options, evaluate};
use pulmoav_task::Silent;
use pulmoav_volume::bits::Bits;
use pulmoav_volume::components::{Connectivity, component_sizes};
use pulmoav_volume::crop::{VoxelBox, crop};
use pulmoav_volume::formats::read;
use pulmoav_volume::label::labels;
use pulmoav_volume::{Mask, Voxels};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let option = |name: &str| std::env::args().skip_while(|arg| arg != name).nth(1);
    let number = |name: &str, default: usize| option(name).map_or(default, |text| text.parse().unwrap_or(default));
    let (Some(data), Some(case)) = (option("--data").map(PathBuf::from), option("--case")) else {
        // `cargo test` starts benches too, without arguments.
        return Ok(());
    };
    let threads = number("--threads", std::thread::available_parallelism().map_or(1, usize::from));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| run(&data, &case, number("--repeats", 3)))
}

fn run(data: &std::path::Path, case: &str, repeats: usize) -> Result<(), Failure> {
    let load = |name: &str| -> Result<Mask, Failure> {
        let image = read(&data.join(name), None, &Silent)?;
        let voxels = match image.voxels {
            Voxels::U8(voxels) => voxels,
            voxels => labels(&voxels, "labels")?,
        };
        Ok(Mask { data: voxels, grid: image.header.grid })
    };
    let (mut reference, mut pred) = (load("gt.nii.gz")?, load("pred.nii.gz")?);
    if case != "dice" {
        // The peers score arteries alone.
        for map in [&mut reference, &mut pred] {
            map.data.iter_mut().for_each(|label| *label = u8::from(*label == 1));
        }
    }
    if case.ends_with("_bbox") {
        let around = |map: &Mask| VoxelBox::around(&map.data, map.grid.shape, |label| label == 1);
        if let (Some(a), Some(b)) = (around(&reference), around(&pred)) {
            (reference, pred) = (crop(&reference, &a.joined(&b)), crop(&pred, &a.joined(&b)));
        }
    }
    let mut best = f64::INFINITY;
    let mut values = Vec::new();
    for _ in 0..repeats {
        let start = Instant::now();
        values = found(case, &pred, &reference)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let shape = reference.grid.shape;
    let peak = peak_bytes();
    println!(r#"{{"case":"{case}","values":{values:?},"shape":{shape:?},"seconds":{best},"peakBytes":{peak}}}"#);
    Ok(())
}

fn found(case: &str, pred: &Mask, reference: &Mask) -> Result<Vec<f64>, Failure> {
    let (names, targets): (&[&str], usize) = match case.trim_end_matches("_bbox").trim_end_matches("_full") {
        "dice" => (&["dice"], 2),
        "hd95" => (&["hd95Voxels", "assdVoxels"], 1),
        "surfaces" => (&["hd95", "assd", "nsd1mm"], 1),
        "cldice" => (&["clDice"], 1),
        "components" => {
            let whole = VoxelBox::whole(pred.grid.shape);
            let bits = Bits::of(&pred.data, pred.grid.shape, &whole, 0, |label| label == 1);
            return Ok(vec![component_sizes(&bits, Connectivity::Corners).len() as f64]);
        }
        other => return Err(format!("there is no case {other}").into()),
    };
    let mut options = Options { groups: Vec::new(), ..Options::default() };
    options.names = names.iter().map(|name| (*name).to_owned()).collect();
    options.targets.truncate(targets);
    let scores = evaluate(pred, reference, &options, &Silent)?.scores;
    Ok(scores.0.iter().flat_map(|(_, row)| row.0.iter().map(|(_, value)| value.unwrap_or(f64::NAN))).collect())
}

/// The high-water mark of the process's memory; 0 where the system does not tell.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|text| text.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}
