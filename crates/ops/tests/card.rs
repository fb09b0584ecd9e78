//! Kernels of cards at the sizes where their blocks end: whole numbers, whose sums are exact in any order, so results
//! and gradients are the CPU's to the bit, in f32 and rounded to bf16.
#![cfg(feature = "cuda")]

mod harness;

use std::env;
use std::path::Path;

use candle_core::{DType, Tensor, Var};
use harness::{Run, card, gradients, is_child};
use pulmoav_ops::device::wrong_kernels;
use pulmoav_ops::{self as ops, Products};

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
    ("conv3d, several parts of the weight's gradient", &[&[1, 9, 10, 11, 8], &[3, 3, 3, 8, 8]], |i| {
        ops::conv3d(&i[0], &i[1], None, [1; 3], [1; 3])
    }),
    ("conv3d, such parts without tensor cores", &[&[1, 9, 10, 11, 1], &[3, 3, 3, 1, 5]], |i| {
        ops::conv3d(&i[0], &i[1], None, [1; 3], [1; 3])
    }),
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
    ("linear a sample, on tensor cores", &[&[2, 3, 4, 5, 16], &[2, 17, 8]], |i| ops::linear_per_sample(&i[0], &i[1])),
    ("concat_channels", &[&[2, 3, 5, 7], &[2, 3, 5, 4]], |i| ops::concat_channels(&i[0], &i[1])),
    ("max_pool3d", &[&[1, 5, 6, 7, 33]], |i| ops::max_pool3d(&i[0], [2; 3])),
    ("upsample_nearest3d", &[&[1, 3, 4, 5, 6]], |i| ops::upsample_nearest3d(&i[0], [7, 8, 9])),
    ("add_activate", &[&[5, 1031], &[5, 1031]], |i| ops::add_activate(&i[0], &i[1], ops::Activation::Relu)),
];

#[test]
fn whole_numbers_give_the_cpu_s_bits() {
    check_whole_numbers(&[(DType::F32, Products::F32), (DType::F32, Products::Tf32), (DType::BF16, Products::F32)]);
}

/// On cards that have `wgmma`; on others as above.
#[test]
fn whole_numbers_give_the_cpu_s_bits_by_wgmma() {
    if is_child("whole_numbers_give_the_cpu_s_bits_by_wgmma", &[("PULMOAV_CUDA_CONV", "wgmma")]) {
        check_whole_numbers(&[(DType::BF16, Products::F32)]);
    }
}

/// Whichever kernel wins, and none is found wrong.
#[test]
fn whole_numbers_give_the_cpu_s_bits_after_a_race() {
    if is_child("whole_numbers_give_the_cpu_s_bits_after_a_race", &[("PULMOAV_CUDA_CONV", "race")]) {
        check_whole_numbers(&[(DType::BF16, Products::F32)]);
        assert_eq!(wrong_kernels(), Vec::<String>::new());
    }
}

/// Where cuDNN is installed, or the double stands in for it; elsewhere as above.
#[test]
fn whole_numbers_give_the_cpu_s_bits_by_cudnn() {
    let path = with_cudnn();
    let settings = [("PULMOAV_CUDA_CONV", "cudnn"), ("LD_LIBRARY_PATH", &path)];
    if is_child("whole_numbers_give_the_cpu_s_bits_by_cudnn", &settings) {
        check_whole_numbers(&[(DType::BF16, Products::F32)]);
    }
}

#[test]
fn a_cudnn_that_is_wrong_is_not_taken() {
    let path = with_cudnn();
    let settings = [("PULMOAV_CUDA_CONV", "race"), ("LD_LIBRARY_PATH", &path), ("EMU_CUDNN", "wrong")];
    if is_child("a_cudnn_that_is_wrong_is_not_taken", &settings) {
        check_whole_numbers(&[(DType::BF16, Products::F32)]);
        let said = wrong_kernels();
        let is_here = path.split(':').any(|folder| Path::new(folder).join("libcudnn.so.9").exists());
        assert!(!is_here || said.len() == 1 && said[0].contains("the cudnn kernel"), "{said:?}");
    }
}

/// Where libraries are looked for, with the double's cuDNN, which lies apart from its others.
fn with_cudnn() -> String {
    let path = env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let double = path.split(':').next().unwrap_or_default();
    if double.is_empty() { path } else { format!("{double}/cudnn:{path}") }
}

#[test]
fn a_kernel_that_is_none_is_named() {
    if is_child("a_kernel_that_is_none_is_named", &[("PULMOAV_CUDA_CONV", "winograd")]) {
        let Some(card) = card() else { return };
        let of = |shape: &[usize]| Tensor::zeros(shape, DType::BF16, card).unwrap();
        let refusal = ops::conv3d(&of(&[1, 2, 2, 2, 8]), &of(&[1, 1, 1, 8, 8]), None, [1; 3], [0; 3]).unwrap_err();
        assert!(refusal.to_string().contains("PULMOAV_CUDA_CONV=winograd"), "{refusal}");
    }
}

fn check_whole_numbers(precisions: &[(DType, Products)]) {
    let Some(card) = card() else { return };
    let mut failures = vec![];
    for (name, shapes, run) in CASES {
        let inputs: Vec<Tensor> = shapes.iter().zip(1..).map(|(shape, seed)| numbers(shape, seed)).collect();
        let grad_out = numbers(run(&inputs).unwrap().dims(), 9);
        for &(dtype, products) in precisions {
            let moved = |x: &Tensor| {
                let narrow = if x.rank() == 1 { x.clone() } else { x.to_dtype(dtype).unwrap() };
                narrow.to_device(card).unwrap()
            };
            let on_card: Vec<Tensor> = inputs.iter().map(moved).collect();
            let (out, grads) = products.during(|| gradients(*run, &on_card, &moved(&grad_out)));
            let (expected, expected_grads) = gradients(*run, &inputs, &grad_out);
            let mut check = |what: String, actual: &Tensor, expected: &Tensor| {
                if let Some(difference) = difference(actual, expected) {
                    failures.push(format!("{name} in {dtype:?} as {products:?}, {what}: {difference}"));
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

/// Values of 13 bits: whole where nothing is rounded, and rounded to the nearest of 11 bits by name alone.
#[test]
fn values_are_rounded_to_tf32_by_name_alone() {
    let Some(card) = card() else { return };
    const STEP: f32 = 1.0 / 4096.0;
    // 1 + 3/4096 lies between 1 + 2/4096, which f32 cut short would give, and 1 + 4/4096, to which it is nearest.
    let filled = |value: f32, shape: &[usize]| Tensor::full(value, shape, card).unwrap();
    let (fine, one) = (1.0 + 3.0 * STEP, 1.0);
    for (left, right) in [(fine, one), (one, fine)] {
        let (x, weight) = (filled(left, &[1, 3, 4, 5, 16]), filled(right, &[1, 1, 1, 16, 40]));
        let weight = Var::from_tensor(&weight).unwrap();
        let run = |products: Products| {
            let y = products.during(|| ops::conv3d(&x, &weight, None, [1; 3], [0; 3])).unwrap();
            // The gradient of the weight is one of x and of what comes back, which is `right`.
            let grads = (&y * f64::from(right)).unwrap().sum_all().unwrap().backward().unwrap();
            [&y, grads.get(&weight).unwrap()].map(|x| x.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        };
        for (products, value) in [(Products::F32, fine), (Products::Tf32, 1.0 + 4.0 * STEP)] {
            let [y, gradient] = run(products);
            assert!(y.iter().all(|&sum| sum == 16.0 * value), "{products:?}: {}", y[0]);
            assert!(gradient.iter().all(|&sum| sum == 60.0 * value), "{products:?}: {}", gradient[0]);
        }
    }
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

/// A network in bf16 whose parameters are f32: gradients come back in f32.
#[test]
fn parameters_follow_the_type_of_their_input() {
    let Some(card) = card() else { return };
    let run: Run = |i| {
        let x = ops::cast(&i[0], if i[0].device().is_cuda() { DType::BF16 } else { DType::F32 })?;
        let y = ops::conv3d(&x, &i[1], None, [1; 3], [1; 3])?;
        let y = ops::instance_norm(&y, Some(&i[2]), Some(&i[3]), 1e-5, ops::Activation::LeakyRelu(0.01))?;
        let y = ops::conv3d_joined(&y, &x, &i[4], None, [2; 3], [1; 3])?;
        ops::cast(&ops::linear_per_sample(&y, &i[5])?, DType::F32)
    };
    let shapes: [&[usize]; 6] = [&[2, 6, 7, 8, 8], &[3, 3, 3, 8, 16], &[16], &[16], &[3, 3, 3, 24, 8], &[2, 9, 3]];
    let inputs: Vec<Tensor> = shapes.iter().zip(1..).map(|(shape, seed)| harness::noise(shape, seed)).collect();
    let grad_out = harness::noise(run(&inputs).unwrap().dims(), 9);
    let on_card: Vec<Tensor> = inputs.iter().map(|x| x.to_device(card).unwrap()).collect();
    let (out, grads) = gradients(run, &on_card, &grad_out.to_device(card).unwrap());
    let (expected, expected_grads) = gradients(run, &inputs, &grad_out);
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let error = |a: &Tensor, b: &Tensor| {
        let (a, b) = (flat(a), flat(b));
        let square = |values: Vec<f32>| values.iter().map(|v| v * v).sum::<f32>();
        (square(a.iter().zip(&b).map(|(a, b)| a - b).collect()) / square(b)).sqrt()
    };
    assert!(error(&out, &expected) < 0.02, "result: {}", error(&out, &expected));
    for (i, (actual, expected)) in grads.iter().zip(&expected_grads).enumerate() {
        let (actual, expected) = (actual.as_ref().unwrap(), expected.as_ref().unwrap());
        assert_eq!(actual.dtype(), DType::F32);
        // In beta's gradient, sums of both signs, most cancels: measured 0.052.
        let most = if i == 3 { 0.06 } else { 0.03 };
        assert!(error(actual, expected) < most, "gradient {i}: {}", error(actual, expected));
    }
}
