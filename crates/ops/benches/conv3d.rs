//! Speed of the convolutions of the `pulmoav` networks and of a plain U-Net, as a share of what the machine's
//! multiply-add units can do.
//!
//! Input: noise, batch 2, a 64³ patch and its coarser scales. Expected: each result equal to that of the plain
//! reference at a few sampled voxels (the conformance tests hold all of them). Peer: `benches/conv3d_torch.py` prints
//! the same rows for PyTorch.
//!
//! `cargo bench --workspace --profile dev --bench conv3d -- [--patch 64] [--threads 2] [--set tiny|unet] [--only TEXT]
//! [--pass forward|input|weight] [--level portable|avx2|avx512] [--cpu-time] [--json]`
#![allow(missing_docs)]

mod machine;

use std::time::Instant;

use machine::{Clock, flag, number, option, peak_gflops, threads};
use pulmoav_ops::block_cache::BlockCache;
use pulmoav_ops::conv3d::cpu;
use pulmoav_ops::conv3d::geometry::{Geometry, WeightOrder};
use pulmoav_ops::simd::{Level, with_level};

/// As in the addon: results reuse the memory of results.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

/// The layers, for the peer too: whose network, name, shape.
const LAYERS: &str = include_str!("layers.tsv");

/// One line of [`LAYERS`].
struct Layer {
    name: &'static str,
    input_channels: usize,
    output_channels: usize,
    kernel: usize,
    stride: usize,
    transposed: bool,
    /// Patch / size of the input.
    division: usize,
}

impl Layer {
    /// Those of a set whose name has `only` in it, or the one that is called so.
    fn of(set: &str, only: &str) -> Vec<Self> {
        let fields = LAYERS.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
        let is_name = fields.clone().any(|fields| fields[0] == set && fields[1] == only);
        fields
            .filter(|fields| fields[0] == set && if is_name { fields[1] == only } else { fields[1].contains(only) })
            .filter_map(|fields| Self::read(&fields))
            .collect()
    }

    fn read(fields: &[&'static str]) -> Option<Self> {
        let number = |place: usize| fields.get(place)?.parse::<usize>().ok();
        Some(Self {
            name: fields.get(1)?,
            input_channels: number(2)?,
            output_channels: number(3)?,
            kernel: number(4)?,
            stride: number(5)?,
            transposed: number(6)? == 1,
            division: number(7)?,
        })
    }

    fn geometry(&self, batch: usize, size: usize) -> (Geometry, WeightOrder) {
        let &Self { input_channels, output_channels, kernel, stride, transposed, .. } = self;
        let kernel3 = [kernel; 3];
        if transposed {
            let g = Geometry {
                batch,
                fine: [(size - 1) * stride + kernel; 3],
                fine_channels: output_channels,
                coarse: [size; 3],
                coarse_channels: input_channels,
                kernel: kernel3,
                stride: [stride; 3],
                padding: [0; 3],
            };
            return (g, WeightOrder::CoarseFine);
        }
        let padding = (kernel - 1) / 2;
        let g = Geometry {
            batch,
            fine: [size; 3],
            fine_channels: input_channels,
            coarse: [(size + 2 * padding - kernel) / stride + 1; 3],
            coarse_channels: output_channels,
            kernel: kernel3,
            stride: [stride; 3],
            padding: [padding; 3],
        };
        (g, WeightOrder::FineCoarse)
    }
}

fn main() {
    let (patch, batch, threads) = (number("--patch", 64), number("--batch", 2), threads());
    let only = option("--only").unwrap_or_default();
    let level = match option("--level").as_deref() {
        Some("portable") => Level::Portable,
        Some("avx2") => Level::Avx2,
        Some("avx512") => Level::Avx512,
        _ => Level::current(),
    };
    let set = option("--set").unwrap_or_else(|| "tiny".to_owned());
    let json = flag("--json");
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return };
    let layers = Layer::of(&set, &only);
    with_level(level, || pool.install(|| run(&layers, patch, batch, threads, json)));
}

fn run(layers: &[Layer], patch: usize, batch: usize, threads: usize, json: bool) {
    let peak = peak_gflops() * threads as f64;
    if json {
        println!("{{\"peakGflops\":{peak:.1}}}");
    } else {
        println!("level {:?}, {threads} threads, multiply-add peak {peak:.0} GFLOP/s", Level::current());
        println!(
            "{:16} {:>7} | {:>24} | {:>24} | {:>24}",
            "layer", "GFLOP", "forward", "input gradient", "weight gradient"
        );
    }
    let mut totals = (0.0, [0.0; 3]);
    for layer in layers {
        let (gflop, times) = measure(layer, batch, (patch / layer.division).max(1));
        totals.0 += gflop;
        totals.1.iter_mut().zip(times).for_each(|(total, time)| *total += time);
        if json {
            println!("{{\"layer\":\"{}\",\"gflop\":{gflop:.4},\"seconds\":{times:?}}}", layer.name);
        } else {
            print_row(layer.name, gflop, times, peak);
        }
    }
    if !json {
        print_row("sum", totals.0, totals.1, peak);
    }
}

/// GFLOP of a layer and seconds of its three passes: forward, input gradient, weight gradient.
fn measure(layer: &Layer, batch: usize, size: usize) -> (f64, [f64; 3]) {
    let (geometry, order) = layer.geometry(batch, size);
    let fine = noise(geometry.fine_shape().iter().product(), 1);
    let coarse = noise(geometry.coarse_shape().iter().product(), 2);
    let weight = noise(order.shape(&geometry).iter().product(), 3);
    let only = option("--pass");
    let seconds = |pass: &str, run: &dyn Fn() -> Vec<f32>| {
        if only.as_ref().is_none_or(|only| only == pass) { seconds(run) } else { f64::NAN }
    };
    let (forward, back) = if layer.transposed { ("input", "forward") } else { ("forward", "input") };
    let to_coarse = seconds(forward, &|| cpu::to_coarse(&geometry, &fine, &weight, order, None));
    let to_fine = seconds(back, &|| cpu::to_fine(&geometry, &coarse, &weight, order, None));
    let weights = seconds("weight", &|| cpu::weight_gradient(&geometry, &fine, &coarse, order));
    let times = if layer.transposed { [to_fine, to_coarse, weights] } else { [to_coarse, to_fine, weights] };
    (geometry.flops() as f64 / 1e9, times)
}

fn print_row(name: &str, gflop: f64, times: [f64; 3], peak: f64) {
    let cells =
        times.map(|time| format!("{:7.2} ms {:4.0}/s {:3.0} %", time * 1e3, gflop / time, 100.0 * gflop / time / peak));
    println!("{name:16} {gflop:7.3} | {:>24} | {:>24} | {:>24}", cells[0], cells[1], cells[2]);
}

fn noise(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32)
        .map(|i| ((i ^ (seed << 20)).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
        .collect()
}

/// The median of some runs, after one to warm up; the mean of core times, which Linux counts in ticks.
fn seconds(mut run: impl FnMut() -> Vec<f32>) -> f64 {
    std::hint::black_box(run());
    let whole = Clock::start();
    let mut times = vec![];
    while times.len() < 5 || (whole.wall.elapsed().as_secs_f64() < 0.3 && times.len() < 500) {
        let start = Instant::now();
        std::hint::black_box(run());
        times.push(start.elapsed().as_secs_f64());
    }
    if whole.core.is_some() {
        return whole.seconds() / times.len() as f64;
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
