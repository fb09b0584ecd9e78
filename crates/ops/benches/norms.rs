//! Times of the norms, elementwise operators, upsampling and the linear layer at [2, 64, 64, 64, 16], best of 7.
//!
//! Run: `cargo bench -p pulmoav-ops --bench norms`. Prints ms forward, and ms of the backward pass less that of the
//! loss alone (which, with candle's own zeros and sums for each gradient, is printed first).

use std::time::Instant;

use candle_core::{Device, Result, Tensor, Var};
use pulmoav_ops::{
    Activation, AttentionMask, activate, add_activate, attention, batch_norm, concat_channels, gelu_erf, group_norm,
    instance_norm, layer_norm, linear, sigmoid, upsample_nearest3d, upsample_trilinear3d,
};

const LEAKY: Activation = Activation::LeakyRelu(0.01);

type Op = fn(&Inputs) -> Result<Tensor>;

struct Inputs {
    x: Var,
    skip: Var,
    half: Var,
    tokens: Var,
    gamma: Var,
    beta: Var,
    weight: Var,
}

fn main() -> Result<()> {
    let noise = |shape: &[usize]| Var::from_tensor(&Tensor::randn(0.0_f32, 1.0, shape, &Device::Cpu)?);
    let inputs = Inputs {
        x: noise(&[2, 64, 64, 64, 16])?,
        skip: noise(&[2, 64, 64, 64, 16])?,
        half: noise(&[2, 32, 32, 32, 16])?,
        tokens: noise(&[2, 77, 512])?,
        gamma: noise(&[16])?,
        beta: noise(&[16])?,
        weight: noise(&[16, 16])?,
    };
    let ops: [(&str, Op); 15] = [
        ("instance_norm", |i| instance_norm(i.x.as_tensor(), Some(&i.gamma), Some(&i.beta), 1e-5, LEAKY)),
        ("group_norm, 4", |i| group_norm(i.x.as_tensor(), Some(&i.gamma), Some(&i.beta), 4, 1e-5, LEAKY)),
        ("batch_norm", |i| batch_norm(i.x.as_tensor(), Some(&i.gamma), Some(&i.beta), 1e-5, LEAKY)),
        ("layer_norm", |i| layer_norm(&i.x, &i.gamma, &i.beta, 1e-5)),
        ("add_activate", |i| add_activate(&i.x, &i.skip, LEAKY)),
        ("activate", |i| activate(&i.x, LEAKY)),
        ("concat_channels", |i| concat_channels(&i.x, &i.skip)),
        ("gelu_erf", |i| gelu_erf(&i.x)),
        ("sigmoid", |i| sigmoid(&i.x)),
        ("linear 16->16", |i| linear(&i.x, &i.weight, Some(&i.beta))),
        ("linear 16->2", |i| linear(&i.x, &i.weight.narrow(1, 0, 2)?, None)),
        ("nearest from 32", |i| upsample_nearest3d(&i.half, [64; 3])),
        ("trilinear from 32", |i| upsample_trilinear3d(&i.half, [64; 3])),
        ("attention 77x512", |i| attention(&i.tokens, &i.tokens, &i.tokens, 8, AttentionMask::None)),
        ("x itself", |i| Ok(i.x.as_tensor().clone())),
    ];
    println!("{} threads", rayon::current_num_threads());
    for (name, op) in ops {
        let out = op(&inputs)?;
        let cotangent = Tensor::randn(0.0_f32, 1.0, out.shape(), &Device::Cpu)?;
        drop(out);
        let forward = best_ms(|| op(&inputs).map(drop))?;
        let loss = best_ms(|| {
            let leaf = Var::from_tensor(&cotangent)?;
            (leaf.as_tensor() * &cotangent)?.sum_all()?.backward().map(drop)
        })?;
        let both = best_ms(|| (op(&inputs)? * &cotangent)?.sum_all()?.backward().map(drop))?;
        println!("{name:18} forward {forward:6.1}   backward {:6.1}   (loss {loss:6.1})", both - forward - loss);
    }
    Ok(())
}

fn best_ms(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}
