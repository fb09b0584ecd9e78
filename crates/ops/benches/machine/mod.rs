//! What the machine can do, and clocks to measure by.
#![allow(dead_code, unreachable_pub)] // Every bench takes what it needs.

use std::time::Instant;

use rayon::prelude::*;

use pulmoav_ops::simd::{Kernel, Lanes, Level};

/// Wall time, or with `--cpu-time` (for one thread on a busy machine) the time that this process spent on a core.
pub struct Clock {
    pub wall: Instant,
    pub core: Option<f64>,
}

impl Clock {
    pub fn start() -> Self {
        let core = std::env::args().any(|arg| arg == "--cpu-time").then(core_seconds);
        Self { wall: Instant::now(), core }
    }

    pub fn seconds(&self) -> f64 {
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

/// What one core reaches with nothing but multiply-adds, GFLOP/s.
pub fn peak_gflops() -> f64 {
    (0..3).map(|_| Level::current().run(Chains)).fold(0.0, f64::max)
}

/// Bytes that a copy of much memory reads and writes, GB/s, on the surrounding rayon pool.
pub fn copy_gbps() -> f64 {
    const FLOATS: usize = 1 << 26;
    const CHUNK: usize = 1 << 16;
    let from = vec![1f32; FLOATS];
    let mut to = vec![0f32; FLOATS];
    let seconds = (0..5).map(|_| {
        let clock = Clock::start();
        to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| to.copy_from_slice(from));
        std::hint::black_box(&to);
        clock.wall.elapsed().as_secs_f64()
    });
    (2 * FLOATS * size_of::<f32>()) as f64 / seconds.fold(f64::INFINITY, f64::min) / 1e9
}

/// The value of a command line option `--name VALUE`.
pub fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

/// The same as a number.
pub fn number(name: &str, default: usize) -> usize {
    option(name).map_or(default, |text| text.parse().unwrap_or(default))
}

/// Whether an option is given.
pub fn flag(name: &str) -> bool {
    std::env::args().any(|arg| arg == name)
}

/// `--threads N`, or all there are.
pub fn threads() -> usize {
    number("--threads", std::thread::available_parallelism().map_or(1, usize::from))
}

/// The most memory this process has had resident, bytes; 0 where the system does not tell.
pub fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}
