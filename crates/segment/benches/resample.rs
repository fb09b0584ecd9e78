//! Times of what carries voxels between the scan's grid and the network's: a scan to 1 mm, linearly and by cubic
//! splines, and the probabilities of three targets back to the scan's grid with the decision.
//!
//! Input: noise on 400 × 512 × 512 voxels of 0.8 × 0.7 × 0.7 mm. Expected: the numbers of scipy (held by the tests of
//! `volume`). Peer: `resample.py` of the peers' scripts, started beside it by `npm run bench -- --only resample`.
//!
//! `cargo bench --workspace --profile dev --bench resample -- [--threads N] [--repeats N]`: a line of JSON a case, best
//! of N.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use pulmoav_anatomy::Anatomy;
use pulmoav_ops::block_cache::BlockCache;
use pulmoav_plan::{Crop, Plan};
use pulmoav_segment::prepare::{InverseTransform, Prepared};
use pulmoav_segment::restore::restore;
use pulmoav_segment::tiles::Probabilities;
use pulmoav_volume::crop::{Extent, View, VoxelBox};
use pulmoav_volume::resample::{Order, new_shape, resize, resized_grid};
use pulmoav_volume::{Affine, Grid, Orientation, Volume};

/// As in the addon: results reuse the memory of results.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

const SHAPE: [usize; 3] = [400, 512, 512];
const SPACING_MM: [f64; 3] = [0.8, 0.7, 0.7];
/// Places of artery, vein and vessels among the plan's targets.
const ASKED: [usize; 3] = [0, 1, 6];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let option = |name: &str| std::env::args().skip_while(|arg| arg != name).nth(1);
    let number = |name: &str, default: usize| option(name).map_or(default, |text| text.parse().unwrap_or(default));
    let threads = number("--threads", std::thread::available_parallelism().map_or(1, usize::from));
    let repeats = number("--repeats", 3);
    let plan = Plan { crop: Crop::None, ..Plan::from_json(include_str!("../../../models/tiny/plan.json"))? };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(|| run(&plan, repeats))?;
    Ok(())
}

fn run(plan: &Plan, repeats: usize) -> Result<(), pulmoav_volume::VolumeError> {
    let grid = Grid { shape: SHAPE, spacing_mm: SPACING_MM, affine: Affine::from_spacing(SPACING_MM) };
    let ct = Volume { data: noise(grid.len()), grid };
    let shape = new_shape(&grid, [1.0; 3]);
    for (case, order) in [("to 1 mm, order 1", Order::Linear), ("to 1 mm, order 3", Order::Cubic)] {
        tell(case, repeats, ct.data.len() + shape.iter().product::<usize>(), || {
            black_box(resize(&View::new(&ct.data, SHAPE), shape, order));
        });
    }
    let part = VoxelBox::whole(SHAPE);
    let orientation = Orientation::of(&grid.affine)?;
    let canonical = orientation.orient_grid(&grid);
    let prepared = Prepared {
        hu: Vec::new(),
        side: Vec::new(),
        shape,
        grid: resized_grid(&grid, shape),
        anatomy: Anatomy::nothing(&grid),
        inverse: InverseTransform { original: grid, orientation, canonical, extent: Extent::from(&part), part, shape },
        warnings: Vec::new(),
    };
    let values = noise(shape.iter().product::<usize>() * ASKED.len());
    let found = Probabilities { values, part: VoxelBox::whole(shape), shape, prompts: ASKED.len() };
    tell("probabilities back and decided", repeats, found.values.len() + grid.len() / 4, || {
        black_box(restore(&ct, &found, &prepared, plan, &ASKED, false));
    });
    Ok(())
}

/// Numbers in 0..1 that no cache and no compiler foresees.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// `floats`: what must be read and written at least.
fn tell(case: &str, repeats: usize, floats: usize, mut work: impl FnMut()) {
    if let Some(only) = std::env::args().skip_while(|arg| arg != "--only").nth(1)
        && !case.contains(&only)
    {
        return;
    }
    let mut best = f64::INFINITY;
    for _ in 0..=repeats {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let gigabytes = (floats * size_of::<f32>()) as f64 / 1e9;
    println!("{{\"case\":\"{case}\",\"seconds\":{best:.4},\"gigabytes\":{gigabytes:.3}}}");
}
