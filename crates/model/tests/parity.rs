//! Both presets against a second implementation in PyTorch (`crates/testing/goldens/model.py`).

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use pulmoav_model::{Mode, ModelError, Network, Parameters, prompt_embeddings};
use pulmoav_plan::Plan;
use safetensors::SafeTensors;

/// The goldens hold every so many-th voxel.
const STEP: usize = 17;

struct Answers {
    plan: Plan,
    parameters: BTreeMap<String, Tensor>,
    golden: BTreeMap<String, Tensor>,
}

fn golden(name: &str) -> Answers {
    let path = format!("{}/../testing/goldens/model/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect("golden");
    let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("header");
    let plan = metadata.metadata().as_ref().and_then(|entries| entries.get("plan")).expect("plan");
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).expect("tensors");
    let (golden, parameters) = tensors.into_iter().partition(|(name, _)| name.starts_with("golden."));
    Answers { plan: Plan::from_json(plan).expect("valid"), parameters, golden }
}

fn strided(logits: &Tensor) -> Result<Vec<f32>, ModelError> {
    let (n, d, h, w, p) = logits.dims5()?;
    let rows = logits.reshape((n, d * h * w, p))?.to_vec3::<f32>()?;
    Ok(rows.iter().flat_map(|sample| sample.iter().step_by(STEP).flatten().copied()).collect())
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)
}

/// |found − wanted| ≤ 1e-4 of the largest wanted.
fn assert_close(name: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    let scale = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let error = found.iter().zip(wanted).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    println!("{name}: error {error:.2e} of {scale:.2e}");
    assert!(error <= 1e-4 * scale, "{name}: error {error:e} of {scale:e}");
}

#[test]
fn logits_and_gradients_are_pytorch_s() -> Result<(), ModelError> {
    for name in ["la_caf", "gap", "pulmoav"] {
        let Answers { plan, parameters, golden } = golden(name);
        let mut parameters = Parameters::from_tensors(parameters)?;
        let network = Network::build(&plan, &mut parameters)?;
        let x = golden["golden.input"].to_dtype(DType::F32)?;
        let logits = network.forward(&x, &prompt_embeddings(&plan, &Device::Cpu)?, Mode::Train)?;
        for (scale, logits) in logits.iter().enumerate() {
            let wanted = flat(&golden[&format!("golden.logits.{scale}")])?;
            assert_close(&format!("{name}, scale {scale}"), &strided(logits)?, &wanted);
        }

        let losses = logits.iter().map(|logits| logits.broadcast_mul(&golden["golden.weights"])?.mean_all());
        let loss = losses.reduce(|a, b| a? + b?).expect("a scale")?;
        let gradients = loss.backward()?;
        let wanted = flat(&golden["golden.gradient_norms"])?;
        assert_eq!(wanted.len(), parameters.len());
        for ((parameter, var), wanted) in parameters.iter().zip(wanted) {
            let gradient = gradients.get(var).unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
            let norm = gradient.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?;
            if network.cancelled_biases().iter().any(|cancelled| cancelled == parameter) {
                assert!(wanted < 1e-10, "{name}: {parameter} is said to be cancelled, PyTorch has {wanted}");
            } else {
                assert!((norm - wanted).abs() <= 2e-3 * wanted, "{name}: {parameter}: |gradient| {norm}, not {wanted}");
            }
        }
    }
    Ok(())
}

#[test]
fn inference_is_the_same_arithmetic_and_keeps_no_graph() -> Result<(), ModelError> {
    for name in ["la_caf", "pulmoav"] {
        let Answers { plan, parameters, golden } = golden(name);
        let network = Network::build(&plan, &mut Parameters::from_tensors(parameters)?)?;
        let (x, prompts) = (golden["golden.input"].to_dtype(DType::F32)?, prompt_embeddings(&plan, &Device::Cpu)?);
        let trained = network.forward(&x, &prompts, Mode::Train)?;
        let inferred = network.forward(&x, &prompts, Mode::Infer)?;
        assert_eq!(inferred.len(), 1);
        assert_eq!(flat(&inferred[0])?, flat(&trained[0])?);
        assert!(trained[0].track_op() && !inferred[0].track_op());

        let asked = network.forward_asked(&x, &prompts, &[2, 0], Mode::Infer)?;
        for (place, target) in [2, 0].into_iter().enumerate() {
            let (one, all) = (asked[0].narrow(4, place, 1)?, inferred[0].narrow(4, target, 1)?);
            assert_close(&format!("{name}, target {target} asked alone"), &flat(&one)?, &flat(&all)?);
        }
    }
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_refused() -> Result<(), ModelError> {
    for name in ["la_caf", "pulmoav"] {
        let Answers { plan, parameters, golden } = golden(name);
        let network = Network::build(&plan, &mut Parameters::from_tensors(parameters)?)?;
        let (x, prompts) = (golden["golden.input"].to_dtype(DType::F32)?, prompt_embeddings(&plan, &Device::Cpu)?);
        let images = [x.narrow(1, 0, 6)?, x.get(0)?, Tensor::cat(&[&x, &x], 4)?];
        let mut errors: Vec<_> = images.iter().map(|x| network.forward(x, &prompts, Mode::Infer)).collect();
        errors.push(network.forward(&x, &prompts.narrow(0, 0, 2)?, Mode::Infer));
        errors.push(network.forward_asked(&x, &prompts, &[3], Mode::Infer));
        for error in errors {
            let error = error.expect_err(name);
            assert!(matches!(error, ModelError::Input { .. }) && error.code() == "ERR_MODEL", "{error}");
        }
    }
    Ok(())
}

/// The published patch is 8 × the image adapter's width.
#[test]
fn another_patch_than_the_adapter_s_is_refused() {
    let Answers { mut plan, parameters, .. } = golden("la_caf");
    plan.patch = [40; 3];
    plan.tiles.tile = [40; 3];
    let mut parameters = Parameters::from_tensors(parameters).expect("tensors");
    let error = Network::build(&plan, &mut parameters).expect_err("adapter of width 4");
    assert!(matches!(&error, ModelError::WrongTensor { name, .. } if name.starts_with("Feature_adapter2")), "{error}");
    assert_eq!(error.code(), "ERR_MODEL");
}
