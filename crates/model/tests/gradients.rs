//! Every parameter learns, and learns the right thing; sizes are those that are promised.

mod plans;

use candle_core::{Device, Tensor, Var};
use pulmoav_model::{Mode, ModelError, Network, Parameters, prompt_embeddings};
use pulmoav_ops::tape::Tape;
use pulmoav_plan::{LaCafVariant, Plan};
use pulmoav_random::normals;

fn small_plans() -> [(&'static str, Plan); 3] {
    [
        ("la-caf", plans::la_caf(LaCafVariant::LaCaf, 8, 32, 32)),
        ("gap", plans::la_caf(LaCafVariant::Gap, 8, 32, 32)),
        ("pulmoav", plans::pulmoav(&[8, 8, 16], &[1, 2, 1], 16, 16)),
    ]
}

fn image(plan: &Plan, n: usize) -> Result<Tensor, ModelError> {
    let shape = [n, plan.patch[0], plan.patch[1], plan.patch[2], plan.channels.len()];
    Ok(Tensor::from_vec(normals(3, 4, shape.iter().product()), &shape, &Device::Cpu)?)
}

/// Mean of sqrt(1 + d²), d the distance of the logits of every scale to noise.
fn loss(network: &Network, plan: &Plan, x: &Tensor) -> Result<Tensor, ModelError> {
    let mut sum = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?;
    for logits in network.forward(x, &prompt_embeddings(plan, &Device::Cpu)?, Mode::Train)? {
        let noise = Tensor::from_vec(normals(5, 6, logits.elem_count()), logits.shape(), &Device::Cpu)?;
        sum = (sum + ((logits - noise)?.sqr()? + 1.0)?.sqrt()?.mean_all()?)?;
    }
    Ok(sum)
}

#[test]
fn after_three_steps_every_parameter_has_a_gradient() -> Result<(), ModelError> {
    for (name, plan) in small_plans() {
        let mut parameters = Parameters::new(11);
        let network = Network::build(&plan, &mut parameters)?;
        let x = image(&plan, 2)?;
        for _ in 0..3 {
            let loss = loss(&network, &plan, &x)?;
            assert!(loss.to_scalar::<f32>()?.is_finite(), "{name}");
            let gradients = loss.backward()?;
            for (_, var) in parameters.iter() {
                if let Some(gradient) = gradients.get(var) {
                    var.set(&(var.as_tensor() - (gradient * 1e-3)?)?)?;
                }
            }
        }
        let gradients = loss(&network, &plan, &x)?.backward()?;
        for (parameter, var) in parameters.iter() {
            let gradient = gradients.get(var).unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
            let most = gradient.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
            let cancelled = network.cancelled_biases().iter().any(|bias| bias == parameter);
            assert!(most.is_finite(), "{name}: {parameter}: {most}");
            assert!(cancelled || most > 1e-9, "{name}: {parameter}: largest gradient {most}");
        }
    }
    Ok(())
}

/// The steepest element of some parameters, moved up and down.
#[test]
fn gradients_are_finite_differences() -> Result<(), ModelError> {
    let picks: [(&str, &[&str]); 3] = [
        (
            "la-caf",
            &[
                "backbone.down_tr512.ops.1.conv1.weight",
                "Feature_adapter2.0.D_fc1.weight",
                "txtAdapter.1.D_fc2.weight",
                "controller.weight",
            ],
        ),
        ("gap", &["GAP.3.weight", "text_to_vision.weight", "precls_conv.0.weight"]),
        (
            "pulmoav",
            &[
                "encoder.stages.2.blocks.0.skip.1.conv.weight",
                "encoder.stem.convs.0.norm.bias",
                "prompt_decoder.layers.0.gate.weight",
                "prompt_decoder.layers.1.cross_attention.key.weight",
                "prompt_decoder.prompt_norm.weight",
                "prompt_decoder.masks.1.embedding.weight",
            ],
        ),
    ];
    for ((name, plan), (_, picks)) in small_plans().iter().zip(picks) {
        let mut parameters = Parameters::new(2);
        let network = Network::build(plan, &mut parameters)?;
        let x = image(plan, 1)?;
        let gradients = loss(&network, plan, &x)?.backward()?;
        for parameter in picks {
            let var = parameters.get(parameter).unwrap_or_else(|| panic!("{name} has no {parameter}"));
            let gradient = gradients.get(var).expect("reached").flatten_all()?.to_vec1::<f32>()?;
            let (place, slope) =
                gradient.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).expect("some");
            let found = central_difference(var, place, &|| Ok(loss(&network, plan, &x)?.to_scalar::<f32>()?))?;
            let error = (found - slope).abs() / slope.abs().max(2e-3);
            assert!(error < 0.1, "{name}: {parameter}[{place}]: difference {found}, gradient {slope}");
        }
    }
    Ok(())
}

#[test]
fn recomputed_blocks_give_the_same_bits() -> Result<(), ModelError> {
    for (name, plan) in small_plans() {
        let mut parameters = Parameters::new(2);
        let network = Network::build(&plan, &mut parameters)?;
        let (x, prompts) = (image(&plan, 2)?, prompt_embeddings(&plan, &Device::Cpu)?);
        let bits = |mode| -> Result<Vec<Vec<u32>>, ModelError> {
            let (logits, tape) = Tape::record(|| network.forward(&x, &prompts, mode))?;
            let seed = |logits: &Tensor| Ok((logits.clone(), logits.sin()?.detach()));
            let gradients = tape.backward(logits.iter().map(seed).collect::<Result<_, ModelError>>()?)?;
            let gradients = parameters.iter().filter_map(|(_, var)| gradients.get(var).cloned());
            let bits =
                |tensor: Tensor| Ok(tensor.flatten_all()?.to_vec1::<f32>()?.iter().map(|v| v.to_bits()).collect());
            logits.iter().cloned().chain(gradients).map(bits).collect()
        };
        assert!(bits(Mode::Recompute)? == bits(Mode::Train)?, "{name}");
    }
    Ok(())
}

fn central_difference(var: &Var, place: usize, loss: &dyn Fn() -> Result<f32, ModelError>) -> Result<f32, ModelError> {
    let start = var.flatten_all()?.to_vec1::<f32>()?;
    let step = 1e-2_f32;
    let at = |by: f32| {
        let mut moved = start.clone();
        moved[place] += by;
        var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu)?)?;
        loss()
    };
    let slope = (at(step)? - at(-step)?) / (2.0 * step);
    at(0.0)?;
    Ok(slope)
}

/// The published backbone has 19.07 M (docs/method.md, Preset la-caf); the bundled `tiny` is to stay near 1.5 M.
#[test]
fn sizes() -> Result<(), ModelError> {
    let mut parameters = Parameters::new(0);
    let plan = plans::la_caf(LaCafVariant::LaCaf, 1, 96, 512);
    Network::build(&plan, &mut parameters)?;
    let backbone: usize =
        parameters.iter().filter(|(name, _)| name.starts_with("backbone.")).map(|(_, var)| var.elem_count()).sum();
    assert_eq!((backbone as f64 / 1e4).round(), 1907.0, "{backbone}");

    let mut parameters = Parameters::new(0);
    Network::build(&plans::pulmoav(&[16, 32, 64, 128], &[1, 1, 1, 1], 64, 64), &mut parameters)?;
    let count = parameters.element_count();
    println!("tiny: {count}");
    assert!((1_200_000..1_600_000).contains(&count), "{count}");
    Ok(())
}
