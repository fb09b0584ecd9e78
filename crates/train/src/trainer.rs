//! A training run's state: network, optimiser, data. The loop that drives it stands in TypeScript.

use std::{collections::BTreeMap, path::Path, time::Instant};

use candle_core::{Device, Tensor};
use pulmoav_model::{Mode, Network, Parameters, prompt_embeddings, weights};
use pulmoav_plan::{Network as NetworkPlan, Plan};
use pulmoav_volume::monitor::Monitor;
use serde::Serialize;

use crate::{
    batch::{Batch, BatchMaker, TrainingCase},
    case::{Case, DataSet},
    config::{StepConfig, StepSettings},
    error::TrainError,
    loss::{TargetLoss, supervised},
    optimizer::AdamW,
    prefetch::Prefetch,
    prepare::cached,
    state::{self, Progress},
};

/// What a run is opened with.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The complete plan.
    pub plan: Plan,
    /// What stays fixed over the run.
    pub step: StepConfig,
    /// The data set's folder.
    pub dataset: &'a Path,
    /// Where prepared cases are kept.
    pub cache: &'a Path,
    /// A safetensors file of text tensors that travel with the weights.
    pub text: Option<&'a Path>,
    /// A checkpoint folder to go on from.
    pub resume: Option<&'a Path>,
}

/// What an opened run says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The next step to take.
    pub step: u64,
    /// Trainable numbers.
    pub parameters: usize,
    /// Names of the cases learnt from.
    pub training_cases: Vec<String>,
    /// Names of the cases scored.
    pub validation_cases: Vec<String>,
    /// Mean over the cases of the best Dice that the plan's grid allows, by class.
    pub ceiling: BTreeMap<&'static str, f64>,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// The loss over all scales and targets.
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// False where the gradient was not finite and the weights were left alone.
    pub applied: bool,
    /// Wall time.
    pub seconds: f64,
    /// Of which: waiting for the batch, forward with loss, backward, update.
    pub parts: StepSeconds,
    /// Loss of each target at the finest scale; targets without supervision in this batch are left out.
    pub targets: BTreeMap<String, f64>,
}

/// Where a step's time went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepSeconds {
    /// Waiting for the batch.
    pub batch: f64,
    /// Forward pass and loss.
    pub forward: f64,
    /// Backward pass.
    pub backward: f64,
    /// Optimiser, and freeing the graph.
    pub update: f64,
}

/// A training run.
pub struct Trainer {
    pub(crate) plan: Plan,
    config: StepConfig,
    network: Network,
    pub(crate) parameters: Parameters,
    prompts: Tensor,
    optimizer: AdamW,
    batches: Prefetch,
    facts: Facts,
    updates: u64,
    pub(crate) validation: Vec<Case>,
}

impl Trainer {
    /// Reads and prepares the data set, or finds it prepared, and builds the network, new or from a checkpoint.
    ///
    /// # Errors
    /// [`TrainError`]; a checkpoint of another plan or config is `ERR_CONFIG`.
    pub fn open(setup: Setup, monitor: &dyn Monitor) -> Result<Self, TrainError> {
        let Setup { plan, step: config, dataset, cache, text, resume } = setup;
        let scales = supervised_scales(&plan);
        config.validate(scales)?;
        let set = DataSet::open(dataset)?;
        let cases = open_cases(&set, cache, &plan, monitor)?;
        let mut parameters = Parameters::new(config.seed);
        let network = Network::build(&plan, &mut parameters)?;
        if let Some(text) = text {
            take_text(text, &mut parameters)?;
        }
        let variables = parameters.iter().map(|(name, var)| (name.to_owned(), var.clone())).collect();
        let optimizer = AdamW::new(config.optimizer, variables)?;
        let facts = facts(&set, &cases, &parameters);
        let maker = BatchMaker::new(plan.clone(), config.clone(), scales, cases);
        let mut trainer = Self {
            prompts: prompt_embeddings(&plan)?,
            validation: set.validation.iter().map(|&index| set.cases[index].clone()).collect(),
            batches: Prefetch::start(maker)?,
            plan,
            config,
            network,
            parameters,
            optimizer,
            facts,
            updates: 0,
        };
        if let Some(checkpoint) = resume {
            trainer.resume(checkpoint)?;
        }
        Ok(trainer)
    }

    /// What the run says of itself.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes step number `step` (from 0): batch, forward, loss, backward, update.
    pub fn step(&mut self, step: u64, settings: &StepSettings) -> Result<StepReport, TrainError> {
        let mut clock = Clock::start();
        let batch = self.batches.take(step)?;
        let waited = clock.lap();
        let (loss, targets) = self.forward(&batch)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        let forward = clock.lap();
        let mut gradients = loss.backward()?;
        let backward = clock.lap();
        drop((loss, batch));
        let update = self.optimizer.update(self.updates + 1, settings.learning_rate, &mut gradients)?;
        self.updates += u64::from(update.applied);
        self.facts.step = step + 1;
        drop(gradients);
        let parts = StepSeconds { batch: waited, forward, backward, update: clock.lap() };
        Ok(StepReport {
            loss: value,
            grad_norm: update.grad_norm,
            applied: update.applied,
            seconds: waited + forward + backward + parts.update,
            parts,
            targets: self.by_name(&targets),
        })
    }

    fn forward(&self, batch: &Batch) -> Result<(Tensor, Vec<TargetLoss>), TrainError> {
        let image = Tensor::from_slice(&batch.image, &batch.shape, &Device::Cpu)?;
        let logits = self.network.forward(&image, &self.prompts, Mode::Train)?;
        supervised(&logits, &batch.answers, &self.config.loss)
    }

    fn by_name(&self, losses: &[TargetLoss]) -> BTreeMap<String, f64> {
        let weights = &self.config.loss;
        self.plan
            .targets
            .iter()
            .zip(losses)
            .filter(|(_, loss)| loss.voxels > 0)
            .map(|(target, loss)| (target.name.clone(), weights.dice * loss.dice + weights.bce * loss.bce))
            .collect()
    }

    /// Writes a model directory (the running mean of the weights) with the training state beside it.
    pub fn save(&self, directory: &Path) -> Result<(), TrainError> {
        self.export_model(directory, None)?;
        state::save(directory, &self.optimizer, &self.progress()?)
    }

    /// Writes a model directory: the running mean of the weights.
    pub fn export_model(&self, directory: &Path, card: Option<&str>) -> Result<(), TrainError> {
        Ok(weights::save(directory, &self.plan, &self.mean_parameters()?, card)?)
    }

    /// The running mean of the weights, in storage of its own, with the text tensors.
    pub fn mean_parameters(&self) -> Result<Parameters, TrainError> {
        let mean = self.parameters.duplicate()?;
        for slot in self.optimizer.slots() {
            if let Some(var) = mean.get(&slot.name) {
                var.set(&Tensor::from_slice(&slot.mean, var.shape(), &Device::Cpu)?)?;
            }
        }
        Ok(mean)
    }

    fn resume(&mut self, checkpoint: &Path) -> Result<(), TrainError> {
        let found = state::load(checkpoint, &mut self.optimizer)?;
        let ours = self.progress()?;
        if found.plan != ours.plan || found.config != ours.config {
            let what = if found.plan == ours.plan { "config" } else { "plan" };
            return Err(TrainError::Config(format!(
                "the checkpoint {} was made with another {what}; start a new run, or give it the old one",
                checkpoint.display()
            )));
        }
        self.facts.step = found.step;
        self.updates = found.updates;
        Ok(())
    }

    fn progress(&self) -> Result<Progress, TrainError> {
        let internal = |error: serde_json::Error| TrainError::Internal(error.to_string());
        let plan = serde_json::to_string(&self.plan).map_err(internal)?;
        let config = serde_json::to_string(&self.config).map_err(internal)?;
        Ok(Progress::new(self.facts.step, self.updates, plan, config))
    }
}

/// How many scales the plan's network gives logits for while training.
pub fn supervised_scales(plan: &Plan) -> usize {
    match &plan.network {
        NetworkPlan::LaCaf(_) => 1,
        NetworkPlan::Pulmoav(network) => network.supervised_scales,
    }
}

/// Every training case from the cache; validation cases are scored from their files.
fn open_cases(
    set: &DataSet,
    cache: &Path,
    plan: &Plan,
    monitor: &dyn Monitor,
) -> Result<Vec<TrainingCase>, TrainError> {
    let total = set.training.len() as u64;
    let mut cases = Vec::with_capacity(set.training.len());
    for (done, &index) in set.training.iter().enumerate() {
        monitor.report("cases", done as u64, total);
        if monitor.cancelled() {
            return Err(TrainError::Cancelled);
        }
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

fn facts(set: &DataSet, cases: &[TrainingCase], parameters: &Parameters) -> Facts {
    let names = |indices: &[usize]| indices.iter().map(|&index| set.cases[index].name.clone()).collect();
    let mean = |class: usize| {
        let known: Vec<f64> = cases.iter().filter_map(|case| case.cached.ceiling()[class]).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let ceiling = [("artery", mean(0)), ("vein", mean(1))];
    Facts {
        step: 0,
        parameters: parameters.element_count(),
        training_cases: names(&set.training),
        validation_cases: names(&set.validation),
        ceiling: ceiling.into_iter().filter_map(|(class, dice)| Some((class, dice?))).collect(),
    }
}

/// Text tensors travel with the weights and are not trained.
fn take_text(path: &Path, parameters: &mut Parameters) -> Result<(), TrainError> {
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

struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the last lap.
    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = now.duration_since(self.0).as_secs_f64();
        self.0 = now;
        seconds
    }
}
