//! Model directories of networks that answer with classes: one network a fold.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use pulmoav_plan::{AnyPlan, ClassPlan};

use super::file::{TensorFile, check_trained, damaged, io, replace, to_bytes};
use super::{CARD_FILE, PLAN_FILE, PLAN_KEY, WEIGHTS_FILE, compare_copy, plan_text};
use crate::{ClassNetwork, ModelError, Parameters};

/// Metadata key of the folds' names, in the order in which their answers are added.
const FOLDS_KEY: &str = "folds";
/// Tensors of a fold are called `fold_NAME.…`.
const PREFIX: &str = "fold_";

/// One network of a model.
#[derive(Debug, Clone)]
pub struct Fold {
    /// Its name: a number, or `all`.
    pub name: String,
    /// Its parameters.
    pub parameters: Parameters,
}

/// Reads a model directory of the second kind and checks all of it: plan, copy, every fold's tensors, their names,
/// shapes and types, finite values, and that all are to the bit what was saved.
///
/// # Errors
/// [`ModelError`]; a damaged file is one clear [`ModelError::Damaged`].
pub fn load_classes(directory: &Path) -> Result<(ClassPlan, Vec<Fold>), ModelError> {
    let path = directory.join(WEIGHTS_FILE);
    let file = TensorFile::open(&path)?;
    let plan = ClassPlan::from_json(plan_text(&path, &file)?)?;
    compare_copy(&directory.join(PLAN_FILE), &AnyPlan::Classes(plan.clone()))?;
    let names = file.metadata(FOLDS_KEY).unwrap_or_default();
    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
    if names.len() != plan.folds {
        let problem = format!("it names {} folds, its plan has {}", names.len(), plan.folds);
        return Err(damaged(&path, problem));
    }
    let mut tensors: BTreeMap<String, BTreeMap<String, Tensor>> = BTreeMap::new();
    for (name, tensor) in file.tensors()? {
        check_trained(&name, &tensor)?;
        let place = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.'));
        let Some((fold, own)) = place.filter(|(fold, _)| names.iter().any(|name| name == fold)) else {
            return Err(ModelError::UnexpectedTensor { name, count: 1 });
        };
        tensors.entry(fold.to_owned()).or_default().insert(own.to_owned(), tensor);
    }
    let folds = names.into_iter().map(|name| {
        let mut parameters = Parameters::from_tensors(tensors.remove(&name).unwrap_or_default())?;
        ClassNetwork::build(&plan, &mut parameters)?;
        parameters.refuse_unasked()?;
        Ok(Fold { name, parameters })
    });
    let folds = folds.collect::<Result<_, ModelError>>()?;
    Ok((plan, folds))
}

/// Writes a model directory of the second kind; each file is replaced at once or not at all, the weights last.
///
/// # Errors
/// [`ModelError::Io`], an invalid plan, or other folds than it speaks of.
pub fn save_classes(directory: &Path, plan: &ClassPlan, folds: &[Fold], card: Option<&str>) -> Result<(), ModelError> {
    plan.validate()?;
    if folds.len() != plan.folds {
        let expected = format!("{} of them, as the plan says", plan.folds);
        return Err(ModelError::Input { what: "a list of folds", found: vec![folds.len()], expected });
    }
    let text = plan.to_json()?;
    std::fs::create_dir_all(directory).map_err(|source| io(directory, "write", source))?;
    if let Some(card) = card {
        replace(&directory.join(CARD_FILE), card.as_bytes())?;
    }
    let mut tensors = BTreeMap::new();
    for Fold { name: fold, parameters } in folds {
        let own = parameters.iter();
        tensors.extend(own.map(|(name, var)| (format!("{PREFIX}{fold}.{name}"), var.as_detached_tensor())));
    }
    let names: Vec<&str> = folds.iter().map(|fold| fold.name.as_str()).collect();
    let bytes = to_bytes(&tensors, &[(PLAN_KEY, &text), (FOLDS_KEY, &names.join(","))])?;
    replace(&directory.join(PLAN_FILE), text.as_bytes())?;
    replace(&directory.join(WEIGHTS_FILE), &bytes)
}
