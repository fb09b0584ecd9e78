//! Every operator, every SIMD level, against PyTorch and against finite differences. One row an operator's case.
mod harness;

use harness::{Row, check_rows};
use pulmoav_ops as ops;

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
