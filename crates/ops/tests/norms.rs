//! What the conformance table cannot hold: long sums, many tasks, blind queries, refused shapes, strided gradients.

use candle_core::{DType, Device, Result, Tensor, Var};
use pulmoav_ops::simd::{Level, with_level};
use pulmoav_ops::{
    Activation, AttentionMask, Input, add_activate, attention, batch_norm, concat_channels, conv_transpose3d, conv3d,
    gelu_erf, group_norm, instance_norm, layer_norm, linear, upsample_trilinear3d,
};

const LEAKY: Activation = Activation::LeakyRelu(0.01);

type Op = fn(&[Tensor]) -> Result<Tensor>;

#[test]
fn large_inputs_give_the_same_bits_for_any_thread_count_and_level() -> Result<()> {
    // Several tasks: 2 samples of 24 * 25 * 26 voxels.
    let large = wave(&[2, 24, 25, 26, 6])?;
    let weight = wave(&[6, 6])?;
    let ops: [(&str, Op); 8] = [
        ("instance", |t| instance_norm(&t[0], None, None, 1e-5, LEAKY)),
        ("batch", |t| batch_norm(&t[0], None, None, 1e-5, LEAKY)),
        ("linear", |t| linear(&t[0], &t[1], None)),
        ("layer_norm", |t| layer_norm(&t[0], &t[1].get(0)?, &t[1].get(1)?, 1e-5)),
        ("trilinear", |t| upsample_trilinear3d(&t[0], [31, 50, 47])),
        ("gelu", |t| gelu_erf(&t[0])),
        ("concat", |t| concat_channels(&t[0], &t[0].narrow(4, 1, 3)?)),
        ("attention", |t| {
            let x = t[0].narrow(1, 0, 1)?.reshape((2, 650, 6))?;
            attention(&x, &x, &x, 3, AttentionMask::None)
        }),
    ];
    for (name, op) in ops {
        let results = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
            pool.install(|| gradients(op, &[&large, &weight], |out| out.sqr()?.sum_all()))
        };
        let one = with_level(Level::current(), || results(1))?;
        assert!(one == results(2)?, "{name}: 1 and 2 threads differ");
        // The matrix products under `linear` choose their own instruction set and fuse their products.
        for level in Level::present() {
            assert!(one == with_level(level, || results(2))?, "{name}: {level:?} differs from the widest level");
        }
    }
    Ok(())
}

#[test]
fn gradients_that_arrive_with_strides_change_nothing() -> Result<()> {
    let ops: [(&str, Op); 8] = [
        ("group", |t| group_norm(&t[0], None, None, 2, 1e-5, LEAKY)),
        ("linear", |t| linear(&t[0], &t[1], None)),
        ("layer_norm", |t| layer_norm(&t[0], &t[1].get(0)?, &t[1].get(1)?, 1e-5)),
        ("trilinear", |t| upsample_trilinear3d(&t[0], [5, 4, 3])),
        ("gelu", |t| gelu_erf(&t[0])),
        ("add", |t| add_activate(&t[0], &t[0].affine(-0.5, 0.1)?, LEAKY)),
        ("concat", |t| concat_channels(&t[0], &t[0].narrow(4, 1, 3)?)),
        ("attention", |t| {
            let x = t[0].reshape((2, 24, 6))?;
            attention(&x, &x, &x, 3, AttentionMask::Causal)
        }),
    ];
    let (x, weight) = (wave(&[2, 2, 3, 4, 6])?, wave(&[6, 6])?);
    for (name, op) in ops {
        let plain = gradients(op, &[&x, &weight], |out| (out * wave(out.dims())?)?.sum_all())?;
        let strided = gradients(op, &[&x, &weight], |out| {
            let cotangent = wave(out.dims())?.transpose(0, 1)?.contiguous()?;
            (out.transpose(0, 1)? * cotangent)?.sum_all()
        })?;
        assert!(plain == strided, "{name}");
    }
    Ok(())
}

/// A norm behind a convolution, whose result it may overwrite or not.
fn behind_a_convolution(t: &[Tensor], is_spent: bool, activation: Activation) -> Result<(Tensor, Tensor)> {
    let x = conv3d(&t[0], &t[1], None, [1; 3], [1; 3])?;
    let input = if is_spent { Input::Spent(x.clone()) } else { Input::Kept(&x) };
    Ok((instance_norm(input, Some(&t[2]), Some(&t[3]), 1e-5, activation)?, x))
}

#[test]
fn spent_inputs_give_the_same_results_and_gradients() -> Result<()> {
    // No other test changes the level meanwhile.
    Level::present().into_iter().try_for_each(|level| with_level(level, kept_and_spent_inputs_agree))
}

fn kept_and_spent_inputs_agree() -> Result<()> {
    let shift = wave(&[6])?.affine(0.5, 0.1)?;
    let scale = wave(&[6])?.affine(0.3, -1.0)?;
    let inputs = [&wave(&[2, 12, 11, 13, 5])?, &wave(&[3, 3, 3, 5, 6])?, &scale, &shift];
    for activation in [LEAKY, Activation::None, Activation::Relu] {
        let detached: Vec<Tensor> = inputs.iter().map(|&tensor| tensor.clone()).collect();
        let values = |y: &Tensor| y.flatten_all()?.to_vec1::<f32>();
        let (kept, _) = behind_a_convolution(&detached, false, activation)?;
        let (spent, x) = behind_a_convolution(&detached, true, activation)?;
        assert_eq!(values(&kept)?, values(&spent)?, "{activation:?}");
        let error = instance_norm(&x, None, None, 1e-5, LEAKY).unwrap_err().to_string();
        assert!(error.contains("were spent"), "{error}");

        let run = |is_spent| {
            let op = |t: &[Tensor]| behind_a_convolution(t, is_spent, activation).map(|(y, _)| y);
            gradients(op, &inputs, |out| (out * wave(out.dims())?)?.sum_all())
        };
        for (kept, spent) in run(false)?.iter().zip(&run(true)?) {
            let largest = kept.iter().fold(0f32, |most, value| most.max(value.abs()));
            for (kept, spent) in kept.iter().zip(spent) {
                assert!((kept - spent).abs() <= 2e-6 * largest, "{activation:?}: {kept} {spent}");
            }
        }
    }
    Ok(())
}

#[test]
fn what_could_not_be_undone_is_kept() -> Result<()> {
    let (x, weight) = (wave(&[1, 4, 4, 4, 2])?, Var::from_tensor(&wave(&[3, 3, 3, 2, 2])?)?);
    let tensor = |values: [f32; 2]| Tensor::new(&values, &Device::Cpu);
    let cases = [([1.0, 1.0], Activation::Relu), ([1.0, 0.0], LEAKY), ([1.0, 1e-3], LEAKY)];
    for (scale, activation) in cases {
        let t = [x.clone(), weight.as_tensor().clone(), tensor(scale)?, tensor([0.5, 0.5])?];
        let (_, input) = behind_a_convolution(&t, true, activation)?;
        assert!(instance_norm(&input, None, None, 1e-5, LEAKY).is_ok(), "{scale:?}, {activation:?}");
    }
    Ok(())
}

#[test]
fn long_sums_keep_their_precision() -> Result<()> {
    // Deviation 1 around a mean of 1000, over many blocks: a naive sum of squares in f32 would lose it.
    let rows = 60_000;
    let values: Vec<f32> = (0..rows * 3).map(|i| 1000.0 + (i as f32 * 0.7).sin() * std::f32::consts::SQRT_2).collect();
    let x = Tensor::from_vec(values.clone(), (1, rows, 1, 1, 3), &Device::Cpu)?;
    let got: Vec<f32> = instance_norm(&x, None, None, 1e-5, Activation::None)?.flatten_all()?.to_vec1()?;
    for channel in 0..3 {
        let own: Vec<f64> = values.iter().skip(channel).step_by(3).map(|&value| f64::from(value)).collect();
        let mean = own.iter().sum::<f64>() / rows as f64;
        let variance = own.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / rows as f64;
        for (row, value) in own.iter().enumerate() {
            let want = (value - mean) / (variance + 1e-5).sqrt();
            // The mean itself is rounded to f32: half a unit in the last place of 1000 is 3e-5.
            assert!((f64::from(got[row * 3 + channel]) - want).abs() < 5e-5, "row {row}, channel {channel}");
        }
    }
    Ok(())
}

#[test]
fn a_query_that_sees_nothing_gets_zeros_and_passes_no_gradient() -> Result<()> {
    let tensor = |seed: f64| Tensor::arange(0.0_f32, 24.0, &Device::Cpu)?.affine(1.0, seed)?.sin()?.reshape((2, 3, 4));
    let (q, k, v) =
        (Var::from_tensor(&tensor(0.0)?)?, Var::from_tensor(&tensor(1.0)?)?, Var::from_tensor(&tensor(2.0)?)?);
    let mask = AttentionMask::Keys(vec![false, false, false, true, false, true]);
    let out = attention(&q, &k, &v, 2, mask)?;
    let store = out.sqr()?.sum_all()?.backward()?;
    assert_eq!(out.get(0)?.flatten_all()?.to_vec1::<f32>()?, vec![0.0; 12]);
    for var in [&q, &k, &v] {
        let gradient = store.get(var).expect("a gradient");
        assert_eq!(gradient.get(0)?.flatten_all()?.to_vec1::<f32>()?, vec![0.0; 12]);
        assert!(gradient.get(1)?.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()));
    }
    Ok(())
}

#[test]
fn wrong_shapes_are_refused_with_the_shapes_named() -> Result<()> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    let x = zeros(&[1, 2, 2, 2, 6])?;
    let (q, k) = (zeros(&[1, 2, 6])?, zeros(&[1, 3, 6])?);
    let refused = [
        (
            instance_norm(&x, Some(&zeros(&[5])?), None, 1e-5, Activation::None),
            "instance_norm: gamma has shape [5], expected [6], the channels of x [1, 2, 2, 2, 6]",
        ),
        (
            group_norm(&x, None, Some(&zeros(&[6, 1])?), 3, 1e-5, Activation::None),
            "group_norm: beta has shape [6, 1], expected [6], the channels of x [1, 2, 2, 2, 6]",
        ),
        (
            group_norm(&x, None, None, 4, 1e-5, Activation::None),
            "group_norm: 4 groups do not divide the 6 channels of x [1, 2, 2, 2, 6]",
        ),
        (batch_norm(&x, None, None, 1e-5, Activation::LeakyRelu(-1.0)), "LeakyRelu: slope -1"),
        (attention(&q, &k, &k, 4, AttentionMask::None), "attention: 4 heads do not divide the 6 channels of q"),
        (attention(&q, &k, &k, 2, AttentionMask::Causal), "attention: a causal mask needs as many keys as queries"),
        (
            attention(&k, &k, &k, 2, AttentionMask::CausalFrom(vec![0, 0])),
            "attention: the mask has 2 entries, expected one for each of 3 queries",
        ),
        (
            attention(&k, &k, &k, 2, AttentionMask::CausalFrom(vec![0, 2, 2])),
            "attention: the mask lets a query start behind itself: [0, 2, 2]",
        ),
        (
            layer_norm(&x, &zeros(&[6])?, &zeros(&[3])?, 1e-5),
            "layer_norm: beta has shape [3], expected [6], the channels of x [1, 2, 2, 2, 6]",
        ),
        (linear(&x, &zeros(&[5, 2])?, None), "linear: x [1, 2, 2, 2, 6] has 6 channels, but weight [5, 2] takes 5"),
        (
            linear(&x, &zeros(&[6, 2])?, Some(&zeros(&[6])?)),
            "linear: bias has shape [6], expected [2], the outputs of weight [6, 2]",
        ),
        (
            conv3d(&x, &zeros(&[1, 1, 1, 6, 2])?, Some(&zeros(&[6])?), [1; 3], [0; 3]),
            "conv3d: bias has shape [6], expected [2], the outputs of weight [1, 1, 1, 6, 2]",
        ),
        (
            conv_transpose3d(&x, &zeros(&[2, 2, 2, 6, 4])?, Some(&zeros(&[6])?), [2; 3]),
            "conv_transpose3d: bias has shape [6], expected [4], the outputs of weight [2, 2, 2, 6, 4]",
        ),
        (add_activate(&x, &zeros(&[1, 2, 2, 2, 5])?, Activation::None), "add_activate: x has shape"),
        (concat_channels(&x, &zeros(&[1, 2, 2, 1, 6])?), "concat_channels: a has shape"),
        (upsample_trilinear3d(&x, [2, 0, 2]), "upsample_trilinear3d: x has shape"),
    ];
    for (result, message) in refused {
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with(message), "`{error}` should start with `{message}`");
    }
    Ok(())
}

/// A smooth pattern with no two values alike nearby.
fn wave(shape: &[usize]) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    Tensor::arange(0.0_f32, count as f32, &Device::Cpu)?.affine(0.37, 0.2)?.sin()?.reshape(shape)
}

/// The op's values and the gradients of the inputs that it uses.
fn gradients(
    op: impl Fn(&[Tensor]) -> Result<Tensor>,
    inputs: &[&Tensor],
    loss: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Vec<Vec<f32>>> {
    let leaves: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input)).collect::<Result<_>>()?;
    let out = op(&leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect::<Vec<_>>())?;
    let store = loss(&out)?.backward()?;
    let found = leaves.iter().map(|leaf| store.get(leaf)).chain([Some(&out)]);
    found.flatten().map(|tensor| tensor.flatten_all()?.to_vec1()).collect()
}
