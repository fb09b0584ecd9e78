//! A plain 3-D U-Net of nnU-Net's kind (32 to 320 channels, two convolutions a stage) in our operators: seconds of a
//! warm forward pass or of a whole training step.
//!
//! Input: noise, one channel, one sample. Peer: PyTorch and onnxruntime with the same network, round by round.
//!
//! `cargo bench --workspace --profile dev --bench unet -- [--patch 96] [--threads 2] [--repeats 3] [--train] [--json]`
//!
//! `--card` runs it in bf16 on the first card, with f32 parameters in training (feature `cuda`; benches/gpu has the
//! whole race).
#![allow(missing_docs)]

mod machine;

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, Var};
use machine::{flag, number, peak_bytes, peak_gflops, threads};
use pulmoav_ops::block_cache::BlockCache;
use pulmoav_ops::tape::Tape;
use pulmoav_ops::{Activation, Input, conv_transpose3d, conv3d, conv3d_joined, instance_norm};

/// As in the addon: results reuse the memory of results.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

const FEATURES: [usize; 6] = [32, 64, 128, 256, 320, 320];
const CLASSES: usize = 3;

fn main() -> Result<()> {
    let threads = threads();
    let repeats = number("--repeats", if flag("--card") { 10 } else { 3 }).max(1);
    let (patch, train) = (number("--patch", 96), flag("--train"));
    if flag("--card") {
        return on_card(patch, number("--batch", 1), repeats, train);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(candle_core::Error::wrap)?;
    let mut seconds = pool.install(|| measure(patch, repeats, train))?;
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    if flag("--json") {
        let (bytes, gflop) = (peak_bytes(), gflop(patch, train));
        let peak = peak_gflops() * threads as f64;
        println!("{{\"seconds\":{median},\"peakBytes\":{bytes},\"gflop\":{gflop:.2},\"peakGflops\":{peak:.1}}}");
    } else {
        let what = if train { "training step" } else { "forward" };
        println!("{what}, patch {patch}, {threads} threads: median {median:.3} s, least {:.3} s", seconds[0]);
    }
    Ok(())
}

/// What the definition of the convolutions costs: two operations a product, three passes a training step but for the
/// stem's input.
fn gflop(patch: usize, train: bool) -> f64 {
    let voxels = |stage: usize| (patch >> stage).pow(3);
    let block = |stage: usize, ci: usize, co: usize| 2 * 27 * voxels(stage) * ci * co;
    let mut flop = 2 * voxels(0) * FEATURES[0] * CLASSES;
    for (stage, &width) in FEATURES.iter().enumerate() {
        flop += block(stage, if stage == 0 { 1 } else { FEATURES[stage - 1] }, width) + block(stage, width, width);
    }
    for (stage, pair) in FEATURES.windows(2).enumerate() {
        let (fine, coarse) = (pair[0], pair[1]);
        flop += 2 * 8 * voxels(stage + 1) * coarse * fine + block(stage, 2 * fine, fine) + block(stage, fine, fine);
    }
    let passes = if train { 3 * flop - block(0, 1, FEATURES[0]) } else { flop };
    passes as f64 / 1e9
}

/// Seconds of each repeat, after one to warm up.
fn measure(patch: usize, repeats: usize, train: bool) -> Result<Vec<f64>> {
    let mut noise = Noise::new(Device::Cpu);
    let network = Network::new(&mut noise)?;
    let x = noise.tensor(&[1, patch, patch, patch, 1], 1.0)?;
    timed(repeats, &Device::Cpu, || if train { network.step(&x) } else { network.infer(&x) })
}

/// Seconds of each repeat, after two to warm up.
fn timed(repeats: usize, device: &Device, run: impl Fn() -> Result<()>) -> Result<Vec<f64>> {
    for _ in 0..2 {
        run()?;
    }
    device.synchronize()?;
    (0..repeats)
        .map(|_| {
            let start = Instant::now();
            run()?;
            device.synchronize()?;
            Ok(start.elapsed().as_secs_f64())
        })
        .collect()
}

/// The network on a card, and the card's own ceiling in the same run: a bf16 product of 8192 x 8192 matrices.
fn on_card(patch: usize, batch: usize, repeats: usize, train: bool) -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let mut noise = Noise::new(device.clone());
    let network = Network::new(&mut noise)?;
    let x = noise.tensor(&[batch, patch, patch, patch, 1], 1.0)?.to_dtype(DType::BF16)?;
    let inference = network.in_bf16()?;
    let mut seconds =
        timed(repeats, &device, || if train { network.step(&x) } else { Network::forward(&x, &inference).map(drop) })?;
    seconds.sort_by(f64::total_cmp);
    let edge = number("--matrix", 8192);
    let matrix = Tensor::ones((edge, edge), DType::BF16, &device)?;
    let mut products = timed(10, &device, || matrix.matmul(&matrix).map(drop))?;
    products.sort_by(f64::total_cmp);
    let (median, gflop) = (seconds[seconds.len() / 2], gflop(patch, train) * batch as f64);
    let peak = 2.0 * (edge as f64).powi(3) / products[products.len() / 2] / 1e9;
    let share = gflop / median / peak;
    println!(
        "{{\"peer\":\"ours\",\"train\":{train},\"patch\":{patch},\"batch\":{batch},\"seconds\":{median},\
         \"gflop\":{gflop:.1},\"matmulGflops\":{peak:.0},\"shareOfMatmul\":{share:.4}}}"
    );
    Ok(())
}

/// Weights in the order in which a forward pass takes them.
struct Network(Vec<Var>);

impl Network {
    fn new(noise: &mut Noise) -> Result<Self> {
        let mut weights = Vec::new();
        let mut block = |ci: usize, co: usize, noise: &mut Noise| -> Result<()> {
            weights.push(noise.variable(&[3, 3, 3, ci, co], (2.0 / (27 * ci) as f32).sqrt())?);
            weights.push(noise.variable(&[co], 1.0)?);
            weights.push(noise.variable(&[co], 0.1)?);
            Ok(())
        };
        for (stage, &width) in FEATURES.iter().enumerate() {
            block(if stage == 0 { 1 } else { FEATURES[stage - 1] }, width, noise)?;
            block(width, width, noise)?;
        }
        let mut up = Vec::new();
        for stage in (0..FEATURES.len() - 1).rev() {
            let (coarse, fine) = (FEATURES[stage + 1], FEATURES[stage]);
            up.push(noise.variable(&[2, 2, 2, coarse, fine], (1.0 / coarse as f32).sqrt())?);
            block(2 * fine, fine, noise)?;
            block(fine, fine, noise)?;
        }
        weights.extend(up);
        weights.push(noise.variable(&[1, 1, 1, FEATURES[0], CLASSES], 0.2)?);
        Ok(Self(weights))
    }

    fn detached(&self) -> Vec<Tensor> {
        self.0.iter().map(Var::as_detached_tensor).collect()
    }

    fn infer(&self, x: &Tensor) -> Result<()> {
        Self::forward(x, &self.detached()).map(drop)
    }

    /// Weights in bf16; numbers a channel stay f32.
    fn in_bf16(&self) -> Result<Vec<Tensor>> {
        let narrow = |tensor: Tensor| if tensor.rank() > 1 { tensor.to_dtype(DType::BF16) } else { Ok(tensor) };
        self.detached().into_iter().map(narrow).collect()
    }

    fn forward(x: &Tensor, weights: &[Tensor]) -> Result<Tensor> {
        let stages = FEATURES.len();
        let mut blocks = weights.chunks_exact(3);
        let mut block = |x: Tensor, skip: Option<Tensor>, stride: usize| -> Result<Tensor> {
            let Some([weight, gamma, beta]) = blocks.next() else { candle_core::bail!("a block without weights") };
            let y = match &skip {
                Some(skip) => conv3d_joined(&x, skip, weight, None, [stride; 3], [1; 3])?,
                None => conv3d(&x, weight, None, [stride; 3], [1; 3])?,
            };
            drop((x, skip));
            instance_norm(Input::Spent(y), Some(gamma), Some(beta), 1e-5, Activation::LeakyRelu(0.01))
        };
        let ups = &weights[weights.len() - stages..weights.len() - 1];
        let mut skips = Vec::with_capacity(stages);
        let mut x = x.clone();
        for stage in 0..stages {
            x = block(x, None, if stage == 0 { 1 } else { 2 })?;
            x = block(x, None, 1)?;
            skips.push(x.clone());
        }
        skips.pop();
        for up in ups {
            x = conv_transpose3d(&x, up, None, [2; 3])?;
            x = block(x, skips.pop(), 1)?;
            x = block(x, None, 1)?;
        }
        conv3d(&x, &weights[weights.len() - 1], None, [1; 3], [0; 3])
    }

    /// Forward, a gradient of the logits' shape, backward, a plain descent: what a training step costs but for its
    /// loss.
    fn step(&self, x: &Tensor) -> Result<()> {
        let weights: Vec<Tensor> = self.0.iter().map(|var| var.as_tensor().clone()).collect();
        let (logits, tape) = Tape::record(|| Self::forward(x, &weights))?;
        let seed = logits.detach();
        let gradients = tape.backward(vec![(logits, seed)])?;
        for var in &self.0 {
            if let Some(gradient) = gradients.get(var) {
                var.set(&(var.as_detached_tensor() - (gradient * 1e-6)?)?)?;
            }
        }
        Ok(())
    }
}

/// Uniform noise on a device, the same on every run.
struct Noise {
    state: u32,
    device: Device,
}

impl Noise {
    fn new(device: Device) -> Self {
        Self { state: 1, device }
    }

    fn tensor(&mut self, shape: &[usize], scale: f32) -> Result<Tensor> {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| {
                self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                scale * ((self.state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            })
            .collect();
        Tensor::from_vec(values, shape, &self.device)
    }

    fn variable(&mut self, shape: &[usize], scale: f32) -> Result<Var> {
        Var::from_tensor(&self.tensor(shape, scale)?)
    }
}
