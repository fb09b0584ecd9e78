//! A model directory: `model.safetensors` (its metadata key `plan` is the truth), `plan.json` (a copy), `card.md`.

mod classes;
mod file;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use pulmoav_ops::device::to_host;
use pulmoav_plan::{AnyPlan, Plan};

use crate::{ModelError, Network, Parameters, prompt_embeddings};
pub use classes::{Fold, load_classes, save_classes};
use file::{TensorFile, check_trained, damaged, io, read, replace, to_bytes};

/// File of the tensors and the plan.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// File of the plan's copy.
pub const PLAN_FILE: &str = "plan.json";
/// File of the model card.
pub const CARD_FILE: &str = "card.md";
/// Metadata key of the plan.
const PLAN_KEY: &str = "plan";
/// Tensor of the targets' embeddings, `[p, text_width]`, as they stand in the plan.
const PROMPTS: &str = "prompts.embeddings";
/// Names of tensors that travel along and are not the network's.
const FROZEN: [&str; 2] = ["text.", "prompts."];

/// Reads the plan of a model directory of either kind, and no tensor.
///
/// # Errors
/// [`ModelError`]: no model directory, a damaged header, a plan that cannot be used or contradicts its copy.
pub fn read_plan(directory: &Path) -> Result<AnyPlan, ModelError> {
    let path = directory.join(WEIGHTS_FILE);
    let plan = AnyPlan::from_json(plan_text(&path, &TensorFile::open(&path)?)?)?;
    compare_copy(&directory.join(PLAN_FILE), &plan)?;
    Ok(plan)
}

fn plan_text<'a>(path: &Path, file: &'a TensorFile) -> Result<&'a str, ModelError> {
    file.metadata(PLAN_KEY).ok_or_else(|| damaged(path, "it holds no plan (metadata key `plan`)"))
}

/// Reads a model directory and checks all of it: plan, copy, every tensor's name, shape and type, finite values, and
/// that all are to the bit what was saved (where the file holds their hash).
///
/// The parameters are the plan's network's, no more and no less; tensors named `text.*` are among the frozen ones.
///
/// # Errors
/// [`ModelError`]; a damaged file is one clear [`ModelError::Damaged`].
pub fn load(directory: &Path) -> Result<(Plan, Parameters), ModelError> {
    let path = directory.join(WEIGHTS_FILE);
    let file = TensorFile::open(&path)?;
    let plan = Plan::from_json(plan_text(&path, &file)?)?;
    compare_copy(&directory.join(PLAN_FILE), &AnyPlan::Prompts(plan.clone()))?;

    let (mut frozen, trained): (BTreeMap<_, _>, BTreeMap<_, _>) =
        file.tensors()?.into_iter().partition(|(name, _)| FROZEN.iter().any(|prefix| name.starts_with(prefix)));
    check_prompts(frozen.remove(PROMPTS), &plan)?;
    for (name, tensor) in &trained {
        check_trained(name, tensor)?;
    }
    let mut parameters = Parameters::from_tensors(trained)?;
    for (name, tensor) in frozen {
        parameters.set_frozen(name, tensor);
    }
    Network::build(&plan, &mut parameters)?;
    parameters.refuse_unasked()?;
    Ok((plan, parameters))
}

/// Writes a model directory; each file is replaced at once or not at all, the weights last.
///
/// # Errors
/// [`ModelError::Io`], or an invalid plan.
pub fn save(directory: &Path, plan: &Plan, parameters: &Parameters, card: Option<&str>) -> Result<(), ModelError> {
    plan.validate()?;
    let text = plan.to_json()?;
    std::fs::create_dir_all(directory).map_err(|source| io(directory, "write", source))?;
    if let Some(card) = card {
        replace(&directory.join(CARD_FILE), card.as_bytes())?;
    }
    let mut tensors: BTreeMap<String, Tensor> =
        parameters.iter().map(|(name, var)| (name.to_owned(), var.as_detached_tensor())).collect();
    tensors.extend(parameters.frozen_iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())));
    tensors.insert(PROMPTS.to_owned(), prompt_embeddings(plan, &Device::Cpu)?);
    let bytes = to_bytes(&tensors, &[(PLAN_KEY, &text)])?;
    replace(&directory.join(PLAN_FILE), text.as_bytes())?;
    replace(&directory.join(WEIGHTS_FILE), &bytes)
}

/// Reads every tensor of a safetensors file.
///
/// # Errors
/// [`ModelError`]; a damaged file is one clear [`ModelError::Damaged`].
pub fn load_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, ModelError> {
    TensorFile::open(path)?.tensors()
}

/// Writes tensors as a safetensors file, which is replaced at once or not at all.
///
/// # Errors
/// [`ModelError::Io`].
pub fn save_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), ModelError> {
    replace(path, &to_bytes(tensors, &[])?)
}

/// The embeddings stand twice; they must be the plan's.
fn check_prompts(stored: Option<Tensor>, plan: &Plan) -> Result<(), ModelError> {
    let wanted = prompt_embeddings(plan, &Device::Cpu)?;
    let stored =
        stored.ok_or_else(|| ModelError::MissingTensor { name: PROMPTS.to_owned(), shape: wanted.dims().to_vec() })?;
    let same =
        stored.dims() == wanted.dims() && stored.dtype() == wanted.dtype() && to_host(&stored)? == to_host(&wanted)?;
    if same {
        return Ok(());
    }
    Err(ModelError::WrongTensor {
        name: PROMPTS.to_owned(),
        found: format!("of shape {:?} with values of its own", stored.dims()),
        expected: format!("the plan's embeddings, shape {:?}", wanted.dims()),
    })
}

/// `plan.json` must say what the weights say.
fn compare_copy(path: &Path, plan: &AnyPlan) -> Result<(), ModelError> {
    let bytes = read(path)?;
    let text = String::from_utf8(bytes).map_err(|_| damaged(path, "it is not text"))?;
    let copy = AnyPlan::from_json(&text).map_err(|error| damaged(path, error.to_string()))?;
    if copy == *plan {
        return Ok(());
    }
    Err(damaged(path, "it differs from the plan inside the weights, which is the truth"))
}
