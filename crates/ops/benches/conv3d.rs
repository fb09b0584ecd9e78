//! Speed of the convolutions of the `pulmoav` networks, as a share of what the machine's multiply-add units can do.
//!
//! Input: noise, batch 2, a 64³ patch and its coarser scales. Expected: each result equal to that of the plain reference at
//! a few sampled voxels (the conformance tests hold all of them). Peer: `benches/conv3d_torch.py` prints the same rows for PyTorch.
//!
//! `cargo bench -p pulmoav-ops --bench conv3d -- [--patch 64] [--threads 2] [--only TEXT] [--level portable|avx2|avx512] [--cpu-time]`
#![allow(missing_docs)]

use std::time::Instant;

use pulmoav_ops::block_cache::BlockCache;
use pulmoav_ops::conv3d::cpu;
use pulmoav_ops::conv3d::geometry::{Geometry, WeightOrder};
use pulmoav_ops::simd::{Kernel, Lanes, Level, with_level};

/// As in the addon: results reuse the memory of results.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

/// Name, input channels, output channels, kernel, stride, transposed, patch / size of the input.
const LAYERS: &[(&str, usize, usize, usize, usize, bool, usize)] = &[
    ("stem 3-16", 3, 16, 3, 1, false, 1),
    ("16-16", 16, 16, 3, 1, false, 1),
    ("16-32 s2", 16, 32, 3, 2, false, 1),
    ("32-32", 32, 32, 3, 1, false, 2),
    ("32-64 s2", 32, 64, 3, 2, false, 2),
    ("64-64", 64, 64, 3, 1, false, 4),
    ("64-128 s2", 64, 128, 3, 2, false, 4),
    ("128-128", 128, 128, 3, 1, false, 8),
    ("up 128-64", 128, 64, 2, 2, true, 8),
    ("128-64", 128, 64, 3, 1, false, 4),
    ("up 64-32", 64, 32, 2, 2, true, 4),
    ("64-32", 64, 32, 3, 1, false, 2),
    ("up 32-16", 32, 16, 2, 2, true, 2),
    ("32-16", 32, 16, 3, 1, false, 1),
    ("1x1x1 16-32 s2", 16, 32, 1, 2, false, 1),
    ("1x1x1 32-16", 32, 16, 1, 1, false, 1),
    ("head 16-4", 16, 4, 1, 1, false, 1),
];

fn main() {
    let option = |name: &str| std::env::args().skip_while(|arg| arg != name).nth(1);
    let number = |name: &str, default: usize| option(name).map_or(default, |text| text.parse().unwrap_or(default));
    let (patch, batch) = (number("--patch", 64), number("--batch", 2));
    let threads = number("--threads", std::thread::available_parallelism().map_or(1, usize::from));
    let only = option("--only").unwrap_or_default();
    let level = match option("--level").as_deref() {
        Some("portable") => Level::Portable,
        Some("avx2") => Level::Avx2,
        Some("avx512") => Level::Avx512,
        _ => Level::current(),
    };
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return };
    with_level(level, || pool.install(|| run(patch, batch, threads, &only)));
}

fn run(patch: usize, batch: usize, threads: usize, only: &str) {
    let peak = peak_gflops() * threads as f64;
    println!("level {:?}, {threads} threads, multiply-add peak {peak:.0} GFLOP/s", Level::current());
    println!(
        "{:16} {:>7} | {:>24} | {:>24} | {:>24}",
        "layer", "GFLOP", "forward", "input gradient", "weight gradient"
    );
    let mut totals = [(0.0, 0.0); 3];
    for &(name, ci, co, kernel, stride, transposed, division) in LAYERS {
        if !name.contains(only) {
            continue;
        }
        let size = (patch / division).max(1);
        let (geometry, order) = geometry(batch, size, ci, co, kernel, stride, transposed);
        let fine = noise(geometry.fine_shape().iter().product(), 1);
        let coarse = noise(geometry.coarse_shape().iter().product(), 2);
        let weight = noise(order.shape(&geometry).iter().product(), 3);
        let to_coarse = seconds(|| cpu::to_coarse(&geometry, &fine, &weight, order, None));
        let to_fine = seconds(|| cpu::to_fine(&geometry, &coarse, &weight, order, None));
        let weights = seconds(|| cpu::weight_gradient(&geometry, &fine, &coarse, order));
        let gflop = geometry.flops() as f64 / 1e9;
        let times = if transposed { [to_fine, to_coarse, weights] } else { [to_coarse, to_fine, weights] };
        let cells = times
            .map(|time| format!("{:7.2} ms {:4.0}/s {:3.0} %", time * 1e3, gflop / time, 100.0 * gflop / time / peak));
        println!("{name:16} {gflop:7.3} | {:>24} | {:>24} | {:>24}", cells[0], cells[1], cells[2]);
        for (total, time) in totals.iter_mut().zip(times) {
            *total = (total.0 + gflop, total.1 + time);
        }
    }
    let cells = totals.map(|(gflop, time)| {
        format!("{:7.2} ms {:4.0}/s {:3.0} %", time * 1e3, gflop / time, 100.0 * gflop / time / peak)
    });
    println!("{:16} {:7.3} | {:>24} | {:>24} | {:>24}", "sum", totals[0].0, cells[0], cells[1], cells[2]);
}

fn geometry(
    batch: usize,
    size: usize,
    ci: usize,
    co: usize,
    kernel: usize,
    stride: usize,
    transposed: bool,
) -> (Geometry, WeightOrder) {
    let kernel3 = [kernel; 3];
    if transposed {
        let fine = [(size - 1) * stride + kernel; 3];
        let g = Geometry {
            batch,
            fine,
            fine_channels: co,
            coarse: [size; 3],
            coarse_channels: ci,
            kernel: kernel3,
            stride: [stride; 3],
            padding: [0; 3],
        };
        return (g, WeightOrder::CoarseFine);
    }
    let padding = (kernel - 1) / 2;
    let coarse = [(size + 2 * padding - kernel) / stride + 1; 3];
    let g = Geometry {
        batch,
        fine: [size; 3],
        fine_channels: ci,
        coarse,
        coarse_channels: co,
        kernel: kernel3,
        stride: [stride; 3],
        padding: [padding; 3],
    };
    (g, WeightOrder::FineCoarse)
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

/// Wall time, or with `--cpu-time` (for one thread on a busy machine) the time that this process spent on a core.
struct Clock {
    wall: Instant,
    core: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        let core = std::env::args().any(|arg| arg == "--cpu-time").then(core_seconds);
        Self { wall: Instant::now(), core }
    }

    fn seconds(&self) -> f64 {
        self.core.map_or_else(|| self.wall.elapsed().as_secs_f64(), |core| core_seconds() - core)
    }
}

/// Seconds on a core of all threads, from Linux' scheduler.
fn core_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds = |task: std::fs::DirEntry| -> Option<f64> {
        std::fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    tasks.filter_map(nanoseconds).sum::<f64>() / 1e9
}

/// Twelve independent chains of multiply-adds on one core.
struct Chains;

impl Kernel for Chains {
    type Output = f64;

    #[inline(always)]
    #[allow(unsafe_code, clippy::inline_always)]
    fn run<L: Lanes>(self) -> f64 {
        const ROUNDS: usize = 20_000_000;
        let (factor, small) = (std::hint::black_box(0.999f32), std::hint::black_box(0.001f32));
        let start = Clock::start();
        // SAFETY: `Level::run` found the instruction set; the pointers are those of locals.
        unsafe {
            let (factor, small) = (L::splat(&raw const factor), L::splat(&raw const small));
            let mut sums = [small; 12];
            let mut sink = [0f32; 16];
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = small.plus_product(*sum, factor);
                }
            }
            for sum in sums {
                sum.store(sink.as_mut_ptr());
                std::hint::black_box(&sink);
            }
        }
        (2 * 12 * L::N * ROUNDS) as f64 / start.seconds() / 1e9
    }
}

fn peak_gflops() -> f64 {
    (0..3).map(|_| Level::current().run(Chains)).fold(0.0, f64::max)
}
