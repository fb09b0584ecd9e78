//! Every operator, every SIMD level, against PyTorch and against finite differences. One row an operator's case.
mod harness;

use harness::{Row, check_rows};
use pulmoav_ops::simd::{Level, with_level};
use pulmoav_ops::{self as ops, Activation, AttentionMask};

/// Sums of some hundred products in f32.
const SUMS: f32 = 2e-6;

#[test]
fn convolutions_and_pools() {
    check_rows(&[
        Row {
            name: "conv3d/3x3x3",
            run: |i| ops::conv3d(&i[0], &i[1], Some(&i[2]), [1; 3], [1; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv3d/3x3x3_no_bias",
            run: |i| ops::conv3d(&i[0], &i[1], None, [1; 3], [1; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv3d/stride_2",
            run: |i| ops::conv3d(&i[0], &i[1], Some(&i[2]), [2; 3], [1; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv3d/stem",
            run: |i| ops::conv3d(&i[0], &i[1], Some(&i[2]), [1; 3], [1; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv3d/1x1x1",
            run: |i| ops::conv3d(&i[0], &i[1], Some(&i[2]), [1; 3], [0; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv3d/1x1x1_stride_2",
            run: |i| ops::conv3d(&i[0], &i[1], None, [2; 3], [0; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv3d/odd",
            run: |i| ops::conv3d(&i[0], &i[1], Some(&i[2]), [3, 2, 1], [0, 2, 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv3d/wide",
            run: |i| ops::conv3d(&i[0], &i[1], None, [1; 3], [1; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv_transpose3d/2x2x2",
            run: |i| ops::conv_transpose3d(&i[0], &i[1], Some(&i[2]), [2; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv_transpose3d/1x2x2",
            run: |i| ops::conv_transpose3d(&i[0], &i[1], None, [1, 2, 2]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv_transpose3d/overlap",
            run: |i| ops::conv_transpose3d(&i[0], &i[1], Some(&i[2]), [2; 3]),
            tolerance: SUMS,
            step: 0.1,
        },
        Row {
            name: "conv_transpose3d/gaps",
            run: |i| ops::conv_transpose3d(&i[0], &i[1], Some(&i[2]), [2, 3, 2]),
            tolerance: SUMS,
            step: 0.1,
        },
        // A step may change which value is the largest, so pools of maxima are held to PyTorch alone.
        Row { name: "max_pool3d/2x2x2", run: |i| ops::max_pool3d(&i[0], [2; 3]), tolerance: 0.0, step: 0.0 },
        Row { name: "max_pool3d/ties", run: |i| ops::max_pool3d(&i[0], [2, 3, 2]), tolerance: 0.0, step: 0.0 },
        Row { name: "avg_pool3d/2x2x2", run: |i| ops::avg_pool3d(&i[0], [2; 3]), tolerance: 1e-6, step: 0.1 },
        Row { name: "avg_pool3d/1x2x3", run: |i| ops::avg_pool3d(&i[0], [1, 2, 3]), tolerance: 1e-6, step: 0.1 },
    ]);
}

/// A small step for operators with a kink, which a larger one would cross.
const KINK: f32 = 1e-3;

const LEAKY: Activation = Activation::LeakyRelu(0.01);

#[test]
#[allow(clippy::too_many_lines)] // A table, a row an operator.
fn norms_activations_attention_and_resampling() {
    check_rows(&[
        Row {
            name: "instance_norm/affine",
            run: |i| ops::instance_norm(&i[0], Some(&i[1]), Some(&i[2]), 1e-5, LEAKY),
            tolerance: SUMS,
            step: KINK,
        },
        Row {
            name: "instance_norm/plain",
            run: |i| ops::instance_norm(&i[0], None, None, 1e-3, Activation::None),
            tolerance: SUMS,
            step: 0.01,
        },
        Row {
            name: "group_norm/3_groups",
            run: |i| ops::group_norm(&i[0], Some(&i[1]), Some(&i[2]), 3, 1e-5, Activation::Relu),
            tolerance: SUMS,
            step: KINK,
        },
        // Few voxels share a statistic here, so any step crosses kinks: the smooth row below has the finite
        // differences.
        Row {
            name: "batch_norm/relu",
            run: |i| ops::batch_norm(&i[0], Some(&i[1]), Some(&i[2]), 1e-5, Activation::Relu),
            tolerance: SUMS,
            step: 0.0,
        },
        Row {
            name: "batch_norm/wide",
            run: |i| ops::batch_norm(&i[0], Some(&i[1]), Some(&i[2]), 1e-5, LEAKY),
            tolerance: SUMS,
            step: 0.0,
        },
        Row {
            name: "batch_norm/smooth",
            run: |i| ops::batch_norm(&i[0], Some(&i[1]), Some(&i[2]), 1e-5, Activation::None),
            tolerance: SUMS,
            step: 0.01,
        },
        Row {
            name: "layer_norm/rows",
            run: |i| ops::layer_norm(&i[0], &i[1], &i[2], 1e-5),
            tolerance: SUMS,
            step: 0.01,
        },
        Row {
            name: "attention/none",
            run: |i| ops::attention(&i[0], &i[1], &i[2], 3, AttentionMask::None),
            tolerance: SUMS,
            step: 0.01,
        },
        Row {
            name: "attention/causal",
            run: |i| ops::attention(&i[0], &i[1], &i[2], 2, AttentionMask::Causal),
            tolerance: SUMS,
            step: 0.01,
        },
        Row {
            name: "attention/causal_from",
            run: |i| {
                let texts = AttentionMask::CausalFrom(vec![0, 0, 0, 0, 4, 5, 5, 5]);
                ops::attention(&i[0], &i[1], &i[2], 2, texts)
            },
            tolerance: SUMS,
            step: 0.01,
        },
        Row {
            name: "attention/keys",
            run: |i| ops::attention(&i[0], &i[1], &i[2], 1, keys_seen()),
            tolerance: SUMS,
            step: 0.01,
        },
        Row { name: "linear/bias", run: |i| ops::linear(&i[0], &i[1], Some(&i[2])), tolerance: 1e-6, step: 0.1 },
        Row { name: "linear/plain", run: |i| ops::linear(&i[0], &i[1], None), tolerance: 1e-6, step: 0.1 },
        Row { name: "gelu_erf/ramp", run: |i| ops::gelu_erf(&i[0]), tolerance: 5e-7, step: 0.01 },
        Row { name: "quick_gelu/ramp", run: |i| ops::quick_gelu(&i[0]), tolerance: 5e-7, step: 0.01 },
        Row { name: "sigmoid/ramp", run: |i| ops::sigmoid(&i[0]), tolerance: 5e-7, step: 0.01 },
        Row { name: "activate/relu", run: |i| ops::activate(&i[0], Activation::Relu), tolerance: 0.0, step: KINK },
        Row {
            name: "activate/leaky",
            run: |i| ops::activate(&i[0], Activation::LeakyRelu(0.2)),
            tolerance: 1e-7,
            step: KINK,
        },
        Row {
            name: "add_activate/leaky",
            run: |i| ops::add_activate(&i[0], &i[1], LEAKY),
            tolerance: 1e-7,
            step: KINK,
        },
        Row {
            name: "add_activate/none",
            run: |i| ops::add_activate(&i[0], &i[1], Activation::None),
            tolerance: 1e-7,
            step: 0.1,
        },
        Row { name: "concat_channels/odd", run: |i| ops::concat_channels(&i[0], &i[1]), tolerance: 0.0, step: 0.1 },
        Row {
            name: "upsample_nearest3d/double",
            run: |i| ops::upsample_nearest3d(&i[0], [4, 6, 8]),
            tolerance: 1e-6,
            step: 0.1,
        },
        Row {
            name: "upsample_nearest3d/odd",
            run: |i| ops::upsample_nearest3d(&i[0], [5, 3, 11]),
            tolerance: 1e-6,
            step: 0.1,
        },
        Row {
            name: "upsample_nearest3d/down",
            run: |i| ops::upsample_nearest3d(&i[0], [2, 2, 3]),
            tolerance: 1e-6,
            step: 0.1,
        },
        Row {
            name: "upsample_trilinear3d/double",
            run: |i| ops::upsample_trilinear3d(&i[0], [4, 6, 8]),
            tolerance: 1e-6,
            step: 0.1,
        },
        Row {
            name: "upsample_trilinear3d/odd",
            run: |i| ops::upsample_trilinear3d(&i[0], [5, 3, 11]),
            tolerance: 1e-6,
            step: 0.1,
        },
        Row {
            name: "upsample_trilinear3d/down",
            run: |i| ops::upsample_trilinear3d(&i[0], [2, 2, 3]),
            tolerance: 1e-6,
            step: 0.1,
        },
    ]);
}

fn keys_seen() -> AttentionMask {
    AttentionMask::Keys([1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0].iter().map(|&bit| bit == 1).collect())
}

#[test]
fn convolutions_in_few_products_have_gradients() {
    // 64 tiles of 16 channels: large enough for Winograd's kernels.
    let inputs = [[1, 8, 8, 8, 16], [3, 3, 3, 16, 16]].map(|shape| harness::noise(&shape, 1));
    let run: harness::Run = |i| ops::conv3d(&i[0], &i[1], None, [1; 3], [1; 3]);
    for level in Level::present() {
        let checked = with_level(level, || harness::check_finite_differences(run, &inputs, &[true; 2], 0.1));
        assert_eq!(checked, Ok(()), "{level:?}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let x = harness::noise(&[1, 4, 4, 4, 3], 1);
    let weight = harness::noise(&[3, 3, 3, 2, 5], 2);
    let message = ops::conv3d(&x, &weight, None, [1; 3], [1; 3]).unwrap_err().to_string();
    assert!(message.contains("x has 3 channels") && message.contains("wants 2"), "{message}");
    let weight = harness::noise(&[5, 3, 3, 3, 5], 2);
    let message = ops::conv3d(&x, &weight, None, [1; 3], [0; 3]).unwrap_err().to_string();
    assert!(message.contains("needs at least 5"), "{message}");
    let message = ops::max_pool3d(&x, [5, 1, 1]).unwrap_err().to_string();
    assert!(message.contains("[5, 1, 1]"), "{message}");
}
