//! Checkpoints of a run: parameters, moments, running means and the count of updates, exact to the bit.
//!
//! One safetensors file `training.safetensors`, replaced atomically: `parameter.*`, `first.*`, `second.*` (where the optimiser
//! has second moments), `mean.*` in f32, and the metadata key `training` with the rest as JSON. Random numbers need no state (see [`pulmoav_random`]).

use std::{collections::HashMap, path::Path};

use pulmoav_ops::{
    device::{from_host, to_host},
    optimizer::State,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{cache::write_atomically, ema::Ema, error::TrainError, optimizer::Optimizer};

/// Name of the file inside a checkpoint folder.
pub const FILE: &str = "training.safetensors";
const VERSION: u32 = 1;

/// What a checkpoint holds beside tensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Progress {
    /// Format version.
    pub version: u32,
    /// The next step to run.
    pub step: u64,
    /// Updates applied so far.
    pub updates: u64,
    /// The plan, as JSON.
    pub plan: String,
    /// The step config, as JSON.
    pub config: String,
}

impl Progress {
    /// Progress in the current format.
    pub fn new(step: u64, updates: u64, plan: String, config: String) -> Self {
        Self { version: VERSION, step, updates, plan, config }
    }
}

/// Writes `dir/training.safetensors`.
pub fn save(dir: &Path, optimizer: &Optimizer, ema: &Ema, progress: &Progress) -> Result<(), TrainError> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (slot, mean) in optimizer.slots().iter().zip(ema.means()) {
        let shape = slot.var.dims().to_vec();
        let values = to_host(&slot.var)?;
        let parts = [
            ("parameter", Some(values)),
            ("first", Some(slot.first.to_host()?)),
            ("second", slot.second.as_ref().map(State::to_host).transpose()?),
            ("mean", Some(mean.values().to_host()?)),
        ];
        for (part, values) in parts.into_iter().filter_map(|(part, values)| Some((part, values?))) {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            tensors.push((format!("{part}.{}", slot.name), shape.clone(), bytes));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TrainError::Internal(error.to_string()))?;
    let progress = serde_json::to_string(progress).map_err(|error| TrainError::Internal(error.to_string()))?;
    let metadata = HashMap::from([("training".to_owned(), progress)]);
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|error| TrainError::Internal(error.to_string()))?;
    write_atomically(&dir.join(FILE), &bytes)
}

/// Fills the optimiser and its parameters from `dir/training.safetensors`.
///
/// # Errors
/// `ERR_IO`; `ERR_FORMAT` if the file is damaged or belongs to another network.
pub fn load(dir: &Path, optimizer: &mut Optimizer, ema: &mut Ema) -> Result<Progress, TrainError> {
    let path = dir.join(FILE);
    let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
    let progress = progress(&path, &bytes)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| TrainError::format(&path, error.to_string()))?;
    let mut expected = 0;
    for (slot, mean) in optimizer.slots_mut().iter_mut().zip(ema.means_mut()) {
        let shape = slot.var.dims().to_vec();
        let read = |part: &str| values(&path, &tensors, &format!("{part}.{}", slot.name), &shape);
        slot.var.set(&from_host(read("parameter")?, shape.as_slice(), slot.var.device())?)?;
        slot.first.set(read("first")?)?;
        if let Some(second) = &mut slot.second {
            second.set(read("second")?)?;
        }
        mean.values_mut().set(read("mean")?)?;
        expected += if slot.second.is_some() { 4 } else { 3 };
    }
    if tensors.len() != expected {
        return Err(TrainError::format(
            &path,
            format!("{} tensors, but this network has {expected}; it belongs to another plan", tensors.len()),
        ));
    }
    Ok(progress)
}

fn progress(path: &Path, bytes: &[u8]) -> Result<Progress, TrainError> {
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| TrainError::format(path, error.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|map| map.get("training"));
    let text = text.ok_or_else(|| {
        TrainError::format(path, "no metadata key `training`; expected a checkpoint of pulmoav train")
    })?;
    let progress: Progress = serde_json::from_str(text).map_err(|error| TrainError::format(path, error.to_string()))?;
    if progress.version != VERSION {
        return Err(TrainError::format(path, format!("version {}, expected {VERSION}", progress.version)));
    }
    Ok(progress)
}

fn values(path: &Path, tensors: &SafeTensors, name: &str, shape: &[usize]) -> Result<Vec<f32>, TrainError> {
    let view = tensors
        .tensor(name)
        .map_err(|_| TrainError::format(path, format!("no tensor {name}; it belongs to another plan")))?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(TrainError::format(
            path,
            format!("{name} is {:?} {:?}, expected F32 {shape:?}", view.dtype(), view.shape()),
        ));
    }
    Ok(view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::{
        cache::tests::temporary,
        optimizer::{AdamWConfig, OptimizerConfig, SgdConfig},
    };

    const ADAMW: OptimizerConfig = OptimizerConfig::Adamw(AdamWConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 1e-2,
        clip_norm: 1.0,
        mean_decay: 0.995,
    });
    const SGD: OptimizerConfig =
        OptimizerConfig::Sgd(SgdConfig { momentum: 0.9, weight_decay: 1e-2, clip_norm: 1.0, mean_decay: 0.995 });

    fn run(config: OptimizerConfig, first: f32) -> (Optimizer, Ema) {
        let variables =
            ["b", "a"].map(|name| (name.to_owned(), Var::new(&[[first, 2.0], [-3.0, 0.1]], &Device::Cpu).unwrap()));
        let optimizer = Optimizer::new(config, variables.to_vec()).unwrap();
        let ema = Ema::new(config.mean_decay(), optimizer.slots()).unwrap();
        (optimizer, ema)
    }

    fn step((optimizer, ema): &mut (Optimizer, Ema), count: u64) {
        let squares = optimizer.slots().iter().map(|slot| slot.var.sqr().unwrap().sum_all().unwrap());
        let loss = squares.reduce(|a, b| (a + b).unwrap()).unwrap();
        optimizer.update(count, 0.01, &mut loss.backward().unwrap()).unwrap();
        ema.follow(count, optimizer.slots()).unwrap();
    }

    fn bits((optimizer, ema): &(Optimizer, Ema)) -> Vec<u32> {
        let of = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let slots = optimizer.slots().iter().zip(ema.means());
        slots
            .flat_map(|(slot, mean)| {
                let weights = slot.var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let numbers = |state: &State| of(&state.to_host().unwrap());
                let second = slot.second.as_ref().map(numbers).unwrap_or_default();
                [of(&weights), numbers(&slot.first), second, numbers(mean.values())].concat()
            })
            .collect()
    }

    #[test]
    fn a_resumed_run_goes_on_to_the_bit() {
        for (name, config) in [("state-adamw", ADAMW), ("state-sgd", SGD)] {
            let dir = temporary(name);
            let progress = Progress::new(3, 3, "{}".into(), "{}".into());
            let mut whole = run(config, 1.0);
            (1..=3).for_each(|count| step(&mut whole, count));
            save(&dir, &whole.0, &whole.1, &progress).unwrap();
            (4..=6).for_each(|count| step(&mut whole, count));
            let mut resumed = run(config, 77.0);
            assert_eq!(load(&dir, &mut resumed.0, &mut resumed.1).unwrap(), progress);
            (4..=6).for_each(|count| step(&mut resumed, count));
            assert_eq!(bits(&resumed), bits(&whole), "{name}");
        }
    }

    #[test]
    fn another_network_another_optimizer_and_damage_are_refused() {
        let dir = temporary("state-other");
        let (optimizer, ema) = run(ADAMW, 1.0);
        save(&dir, &optimizer, &ema, &Progress::new(0, 0, String::new(), String::new())).unwrap();
        let one = Optimizer::new(ADAMW, vec![("a".into(), Var::new(&[1.0f32], &Device::Cpu).unwrap())]).unwrap();
        let refused = |(mut optimizer, mut ema): (Optimizer, Ema)| {
            assert_eq!(load(&dir, &mut optimizer, &mut ema).unwrap_err().code(), "ERR_FORMAT");
        };
        let means = Ema::new(0.0, one.slots()).unwrap();
        refused((one, means));
        refused(run(SGD, 1.0));
        std::fs::write(dir.join(FILE), b"nonsense").unwrap();
        refused(run(ADAMW, 1.0));
    }
}
