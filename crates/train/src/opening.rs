//! What a run is opened from: its cases, and what it takes over of others' weights.

use std::{collections::BTreeMap, path::Path};

use candle_core::Device;
use pulmoav_model::{Parameters, weights};
use pulmoav_plan::{Channel, Plan};
use pulmoav_task::Monitor;

use crate::{
    batch::TrainingCase,
    cache::CaseWarning,
    case::{Case, DataSet},
    config::Unannotated,
    error::TrainError,
    prepare::{KEPT_HU, cached},
};

/// What to say of unlabelled cases that nothing is learnt from.
///
/// # Errors
/// `ERR_CONFIG` where no case learnt from has a label.
pub(crate) fn unused(set: &DataSet, unannotated: Unannotated) -> Result<Vec<CaseWarning>, TrainError> {
    let learnt = || set.training.iter().map(|&index| &set.cases[index]);
    if learnt().all(|case| case.annotated.is_empty()) {
        return Err(TrainError::Config(
            "no case learnt from is annotated; expected at least one with labels, for a teacher has to learn first"
                .into(),
        ));
    }
    if unannotated == Unannotated::Teacher {
        return Ok(Vec::new());
    }
    let of_case = |case: &Case| CaseWarning {
        case: case.name.clone(),
        code: "UNUSED".to_owned(),
        message:
            "is unlabelled, so nothing is learnt from it; only step.unannotated \"teacher\" learns from such scans"
                .to_owned(),
    };
    Ok(learnt().filter(|case| case.annotated.is_empty()).map(of_case).collect())
}

/// The cache keeps HU of a range; a window beyond would see other values than in use.
pub(crate) fn check_windows(plan: &Plan) -> Result<(), TrainError> {
    let [low, high] = KEPT_HU;
    let beyond = plan.channels.iter().find_map(|channel| match channel {
        Channel::Window { window_hu } if window_hu[0] < low || window_hu[1] > high => Some(window_hu),
        _ => None,
    });
    match beyond {
        Some(window) => Err(TrainError::Config(format!(
            "a channel has the window {window:?} HU; expected one within {low} to {high} HU, which training keeps"
        ))),
        None => Ok(()),
    }
}

/// Every training case from the cache; validation cases are scored from their files.
pub(crate) fn open_cases(
    set: &DataSet,
    cache: &Path,
    plan: &Plan,
    monitor: &dyn Monitor,
) -> Result<Vec<TrainingCase>, TrainError> {
    let total = set.training.len() as u64;
    let mut cases = Vec::with_capacity(set.training.len());
    for (done, &index) in set.training.iter().enumerate() {
        monitor.report("cases", done as u64, total);
        monitor.proceed()?;
        let case = &set.cases[index];
        let cached = cached(cache, plan, case, monitor)?;
        cases.push(TrainingCase { cached, annotated: case.annotated.clone() });
    }
    monitor.report("cases", total, total);
    if cases.is_empty() {
        return Err(TrainError::Config(
            "the data set has no training case; add cases or change splits_final.json".into(),
        ));
    }
    Ok(cases)
}

/// Mean over the cases of the best Dice that the plan's grid allows, by class.
pub(crate) fn mean_ceiling(cases: &[TrainingCase]) -> BTreeMap<&'static str, f64> {
    let mean = |class: usize| {
        let known: Vec<f64> = cases.iter().filter_map(|case| case.cached.ceiling()[class]).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    [("artery", mean(0)), ("vein", mean(1))].into_iter().filter_map(|(class, dice)| Some((class, dice?))).collect()
}

/// Takes over the weights of a model as far as names and shapes fit; the names of those that do not.
pub(crate) fn take_weights(model: &Path, parameters: &Parameters) -> Result<Vec<String>, TrainError> {
    let (_, found) = weights::load(model)?;
    let mut fresh = Vec::new();
    for (name, var) in parameters.iter() {
        match found.get(name).filter(|theirs| theirs.dims() == var.dims()) {
            Some(theirs) => var.set(&theirs.to_device(var.device())?)?,
            None => fresh.push(name.to_owned()),
        }
    }
    Ok(fresh)
}

/// Text tensors travel with the weights and are not trained.
pub(crate) fn take_text(path: &Path, parameters: &mut Parameters) -> Result<(), TrainError> {
    if !path.is_file() {
        return Err(TrainError::format(path, "no such file; expected a safetensors file of text tensors"));
    }
    for (name, tensor) in candle_core::safetensors::load(path, &Device::Cpu)? {
        if name.starts_with("text.") {
            parameters.set_frozen(name, tensor);
        }
    }
    Ok(())
}
