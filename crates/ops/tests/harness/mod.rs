//! What every operator is put through: goldens, strided inputs, finite differences, thread counts, SIMD levels.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::HashMap;
use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor, Var};
use pulmoav_ops::Products;
use pulmoav_ops::simd::{Level, with_level};

/// An operator as a function of its tensor inputs.
pub(crate) type Run = fn(&[Tensor]) -> candle_core::Result<Tensor>;

/// One row of the conformance table. The goldens named `name` hold `in0, in1, …`, `out`, `grad_out` and `grad0, grad1,
/// …` (a missing `gradI` means that the input has no gradient); they were made with PyTorch by
/// `crates/testing/goldens/ops_*.py`.
pub(crate) struct Row {
    /// Prefix of the row's goldens: `NAME/in0`.
    pub(crate) name: &'static str,
    /// The operator.
    pub(crate) run: Run,
    /// Largest difference allowed, as a share of the golden's largest magnitude.
    pub(crate) tolerance: f32,
    /// Step of the finite differences, as a share of an input's scale (1); 0 leaves the check out.
    pub(crate) step: f32,
}

/// Largest difference in bf16, as a share of the largest magnitude: 8 bits of mantissa.
const BF16: f32 = 1e-2;

/// Largest difference of products of values rounded to TF32, as a share of the largest magnitude: each value is off by
/// at most 2⁻¹¹ of itself.
const TF32: f32 = 2e-3;

/// Runs every check on every row and reports all failures at once.
pub(crate) fn check_rows(rows: &[Row]) {
    let mut failures = vec![];
    for row in rows {
        let golden = Golden::load(row.name);
        for level in Level::present() {
            with_level(level, || {
                let mut fail = |what: String| failures.push(format!("{} at {level:?}: {what}", row.name));
                check_golden(row, &golden).unwrap_or_else(&mut fail);
                check_threads(row, &golden).unwrap_or_else(&mut fail);
                if row.step > 0.0 {
                    check_finite_differences(row.run, &golden.inputs, &golden.has_gradient(), row.step)
                        .unwrap_or_else(&mut fail);
                }
            });
        }
        if let Some(card) = card() {
            let mut fail = |what: String| failures.push(format!("{} on a card: {what}", row.name));
            check_golden(row, &golden.on(card)).unwrap_or_else(&mut fail);
            check_tf32(row, &golden, card).unwrap_or_else(&mut fail);
            check_bf16(row, &golden, card).unwrap_or_else(&mut fail);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Values that look random, in (−1, 1), the same on every machine.
pub(crate) fn noise(shape: &[usize], seed: u64) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count as u64)
        .map(|i| {
            let mut bits = (i ^ (seed << 40)).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((bits ^ (bits >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The result and the gradients of all inputs, for the loss `Σ out · grad_out`.
pub(crate) fn gradients(run: Run, inputs: &[Tensor], grad_out: &Tensor) -> (Tensor, Vec<Option<Tensor>>) {
    let vars: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let out = run(&tracked).unwrap();
    let grads = (&out * grad_out).unwrap().sum_all().unwrap().backward().unwrap();
    let gradients = vars.iter().map(|var| grads.get(var).cloned()).collect();
    (out.detach(), gradients)
}

/// Central differences along random directions, one input at a time: `⟨grad, u⟩ = (L(x + h·u) − L(x − h·u)) / 2h` to 1
/// % of the sum of the terms' magnitudes.
pub(crate) fn check_finite_differences(
    run: Run,
    inputs: &[Tensor],
    has_gradient: &[bool],
    step: f32,
) -> Result<(), String> {
    let grad_out = noise(run(inputs).unwrap().dims(), 77);
    let (_, gradients) = gradients(run, inputs, &grad_out);
    for (i, gradient) in gradients.iter().enumerate() {
        if !has_gradient[i] {
            continue;
        }
        let gradient = gradient.as_ref().ok_or(format!("input {i} got no gradient"))?;
        for direction in 0..3 {
            let u = noise(inputs[i].dims(), 1000 + direction);
            let loss = |sign: f64| -> f64 {
                let mut moved = inputs.to_vec();
                moved[i] = (&inputs[i] + (&u * (sign * f64::from(step))).unwrap()).unwrap();
                dot(&run(&moved).unwrap(), &grad_out).0
            };
            let numeric = (loss(1.0) - loss(-1.0)) / (2.0 * f64::from(step));
            let (analytic, magnitude) = dot(gradient, &u);
            // Random signs: the sum is about its terms' norm, far below the sum of magnitudes.
            if (numeric - analytic).abs() > 0.01 * magnitude / (inputs[i].elem_count() as f64).sqrt().max(1.0) + 1e-3 {
                return Err(format!(
                    "gradient of input {i}: {analytic} along direction {direction}, finite differences say {numeric}"
                ));
            }
        }
    }
    Ok(())
}

/// Same bits with one thread and with two.
fn check_threads(row: &Row, golden: &Golden) -> Result<(), String> {
    let with_threads = |count: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
        let (out, grads) = pool.install(|| gradients(row.run, &golden.inputs, &golden.grad_out));
        let mut bits = vec![bits_of(&out)];
        bits.extend(grads.iter().flatten().map(bits_of));
        bits
    };
    if with_threads(1) == with_threads(2) { Ok(()) } else { Err("one thread and two give different bits".into()) }
}

/// The card that operators are also held to the goldens on: the first one, with the feature `cuda`. The environment
/// variable `PULMOAV_CARD=required` turns its absence into a failure.
pub(crate) fn card() -> Option<&'static Device> {
    static CARD: OnceLock<Option<Device>> = OnceLock::new();
    let found = CARD.get_or_init(|| {
        if !cfg!(feature = "cuda") {
            return None;
        }
        let found = std::panic::catch_unwind(|| Device::new_cuda_with_stream(0));
        match found {
            Ok(Ok(card)) => Some(card),
            other => {
                let why = other.map_or_else(|_| "no driver".into(), |answer| format!("{:?}", answer.err()));
                assert!(env::var("PULMOAV_CARD").is_err(), "a card is required: {why}");
                println!("skipped on a card: {why}");
                None
            }
        }
    });
    found.as_ref()
}

/// Set in the processes that a test starts.
const CHILD: &str = "PULMOAV_TEST_CHILD";

/// Runs a test of this binary in a process with settings; true in that process.
pub(crate) fn is_child(test: &str, settings: &[(&str, &str)]) -> bool {
    if env::var_os(CHILD).is_some() {
        return true;
    }
    if card().is_some() {
        let counts = env::temp_dir().join(format!("pulmoav-{test}-{}", std::process::id()));
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .env("EMU_COUNTS", &counts)
            .envs(settings.iter().copied())
            .output()
            .unwrap();
        let _ = std::fs::remove_file(counts);
        let said = [&child.stdout[..], &child.stderr[..]].map(String::from_utf8_lossy).concat();
        let why = said.split_once("panicked at").and_then(|(_, why)| why.split_once('\n'));
        assert!(
            child.status.success(),
            "{}\n{said}",
            why.map_or("", |(_, why)| why.lines().next().unwrap_or_default())
        );
    }
    false
}

/// With products of values rounded to TF32, against those of the values as they are.
fn check_tf32(row: &Row, golden: &Golden, card: &Device) -> Result<(), String> {
    let golden = golden.on(card);
    let (out, grads) = Products::Tf32.during(|| gradients(row.run, &golden.inputs, &golden.grad_out));
    let (expected, expected_grads) = gradients(row.run, &golden.inputs, &golden.grad_out);
    compare(&out, &expected, TF32).map_err(|error| format!("tf32 result: {error}"))?;
    for (i, (actual, expected)) in grads.iter().zip(&expected_grads).enumerate() {
        let (Some(actual), Some(expected)) = (actual, expected) else { continue };
        compare(actual, expected, TF32).map_err(|error| format!("tf32 gradient of input {i}: {error}"))?;
    }
    Ok(())
}

/// In bf16, against f32 arithmetic on the same rounded inputs. Numbers a channel stay f32.
fn check_bf16(row: &Row, golden: &Golden, card: &Device) -> Result<(), String> {
    let narrow = |x: &Tensor| if x.rank() == 1 { x.clone() } else { x.to_dtype(DType::BF16).unwrap() };
    let wide = |x: &Tensor| x.to_dtype(DType::F32).unwrap();
    let rounded: Vec<Tensor> = golden.inputs.iter().map(narrow).collect();
    let grad_out = golden.grad_out.to_dtype(DType::BF16).unwrap();
    let (out, grads) = gradients(row.run, &rounded.iter().map(wide).collect::<Vec<_>>(), &wide(&grad_out));
    let on_card: Vec<Tensor> = rounded.iter().map(|x| x.to_device(card).unwrap()).collect();
    let (card_out, card_grads) = gradients(row.run, &on_card, &grad_out.to_device(card).unwrap());
    compare(&wide(&card_out), &out, BF16).map_err(|error| format!("bf16 result: {error}"))?;
    for (i, (actual, expected)) in card_grads.iter().zip(&grads).enumerate() {
        let (Some(actual), Some(expected)) = (actual, expected) else { continue };
        compare(&wide(actual), expected, BF16).map_err(|error| format!("bf16 gradient of input {i}: {error}"))?;
    }
    Ok(())
}

fn check_golden(row: &Row, golden: &Golden) -> Result<(), String> {
    for (layout, strided) in [("contiguous", false), ("strided", true)] {
        let inputs: Vec<Tensor> =
            golden.inputs.iter().map(|input| if strided { stride_out(input) } else { input.clone() }).collect();
        // A strided Var would be made contiguous, so the strides are put on inside the operator.
        let (out, grads) = if strided {
            let out = (row.run)(&inputs).map_err(|error| format!("{layout}: {error}"))?;
            (out, vec![])
        } else {
            gradients(row.run, &inputs, &golden.grad_out)
        };
        compare(&out, &golden.out, row.tolerance).map_err(|error| format!("{layout} result: {error}"))?;
        for (i, expected) in golden.grads.iter().enumerate() {
            let (Some(expected), false) = (expected, strided) else { continue };
            let actual = grads[i].as_ref().ok_or(format!("input {i} got no gradient"))?;
            compare(actual, expected, row.tolerance).map_err(|error| format!("gradient of input {i}: {error}"))?;
        }
    }
    Ok(())
}

/// The same values in another memory layout: the last axis was moved to the front and back.
fn stride_out(x: &Tensor) -> Tensor {
    let last = x.rank() - 1;
    if last == 0 {
        return x.clone();
    }
    x.transpose(0, last).unwrap().contiguous().unwrap().transpose(0, last).unwrap()
}

fn compare(actual: &Tensor, expected: &Tensor, tolerance: f32) -> Result<(), String> {
    if actual.dims() != expected.dims() {
        return Err(format!("shape {:?}, expected {:?}", actual.dims(), expected.dims()));
    }
    let (actual, expected) = (values_of(actual), values_of(expected));
    let scale = expected.iter().fold(0f32, |top, value| top.max(value.abs())).max(1e-6);
    for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
        let difference = (a - e).abs();
        if difference.is_nan() || difference > tolerance * scale {
            return Err(format!("value {i} is {a}, expected {e} (largest magnitude {scale}, tolerance {tolerance})"));
        }
    }
    Ok(())
}

fn values_of(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn bits_of(x: &Tensor) -> Vec<u32> {
    values_of(x).into_iter().map(f32::to_bits).collect()
}

/// Sum of products, and of their magnitudes, in f64.
fn dot(a: &Tensor, b: &Tensor) -> (f64, f64) {
    values_of(a).iter().zip(values_of(b)).fold((0.0, 0.0), |(sum, magnitude), (&a, b)| {
        let product = f64::from(a) * f64::from(b);
        (sum + product, magnitude + product.abs())
    })
}

struct Golden {
    inputs: Vec<Tensor>,
    out: Tensor,
    grad_out: Tensor,
    grads: Vec<Option<Tensor>>,
}

impl Golden {
    fn load(name: &str) -> Self {
        let all = all_goldens();
        let get = |part: &str| all.get(&format!("{name}/{part}")).cloned();
        let need = |part: &str| {
            get(part).unwrap_or_else(|| panic!("no golden {name}/{part}: run crates/testing/goldens/ops_*.py"))
        };
        let inputs: Vec<Tensor> = (0..).map_while(|i| get(&format!("in{i}"))).collect();
        let grads = (0..inputs.len()).map(|i| get(&format!("grad{i}"))).collect();
        Self { inputs, out: need("out"), grad_out: need("grad_out"), grads }
    }

    fn on(&self, device: &Device) -> Self {
        let moved = |x: &Tensor| x.to_device(device).unwrap();
        Self {
            inputs: self.inputs.iter().map(moved).collect(),
            out: self.out.clone(),
            grad_out: moved(&self.grad_out),
            grads: self.grads.clone(),
        }
    }

    fn has_gradient(&self) -> Vec<bool> {
        self.grads.iter().map(Option::is_some).collect()
    }
}

fn all_goldens() -> &'static HashMap<String, Tensor> {
    static GOLDENS: OnceLock<HashMap<String, Tensor>> = OnceLock::new();
    GOLDENS.get_or_init(|| {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/ops"));
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
            .flat_map(|path| candle_core::safetensors::load(path, &Device::Cpu).unwrap())
            .collect()
    })
}
