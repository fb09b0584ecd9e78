//! Kernels of cards at the sizes where their blocks end: whole numbers, whose sums are exact in any order, so results
//! and gradients are the CPU's to the bit, in f32 and rounded to bf16.
#![cfg(feature = "cuda")]

mod harness;

use candle_core::{DType, Device, Tensor, Var};
use harness::{Run, card, gradients};
use pulmoav_ops::loss::{self, Slopes};
use pulmoav_ops::optimizer::{self, Rule};
use pulmoav_ops::{self as ops, Buffer};

/// Name, shapes of the inputs, operator.
type Case = (&'static str, &'static [&'static [usize]], Run);

const CASES: &[Case] = &[
    ("conv3d, one block of tensor cores", &[&[1, 4, 4, 8, 32], &[3, 3, 3, 32, 32], &[32]], |i| {
        ops::conv3d(&i[0], &i[1], Some(&i[2]), [1; 3], [1; 3])
    }),
    ("conv3d, partial blocks, two samples", &[&[2, 5, 6, 7, 24], &[3, 3, 3, 24, 72], &[72]], |i| {
        ops::conv3d(&i[0], &i[1], Some(&i[2]), [1; 3], [1; 3])
    }),
    ("conv3d, wide", &[&[1, 3, 4, 5, 64], &[3, 3, 3, 64, 136]], |i| ops::conv3d(&i[0], &i[1], None, [1; 3], [1; 3])),
    ("conv3d, stride 2", &[&[1, 7, 8, 9, 16], &[3, 3, 3, 16, 40], &[40]], |i| {
        ops::conv3d(&i[0], &i[1], Some(&i[2]), [2; 3], [1; 3])
    }),
    ("conv3d, 5 x 2 x 7, strides of their own", &[&[1, 7, 6, 9, 8], &[5, 2, 7, 8, 16]], |i| {
        ops::conv3d(&i[0], &i[1], None, [1, 2, 3], [2, 1, 3])
    }),
    ("conv3d, one tap", &[&[2, 3, 5, 9, 40], &[1, 1, 1, 40, 8], &[8]], |i| {
        ops::conv3d(&i[0], &i[1], Some(&i[2]), [1; 3], [0; 3])
    }),
    ("conv3d, stem", &[&[1, 6, 7, 9, 1], &[3, 3, 3, 1, 33], &[33]], |i| {
        ops::conv3d(&i[0], &i[1], Some(&i[2]), [1; 3], [1; 3])
    }),
    ("conv3d, two results", &[&[1, 5, 7, 9, 20], &[1, 1, 1, 20, 2], &[2]], |i| {
        ops::conv3d(&i[0], &i[1], Some(&i[2]), [1; 3], [0; 3])
    }),
    ("conv3d of joined inputs", &[&[1, 4, 5, 6, 16], &[1, 4, 5, 6, 24], &[3, 3, 3, 40, 32]], |i| {
        ops::conv3d_joined(&i[0], &i[1], &i[2], None, [1; 3], [1; 3])
    }),
    ("conv3d of joined inputs, odd channels", &[&[2, 3, 4, 5, 3], &[2, 3, 4, 5, 4], &[3, 3, 3, 7, 5]], |i| {
        ops::conv3d_joined(&i[0], &i[1], &i[2], None, [1; 3], [1; 3])
    }),
    ("conv_transpose3d, 2 x 2 x 2", &[&[2, 3, 4, 5, 32], &[2, 2, 2, 32, 16], &[16]], |i| {
        ops::conv_transpose3d(&i[0], &i[1], Some(&i[2]), [2; 3])
    }),
    ("conv_transpose3d, 1 x 2 x 3 with gaps", &[&[1, 3, 4, 5, 16], &[1, 2, 2, 16, 24]], |i| {
        ops::conv_transpose3d(&i[0], &i[1], None, [1, 2, 3])
    }),
    ("linear, partial blocks", &[&[3, 67, 40], &[40, 96], &[96]], |i| ops::linear(&i[0], &i[1], Some(&i[2]))),
    ("linear, odd", &[&[70, 5], &[5, 3], &[3]], |i| ops::linear(&i[0], &i[1], Some(&i[2]))),
    ("linear a sample", &[&[2, 3, 4, 5, 16], &[2, 17, 3]], |i| ops::linear_per_sample(&i[0], &i[1])),
    ("concat_channels", &[&[2, 3, 5, 7], &[2, 3, 5, 4]], |i| ops::concat_channels(&i[0], &i[1])),
    ("max_pool3d", &[&[1, 5, 6, 7, 33]], |i| ops::max_pool3d(&i[0], [2; 3])),
    ("upsample_nearest3d", &[&[1, 3, 4, 5, 6]], |i| ops::upsample_nearest3d(&i[0], [7, 8, 9])),
    ("add_activate", &[&[5, 1031], &[5, 1031]], |i| ops::add_activate(&i[0], &i[1], ops::Activation::Relu)),
];

#[test]
fn whole_numbers_give_the_cpu_s_bits() {
    let Some(card) = card() else { return };
    let mut failures = vec![];
    for (name, shapes, run) in CASES {
        let inputs: Vec<Tensor> = shapes.iter().zip(1..).map(|(shape, seed)| numbers(shape, seed)).collect();
        let grad_out = numbers(run(&inputs).unwrap().dims(), 9);
        for dtype in [DType::F32, DType::BF16] {
            let moved = |x: &Tensor| {
                let narrow = if x.rank() == 1 { x.clone() } else { x.to_dtype(dtype).unwrap() };
                narrow.to_device(card).unwrap()
            };
            let on_card: Vec<Tensor> = inputs.iter().map(moved).collect();
            let (out, grads) = gradients(*run, &on_card, &moved(&grad_out));
            let (expected, expected_grads) = gradients(*run, &inputs, &grad_out);
            let mut check = |what: String, actual: &Tensor, expected: &Tensor| {
                if let Some(difference) = difference(actual, expected) {
                    failures.push(format!("{name} in {dtype:?}, {what}: {difference}"));
                }
            };
            check("result".into(), &out, &expected);
            for (i, (actual, expected)) in grads.iter().zip(&expected_grads).enumerate() {
                check(format!("gradient {i}"), actual.as_ref().unwrap(), expected.as_ref().unwrap());
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whole numbers from −2 to 2.
fn numbers(shape: &[usize], seed: u64) -> Tensor {
    let scaled = (harness::noise(shape, seed) * 2.49).unwrap();
    scaled.round().unwrap()
}

/// Where the two differ, once the expected values are rounded to the other's type.
fn difference(actual: &Tensor, expected: &Tensor) -> Option<String> {
    let values = |x: &Tensor| x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (found, wanted) = (values(actual), values(&expected.to_dtype(actual.dtype()).unwrap()));
    let wrong = found.iter().zip(&wanted).filter(|(a, b)| a != b).count();
    let first = found.iter().zip(&wanted).position(|(a, b)| a != b)?;
    Some(format!("{wrong} of {} differ, the first at {first}: {} for {}", found.len(), found[first], wanted[first]))
}

/// Eight rounds of an optimiser on a card and on the host.
#[test]
fn optimisers_move_weights_as_on_the_host() {
    let Some(card) = card() else { return };
    let adamw = |t: i32| Rule::Adamw {
        keep: 0.99,
        beta1: 0.9,
        beta2: 0.95,
        step_size: 0.01 / (1.0 - 0.9f32.powi(t)),
        second_root: (1.0 - 0.95f32.powi(t)).sqrt(),
        epsilon: 1e-8,
    };
    let sgd = |_: i32| Rule::Sgd { rate: 0.05, momentum: 0.9, decay: 0.01 };
    let rules: [(fn(i32) -> Rule, bool); 2] = [(adamw, true), (sgd, false)];
    for (rule, has_second) in rules {
        let run = |device: &Device| {
            let place = |x: Tensor| x.to_device(device).unwrap();
            let weights = Var::from_tensor(&place(harness::noise(&[70, 61], 1))).unwrap();
            let zeros = || Buffer::zeros(weights.elem_count(), device).unwrap();
            let (mut first, mut second, mut mean) = (zeros(), has_second.then(zeros), Buffer::of(&weights).unwrap());
            let mut norms = vec![];
            for t in 1..=8 {
                let gradient = place(harness::noise(&[70, 61], 10 + t as u64));
                norms.push(optimizer::squared_norm(&[&gradient, weights.as_tensor()]).unwrap());
                optimizer::update(&weights, &gradient, 0.7, &mut first, second.as_mut(), rule(t)).unwrap();
                optimizer::follow(&mut mean, &weights, 0.25).unwrap();
            }
            let numbers = weights.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let state = [first.to_vec().unwrap(), mean.to_vec().unwrap()];
            (norms, [vec![numbers], state.to_vec()].concat())
        };
        let ((norms, values), (host_norms, host_values)) = (run(card), run(&Device::Cpu));
        assert!(norms.iter().zip(&host_norms).all(|(a, b)| (a - b).abs() < 1e-5 * b), "{norms:?} {host_norms:?}");
        for (value, host) in values.concat().iter().zip(host_values.concat()) {
            assert!((value - host).abs() < 1e-5, "{value} {host}");
        }
    }
}

#[test]
fn losses_sum_and_slope_as_on_the_host() {
    let Some(card) = card() else { return };
    let shape = [2, 9, 11, 13, 3];
    let logits = (harness::noise(&shape, 1) * 6.0).unwrap();
    let targets: Vec<u8> = (0..logits.elem_count()).map(|i| [0, 128, 255, 64, 0, 128, 31][i * 7 / 3 % 7]).collect();
    let targets = Tensor::from_vec(targets, &shape, &Device::Cpu).unwrap();
    for groups in [1, 2] {
        let slope = |i: usize| Slopes { dice: 0.3 + i as f32, dice_reference: -0.5, bce: 0.1 * i as f32 };
        let slopes: Vec<Slopes> = (0..groups * 3).map(slope).collect();
        let run = |device: &Device| {
            let targets = targets.to_device(device).unwrap();
            let (sums, probabilities) = loss::sums(&logits.to_device(device).unwrap(), &targets, groups).unwrap();
            (sums, loss::slopes(probabilities, &targets, &slopes).unwrap())
        };
        let ((sums, gradient), (host_sums, host_gradient)) = (run(card), run(&Device::Cpu));
        for (a, b) in sums.iter().zip(&host_sums) {
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
            assert!(near(a.both, b.both) && near(a.predicted, b.predicted) && near(a.bce, b.bce), "{a:?} {b:?}");
            assert_eq!((a.reference, a.voxels), (b.reference, b.voxels));
        }
        let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (a, b) in flat(&gradient).into_iter().zip(flat(&host_gradient)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}
