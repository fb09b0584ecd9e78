//! Time of augmenting one 96³ patch with its codes and side channel, everything applied every time that the peer has;
//! with `--all`, what it lacks as well.
//!
//! Input: noise. Peer: `benches/augment_monai.py`, MONAI's transforms of the same kinds, beside it in
//! `npm run bench -- --only augment`.
//!
//! `cargo bench --workspace --profile dev --bench augment -- [--repeats N] [--edge N] [--all]`: a line of JSON, the median seconds of a
//! patch. One thread, as in training, where patches are made beside the steps.
#![allow(missing_docs)]

use std::time::Instant;

use pulmoav_ops::block_cache::BlockCache;
use pulmoav_random::{Philox, Stream};
use pulmoav_train::augment::{
    Augment, Blur, Coarse, Contrast, Elastic, Flip, Gamma, InvertedGamma, LowResolution, Noise, Randoms, Rotate, Scale,
    Shift, Slices, Turn,
};
use pulmoav_train::patch::Patch;

/// As in the addon: patches reuse the memory of patches.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

const SPACING_MM: [f64; 3] = [1.25; 3];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let option = |name: &str| std::env::args().skip_while(|arg| arg != name).nth(1);
    let repeats: u64 = option("--repeats").map_or(Ok(9), |text| text.parse())?;
    let edge = option("--edge").map_or(Ok(96), |text| text.parse())?;
    let all = std::env::args().any(|arg| arg == "--all");
    rayon::ThreadPoolBuilder::new().num_threads(1).build()?.install(|| run(repeats, edge, all));
    Ok(())
}

fn run(repeats: u64, edge: usize, all: bool) {
    let probability = f32::from(u8::from(all));
    let augment = Augment {
        flip: Flip { probability: 1.0 },
        rotate: Rotate { probability: 1.0 },
        turn: Turn { probability, degrees: [15.0; 3] },
        scale: Scale { probability, factor: [0.85, 1.2] },
        elastic: Elastic { probability, amount_mm: 6.0, grid_mm: 32.0 },
        gamma: Gamma { probability: 1.0, exponent: [0.8, 1.25] },
        inverted_gamma: InvertedGamma { probability, exponent: [0.8, 1.25] },
        contrast: Contrast { probability: 1.0, factor: [0.85, 1.15] },
        shift: Shift { probability: 1.0, amount_hu: 40.0 },
        blur: Blur { probability: 1.0, sigma_voxels: [0.3, 0.8] },
        noise: Noise { probability: 1.0, sd_hu: [5.0, 40.0], sigma_voxels: [0.0, 0.0] },
        slices: Slices { probability: 1.0, thickness_mm: [1.5, 4.0] },
        low_resolution: LowResolution { probability, voxel_mm: [1.5, 2.5] },
        coarse: Coarse { probability, voxel_mm: [2.0, 4.5] },
    };
    let shape = [edge; 3];
    let mut seconds: Vec<f64> = (0..=repeats)
        .map(|step| {
            let stream = |stream| Philox::new(1, step, 0, stream);
            let mut random = Randoms { choice: &mut stream(Stream::Augment), noise: &mut stream(Stream::Noise) };
            let drawn = augment.draw(shape, SPACING_MM, &mut random);
            let margin = drawn.margin();
            let mut patch = patch(std::array::from_fn(|axis| shape[axis] + 2 * margin[axis]));
            let start = Instant::now();
            drawn.move_voxels(&mut patch);
            drawn.change_values(&mut patch);
            start.elapsed().as_secs_f64()
        })
        .skip(1)
        .collect();
    seconds.sort_by(f64::total_cmp);
    println!("{{\"seconds\":{:.5}}}", seconds[seconds.len() / 2]);
}

fn patch(shape: [usize; 3]) -> Patch {
    let mut random = Philox::new(7, 0, 0, Stream::Noise);
    let voxels = shape.iter().product();
    let width = shape[2];
    Patch {
        shape,
        hu: (0..voxels).map(|_| random.between(-1000.0, 400.0)).collect(),
        side: (0..voxels).map(|voxel| (voxel % width) as f32 / width as f32 * 2.0 - 1.0).collect(),
        codes: (0..voxels).map(|_| (random.next_u32() % 3) as u8).collect(),
    }
}
