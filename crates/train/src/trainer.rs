//! A training run's state: network, optimiser, data. The loop that drives it stands in TypeScript.

use std::{collections::BTreeMap, path::Path};

use candle_core::{Device, Tensor};
use pulmoav_model::{Mode, Network, Parameters, prompt_embeddings, weights};
use pulmoav_ops::{Ranks, device::Compute, loss::Sums, tape::Tape};
use pulmoav_plan::Plan;
use pulmoav_segment::wrong_kernels;
use pulmoav_task::{Clock, Monitor, Warning};

use crate::{
    batch::{Batch, BatchMaker, BatchTargets, Made, TrainingCase, View},
    cache::CaseWarning,
    card::CardBatches,
    case::{Case, DataSet},
    config::{StepConfig, StepSettings, Unannotated},
    ema::Ema,
    error::TrainError,
    gradients::StepGradients,
    loss::{LossConfig, ScaleLoss, TargetLoss, losses_of_sums, on_device, sample_losses, supervised},
    opening::{check_windows, mean_ceiling, open_cases, take_text, take_weights, unused},
    optimizer::{Optimizer, Update},
    prefetch::Prefetch,
    ranks::shared,
    report::{Pass, SampleReport, StepReport, StepSeconds, TeacherReport},
    sampler::{Draw, SamplingWeights},
    state::{self, Progress},
    teacher::{Lesson, Teacher},
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
    /// Which fold of it is validated on.
    pub fold: usize,
    /// Where prepared cases are kept.
    pub cache: &'a Path,
    /// A safetensors file of text tensors that travel with the weights.
    pub text: Option<&'a Path>,
    /// A model directory whose weights a new run begins with, as far as they fit.
    pub init: Option<&'a Path>,
    /// A checkpoint folder to go on from.
    pub resume: Option<&'a Path>,
    /// Where and how precisely it computes; weights, moments and averages are f32 in any case.
    pub compute: Compute,
    /// Whether a step computes the network's blocks twice instead of keeping what they made: less memory, more time,
    /// the same bits.
    pub recompute: bool,
}

/// What an opened run says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The next step to take.
    pub step: u64,
    /// Numbers of the network.
    pub parameters: usize,
    /// Of which: numbers that the run leaves as they are.
    pub frozen: usize,
    /// Tensors that the model to begin with does not have, or has in another shape.
    pub fresh: Vec<String>,
    /// Names of the cases learnt from.
    pub training_cases: Vec<String>,
    /// Names of the cases scored.
    pub validation_cases: Vec<String>,
    /// Mean over the cases of the best Dice that the plan's grid allows, by class.
    pub ceiling: BTreeMap<&'static str, f64>,
    /// What the cases learnt from gave cause to say.
    pub warnings: Vec<CaseWarning>,
}

/// A training run.
pub struct Trainer {
    pub(crate) plan: Plan,
    config: StepConfig,
    network: Network,
    mode: Mode,
    pub(crate) parameters: Parameters,
    prompts: Tensor,
    map_weights: Vec<f64>,
    /// Places of the maps of one class.
    class_maps: Vec<usize>,
    /// How many cases are learnt from.
    cases: usize,
    teacher: Option<Teacher>,
    optimizer: Optimizer,
    ema: Ema,
    batches: Prefetch,
    /// What augments their patches, where the network is on a card.
    on_card: Option<CardBatches>,
    facts: Facts,
    updates: u64,
    pub(crate) validation: Vec<Case>,
    /// The processes that share the steps' batches, where there are several.
    pub(crate) ranks: Option<Ranks>,
}

impl Trainer {
    /// Reads and prepares the data set, or finds it prepared, and builds the network, new or from a checkpoint.
    ///
    /// # Errors
    /// [`TrainError`]; a checkpoint of another plan or config is `ERR_CONFIG`.
    pub fn open(setup: Setup, monitor: &dyn Monitor) -> Result<Self, TrainError> {
        let Setup { plan, step, dataset, fold, cache, text, init, resume, compute, recompute } = setup;
        step.validate(plan.network.supervised_scales())?;
        check_windows(&plan)?;
        let set = DataSet::open(dataset, fold)?;
        let unused = unused(&set, step.unannotated)?;
        let cases = open_cases(&set, cache, &plan, monitor)?;
        let mut trainer = Self::assemble(plan, step, cases, init.filter(|_| resume.is_none()), &compute)?;
        trainer.mode = if recompute { Mode::Recompute } else { Mode::Train };
        let names = |indices: &[usize]| indices.iter().map(|&index| set.cases[index].name.clone()).collect();
        let of_set = |warning: &Warning| CaseWarning {
            case: "dataset.json".to_owned(),
            code: warning.code.to_owned(),
            message: warning.message.clone(),
        };
        trainer.facts.warnings.splice(0..0, set.warnings.iter().map(of_set).chain(unused));
        trainer.facts.training_cases = names(&set.training);
        trainer.facts.validation_cases = names(&set.validation);
        trainer.validation = set.validation.iter().map(|&index| set.cases[index].clone()).collect();
        if let Some(text) = text {
            take_text(text, &mut trainer.parameters)?;
        }
        if let Some(checkpoint) = resume {
            trainer.resume(checkpoint)?;
        }
        Ok(trainer)
    }

    /// A run on these cases, before its first step; nothing to validate on.
    fn assemble(
        plan: Plan,
        config: StepConfig,
        cases: Vec<TrainingCase>,
        init: Option<&Path>,
        compute: &Compute,
    ) -> Result<Self, TrainError> {
        let mut parameters = Parameters::new(config.seed).on(compute)?;
        let network = Network::build(&plan, &mut parameters)?;
        let fresh = init.map_or_else(|| Ok(Vec::new()), |init| take_weights(init, &parameters))?;
        let (frozen, trained): (Vec<_>, Vec<_>) = parameters
            .iter()
            .map(|(name, var)| (name.to_owned(), var.clone()))
            .partition(|(name, _)| config.is_frozen(name));
        if let Some(unknown) =
            config.frozen.iter().find(|prefix| !parameters.iter().any(|(name, _)| name.starts_with(*prefix)))
        {
            return Err(TrainError::Config(format!(
                "frozen names {unknown:?}, with which no parameter of this network begins; expected the beginning of a \
                 name such as {:?}",
                parameters.iter().next().map_or("", |(name, _)| name)
            )));
        }
        let facts = Facts {
            step: 0,
            parameters: parameters.element_count(),
            frozen: frozen.iter().map(|(_, var)| var.elem_count()).sum(),
            fresh,
            training_cases: Vec::new(),
            validation_cases: Vec::new(),
            ceiling: mean_ceiling(&cases),
            warnings: cases.iter().flat_map(|case| case.cached.warnings()).cloned().collect(),
        };
        let teacher = teacher(&config, &plan, &parameters)?;
        let single = plan.targets.iter().enumerate().filter(|(_, target)| target.classes.len() == 1);
        let class_maps = single.map(|(map, _)| map).collect();
        let optimizer = Optimizer::new(config.optimizer, trained)?;
        let ema = Ema::new(config.optimizer.mean_decay(), optimizer.slots())?;
        let (count, scales) = (cases.len(), plan.network.supervised_scales());
        let lines = config.loss.needs_centrelines();
        let has_card = !compute.device.is_cpu();
        let on_card = has_card.then(|| CardBatches::new(&plan, scales, lines, &compute.device)).transpose()?;
        let maker = BatchMaker::new(plan.clone(), config.clone(), scales, cases).for_card(has_card);
        Ok(Self {
            prompts: prompt_embeddings(&plan, &compute.device)?,
            map_weights: config.loss.map_weights.of(&plan),
            class_maps,
            cases: count,
            teacher,
            batches: Prefetch::start(maker)?,
            on_card,
            optimizer,
            ema,
            validation: Vec::new(),
            plan,
            config,
            network,
            mode: Mode::Train,
            parameters,
            facts,
            updates: 0,
            ranks: None,
        })
    }

    pub(crate) fn config(&self) -> &StepConfig {
        &self.config
    }

    pub(crate) fn device(&self) -> &Device {
        self.network.device()
    }

    /// What the run says of itself.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes step number `step` (from 0): for each of its batches forward, loss and backward, then one update.
    ///
    /// # Errors
    /// `ERR_CONFIG` for settings out of their range; what reading a case gives.
    pub fn step(&mut self, step: u64, settings: &StepSettings) -> Result<StepReport, TrainError> {
        settings.validate(self.cases)?;
        self.order(step, settings)?;
        self.take_step(step, settings)
    }

    /// The step's batches that are this process's, the sum of all gradients, and the update, which is the same on every
    /// rank.
    pub(crate) fn take_step(&mut self, step: u64, settings: &StepSettings) -> Result<StepReport, TrainError> {
        let ranks = self.ranks.take();
        let report = self.take_step_with(ranks.as_ref(), step, settings);
        self.ranks = ranks;
        report
    }

    fn take_step_with(
        &mut self,
        others: Option<&Ranks>,
        step: u64,
        settings: &StepSettings,
    ) -> Result<StepReport, TrainError> {
        if let (Some(teacher), Some(_)) = (&mut self.teacher, &settings.teacher) {
            teacher.follow(&self.ema)?;
        }
        let batches = self.config.accumulate;
        let (rank, ranks) = others.map_or((0, 1), |ranks| (ranks.rank() as u64, ranks.count() as u64));
        let mut gradients = StepGradients::new(others, self.optimizer.slots());
        let mut passes = vec![];
        for batch in (rank..batches).step_by(ranks as usize) {
            let next = batch + ranks;
            let is_last = next >= batches;
            let next = if is_last {
                ((step + 1) * batches + rank, &settings.next_sampling)
            } else {
                (step * batches + next, &settings.sampling)
            };
            passes.push(self.pass(step * batches + batch, settings, next, &mut gradients, is_last)?);
        }
        let mut clock = Clock::start();
        let mut gradients = gradients.finish()?;
        if let Some(others) = others {
            passes = shared(others, &passes)?;
        }
        let count = self.updates + 1;
        let Update { grad_norm, applied } = self.optimizer.update(count, settings.learning_rate, &mut gradients)?;
        if applied {
            self.ema.follow(count, self.optimizer.slots())?;
            self.updates = count;
        }
        self.facts.step = step + 1;
        drop(gradients);
        let parts = StepSeconds::of(&passes, clock.lap());
        let Pass { loss, targets, terms, samples, teacher, .. } = Pass::joined(passes);
        let (seconds, warnings) = (parts.sum(), wrong_kernels());
        Ok(StepReport { loss, grad_norm, applied, seconds, parts, targets, terms, samples, teacher, warnings })
    }

    /// Forward, loss and backward of one batch; `gradients` takes its share of the step's.
    fn pass(
        &mut self,
        number: u64,
        settings: &StepSettings,
        next: (u64, &SamplingWeights),
        gradients: &mut StepGradients<'_>,
        is_last: bool,
    ) -> Result<Pass, TrainError> {
        let mut clock = Clock::start();
        let made = self.batches.take(number, &settings.sampling, next)?;
        let mut batch = self.finished(made)?;
        let waited = clock.lap();
        let lesson = self.lesson(batch.view.take(), settings)?;
        let (logits, tape) = Tape::record(|| self.forward(&batch))?;
        let config = self.config.loss.scaled(&settings.loss_factors)?;
        let losses = self.losses(&batch, &logits, &config)?;
        let targets = losses.first().map(|finest| self.by_name(&finest.targets)).unwrap_or_default();
        let terms = losses.first().map(|finest| finest.terms.clone()).unwrap_or_default();
        let samples = self.samples(&batch, &logits, losses.first().and_then(|finest| finest.sums.as_deref()))?;
        let mut loss: f64 = losses.iter().map(|scale| scale.value).sum();
        let mut slopes: Vec<Tensor> = losses.into_iter().map(|scale| scale.gradient).collect();
        let teacher = match (lesson, &settings.teacher) {
            (Some(lesson), Some(settings)) => {
                Some(self.learn(&lesson, settings.weight, &logits, &config, &mut slopes)?)
            }
            _ => None,
        };
        loss += teacher.as_ref().zip(settings.teacher.as_ref()).map_or(0.0, |(taught, by)| by.weight * taught.loss);
        if self.config.accumulate > 1 {
            let share = 1.0 / self.config.accumulate as f64;
            slopes = slopes.into_iter().map(|slope| slope * share).collect::<Result<_, _>>()?;
        }
        let forward = clock.lap();
        gradients.take(tape, logits.into_iter().zip(slopes).collect(), is_last)?;
        let seconds = StepSeconds { batch: waited, forward, backward: clock.lap(), update: 0.0 };
        Ok(Pass { loss, targets, terms, samples, teacher, seconds })
    }

    /// A batch beside the network.
    fn finished(&self, made: Made) -> Result<Batch, TrainError> {
        match (made, &self.on_card) {
            (Made::Batch(batch), _) => Ok(batch),
            (Made::Cuts(cuts), Some(card)) => card.make(cuts),
            (Made::Cuts(_), None) => Err(TrainError::Internal("patches for a card, but there is none".into())),
        }
    }

    /// The losses of every scale by what the reference says.
    fn losses(&self, batch: &Batch, logits: &[Tensor], config: &LossConfig) -> Result<Vec<ScaleLoss>, TrainError> {
        match &batch.targets {
            BatchTargets::Host(targets) => supervised(logits, targets, config, &self.map_weights),
            BatchTargets::Card(targets) => on_device(logits, targets, config, &self.map_weights),
        }
    }

    /// What the teacher says of what it sees; `None` where it takes no part or has nothing to say.
    fn lesson(&self, view: Option<View>, settings: &StepSettings) -> Result<Option<Lesson>, TrainError> {
        let (Some(teacher), Some(view), Some(settings)) = (&self.teacher, view, &settings.teacher) else {
            return Ok(None);
        };
        teacher.label(&view, &self.prompts, &settings.thresholds).map(Some)
    }

    /// Adds what the teacher's labels ask for to the slopes of every scale.
    fn learn(
        &self,
        lesson: &Lesson,
        weight: f64,
        logits: &[Tensor],
        config: &LossConfig,
        slopes: &mut [Tensor],
    ) -> Result<TeacherReport, TrainError> {
        let losses = lesson.losses(logits, config, &self.map_weights)?;
        let loss = losses.iter().map(|scale| scale.value).sum();
        for (slope, taught) in slopes.iter_mut().zip(&losses) {
            *slope = (&*slope + (&taught.gradient * weight)?)?;
        }
        Ok(TeacherReport { loss, verdicts: lesson.verdicts })
    }

    /// `sums` are those of the finest scale, where it lies on a device.
    fn samples(
        &self,
        batch: &Batch,
        logits: &[Tensor],
        sums: Option<&[Sums]>,
    ) -> Result<Vec<SampleReport>, TrainError> {
        let losses = match (sums, logits.first(), &batch.targets) {
            (Some(sums), ..) => losses_of_sums(sums, self.map_weights.len(), &self.class_maps),
            (None, Some(logits), BatchTargets::Host(targets)) => match targets.first() {
                Some(targets) => sample_losses(logits, targets, &self.class_maps)?,
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        let of = |(draw, loss): (&Draw, Option<f64>)| SampleReport {
            case: draw.case,
            calibre: draw.calibre.map(|calibre| calibre as usize),
            loss,
        };
        Ok(batch.draws.iter().zip(losses).map(of).collect())
    }

    fn forward(&self, batch: &Batch) -> Result<Vec<Tensor>, TrainError> {
        Ok(self.network.forward(&batch.image, &self.prompts, self.mode)?)
    }

    fn by_name(&self, losses: &[TargetLoss]) -> BTreeMap<String, f64> {
        let targets = self.plan.targets.iter().map(|target| target.name.as_str());
        let auxiliary = self.plan.auxiliary().iter().map(|kind| kind.name());
        targets
            .chain(auxiliary)
            .zip(losses)
            .filter(|(_, loss)| loss.voxels > 0)
            .map(|(name, loss)| (name.to_owned(), loss.value))
            .collect()
    }

    /// Writes a model directory (the moving average (EMA) of the weights) with the training state beside it.
    pub fn save(&self, directory: &Path) -> Result<(), TrainError> {
        self.export_model(directory, None)?;
        state::save(directory, &self.optimizer, &self.ema, &self.progress()?)
    }

    /// Writes a model directory: the moving average (EMA) of the weights.
    pub fn export_model(&self, directory: &Path, card: Option<&str>) -> Result<(), TrainError> {
        Ok(weights::save(directory, &self.plan, &self.mean_parameters()?, card)?)
    }

    /// The moving average (EMA) of the weights, in storage of its own, with the text tensors.
    pub fn mean_parameters(&self) -> Result<Parameters, TrainError> {
        let mean = self.parameters.duplicate()?;
        self.ema.copy_to(&mean)?;
        Ok(mean)
    }

    fn resume(&mut self, checkpoint: &Path) -> Result<(), TrainError> {
        let found = state::load(checkpoint, &mut self.optimizer, &mut self.ema)?;
        let ours = self.progress()?;
        if found.plan != ours.plan || found.config != ours.config {
            let what = if found.plan == ours.plan { "config" } else { "plan" };
            return Err(TrainError::Config(format!(
                "the checkpoint {} was made with another {what}; start a new run, or give it the old one",
                checkpoint.display()
            )));
        }
        if self.facts.frozen > 0 {
            take_weights(checkpoint, &self.parameters)?;
            // The model holds the moving average, the run goes on with the weights themselves.
            state::load(checkpoint, &mut self.optimizer, &mut self.ema)?;
            self.teacher = teacher(&self.config, &self.plan, &self.parameters)?;
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

/// A teacher, where the run has one.
fn teacher(config: &StepConfig, plan: &Plan, parameters: &Parameters) -> Result<Option<Teacher>, TrainError> {
    (config.unannotated == Unannotated::Teacher).then(|| Teacher::new(plan, parameters)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        batch::tests::training_cases,
        cache::tests::temporary,
        optimizer::{OptimizerConfig, SgdConfig},
        sampler::SamplingWeights,
        teacher::TeacherSettings,
    };

    /// The same in every test: 8³ and 16³ patches of two small cases, one of them half-labelled.
    fn trainer(dir: &Path, plan: &str) -> Trainer {
        let plan: Plan = serde_json::from_str(plan).unwrap();
        let config = serde_json::from_str(include_str!("../tests/tiny-step.json")).unwrap();
        Trainer::assemble(plan, config, training_cases(dir), None, &Compute::cpu()).unwrap()
    }

    const PULMOAV: &str = include_str!("../tests/tiny-plan.json");
    /// What the loop would say.
    fn settings() -> StepSettings {
        StepSettings {
            learning_rate: 3e-3,
            loss_factors: BTreeMap::from([("skeletonRecall".to_owned(), 0.5)]),
            teacher: Some(TeacherSettings { weight: 0.5, thresholds: [0.6, 0.4, 0.4] }),
            sampling: SamplingWeights { cases: vec![1.0, 2.0], calibres: vec![] },
            next_sampling: SamplingWeights { cases: vec![1.0, 2.0], calibres: vec![] },
        }
    }

    fn run(trainer: &mut Trainer, steps: std::ops::Range<u64>) -> Vec<f64> {
        steps.map(|step| trainer.step(step, &settings()).unwrap().loss).collect()
    }

    fn weights_of(trainer: &Trainer) -> Vec<Vec<f32>> {
        let values = |var: &candle_core::Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        trainer.parameters.iter().map(|(_, var)| values(var)).collect()
    }

    #[test]
    fn a_resumed_run_equals_one_that_never_stopped() {
        let dir = temporary("trainer-resume");
        let mut whole = trainer(&dir, PULMOAV);
        let first = run(&mut whole, 0..3);
        whole.save(&dir.join("latest")).unwrap();
        let rest = run(&mut whole, 3..6);
        let mut resumed = trainer(&dir, PULMOAV);
        resumed.resume(&dir.join("latest")).unwrap();
        assert_eq!(resumed.facts().step, 3);
        assert_eq!(run(&mut resumed, 3..6), rest);
        assert_eq!(weights_of(&resumed), weights_of(&whole));
        assert_ne!(first, rest);
        let (plan, parameters) = weights::load(&dir.join("latest")).unwrap();
        assert_eq!((plan, parameters.len()), (whole.plan.clone(), whole.parameters.len()));
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_card_s_resumed_run_equals_one_that_never_stopped() {
        let Some(card) = crate::card::tests::card() else { return };
        let dir = temporary("trainer-card");
        let trainer = || {
            let mut config: StepConfig = serde_json::from_str(include_str!("../tests/tiny-step.json")).unwrap();
            config.batch = 1;
            let plan = serde_json::from_str(PULMOAV).unwrap();
            Trainer::assemble(plan, config, training_cases(&dir), None, &Compute::on(&card)).unwrap()
        };
        let mut whole = trainer();
        run(&mut whole, 0..1);
        whole.save(&dir.join("latest")).unwrap();
        let rest = run(&mut whole, 1..2);
        let mut resumed = trainer();
        resumed.resume(&dir.join("latest")).unwrap();
        assert_eq!(run(&mut resumed, 1..2), rest);
        assert_eq!(weights_of(&resumed), weights_of(&whole));
    }

    /// Three batches a step, by momentum.
    fn gatherer(dir: &Path, batch: usize, accumulate: u64) -> Trainer {
        let mut config: StepConfig = serde_json::from_str(include_str!("../tests/tiny-step.json")).unwrap();
        let sgd = SgdConfig { momentum: 0.9, weight_decay: 3e-5, clip_norm: 12.0, mean_decay: 0.9 };
        (config.batch, config.accumulate, config.optimizer) = (batch, accumulate, OptimizerConfig::Sgd(sgd));
        Trainer::assemble(serde_json::from_str(PULMOAV).unwrap(), config, training_cases(dir), None, &Compute::cpu())
            .unwrap()
    }

    #[test]
    fn momentum_and_several_batches_a_step_resume_to_the_bit() {
        let dir = temporary("trainer-accumulate");
        let mut whole = gatherer(&dir, 1, 3);
        run(&mut whole, 0..2);
        whole.save(&dir.join("latest")).unwrap();
        let rest = run(&mut whole, 2..4);
        let mut resumed = gatherer(&dir, 1, 3);
        resumed.resume(&dir.join("latest")).unwrap();
        assert_eq!(run(&mut resumed, 2..4), rest);
        assert_eq!(weights_of(&resumed), weights_of(&whole));
        let report = resumed.step(4, &settings()).unwrap();
        assert_eq!((report.samples.len(), resumed.updates), (3, 5));
    }

    #[test]
    fn a_step_of_several_batches_is_the_mean_of_their_steps() {
        let dir = temporary("trainer-mean");
        let alone = StepSettings { teacher: None, ..settings() };
        let gradient = |trainer: &mut Trainer, number| {
            let mut gradients = StepGradients::new(None, trainer.optimizer.slots());
            let next = (number + 1, &alone.next_sampling);
            let pass = trainer.pass(number, &alone, next, &mut gradients, true).unwrap();
            let gradients = gradients.finish().unwrap();
            let of = |slot: &crate::optimizer::Slot| {
                gradients.get(&slot.var).map(|g| g.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            };
            (pass.loss, trainer.optimizer.slots().iter().map(of).collect::<Vec<_>>())
        };
        let (one_loss, one) = gradient(&mut gatherer(&dir, 1, 1), 0);
        let (two_loss, two) = gradient(&mut gatherer(&dir, 1, 1), 1);
        let mut both = gatherer(&dir, 1, 2);
        let mut expected = 0.0;
        for (one, two) in one.iter().zip(&two) {
            let zeros = vec![0.0; one.as_ref().or(two.as_ref()).map_or(0, Vec::len)];
            let (one, two) = (one.as_ref().unwrap_or(&zeros), two.as_ref().unwrap_or(&zeros));
            expected += one.iter().zip(two).map(|(a, b)| f64::from(f32::midpoint(*a, *b)).powi(2)).sum::<f64>();
        }
        let report = both.step(0, &alone).unwrap();
        assert!((report.loss - f64::midpoint(one_loss, two_loss)).abs() < 1e-9);
        assert!((report.grad_norm / expected.sqrt() - 1.0).abs() < 1e-4, "{} {}", report.grad_norm, expected.sqrt());
    }

    #[test]
    fn gradients_that_go_out_during_the_pass_are_the_same() {
        let dir = temporary("trainer-exchange");
        for mode in [Mode::Train, Mode::Recompute] {
            let weights = |ranks: Option<Ranks>| {
                let mut trainer = gatherer(&dir, 1, 2);
                (trainer.ranks, trainer.mode) = (ranks, mode);
                run(&mut trainer, 0..2);
                weights_of(&trainer)
            };
            assert_eq!(weights(Some(Ranks::alone())), weights(None), "{mode:?}");
        }
    }

    #[test]
    fn a_checkpoint_of_another_config_is_refused() {
        let dir = temporary("trainer-config");
        let mut one = trainer(&dir, PULMOAV);
        one.save(&dir.join("latest")).unwrap();
        one.config.seed += 1;
        assert_eq!(one.resume(&dir.join("latest")).unwrap_err().code(), "ERR_CONFIG");
    }

    fn encoder_of(parameters: &Parameters) -> Vec<f32> {
        let parts = parameters.iter().filter(|(name, _)| name.starts_with("encoder."));
        parts.flat_map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    }

    #[test]
    fn frozen_parts_stay_what_they_began_with() {
        let dir = temporary("trainer-frozen");
        let mut one = trainer(&dir, PULMOAV);
        run(&mut one, 0..2);
        one.export_model(&dir.join("model"), None).unwrap();
        let begun = || {
            let mut config = one.config.clone();
            config.frozen = vec!["encoder.".to_owned()];
            let cases = training_cases(&dir);
            Trainer::assemble(one.plan.clone(), config, cases, Some(&dir.join("model")), &Compute::cpu()).unwrap()
        };
        let mut whole = begun();
        assert_eq!(whole.facts.fresh, Vec::<String>::new());
        assert_eq!(encoder_of(whole.teacher.as_ref().unwrap().parameters()), encoder_of(&whole.parameters));
        let encoder = |trainer: &Trainer| encoder_of(&trainer.parameters);
        let (_, model) = weights::load(&dir.join("model")).unwrap();
        let before = encoder(&whole);
        assert_eq!(before.len(), whole.facts.frozen);
        let first = model.iter().find(|(name, _)| name.starts_with("encoder.")).unwrap().1;
        assert_eq!(first.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0], before[0]);
        run(&mut whole, 0..2);
        whole.save(&dir.join("latest")).unwrap();
        run(&mut whole, 2..4);
        assert_eq!(encoder(&whole), before);
        let mut resumed = begun();
        resumed.resume(&dir.join("latest")).unwrap();
        assert_eq!(encoder_of(resumed.teacher.as_ref().unwrap().parameters()), before);
        run(&mut resumed, 2..4);
        assert_eq!(weights_of(&resumed), weights_of(&whole));
        let unknown = StepConfig { frozen: vec!["nose".to_owned()], ..one.config.clone() };
        let refused =
            Trainer::assemble(one.plan.clone(), unknown, training_cases(&dir), None, &Compute::cpu()).err().unwrap();
        assert_eq!(refused.code(), "ERR_CONFIG");
    }

    #[test]
    fn threads_do_not_change_a_step() {
        let dir = temporary("trainer-threads");
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut trainer = trainer(&dir, PULMOAV);
                let losses = run(&mut trainer, 0..2);
                (losses, weights_of(&trainer))
            })
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn after_three_steps_every_parameter_has_learnt() {
        let dir = temporary("trainer-gradients");
        for plan in [PULMOAV, include_str!("../tests/tiny-la-caf.json")] {
            let mut trainer = trainer(&dir, plan);
            trainer.config.loss.scale_weights.truncate(trainer.plan.network.supervised_scales());
            run(&mut trainer, 0..3);
            let cancelled = trainer.network.cancelled_biases();
            for slot in trainer.optimizer.slots() {
                let largest = slot.first.to_host().unwrap().iter().fold(0.0f32, |most, m| most.max(m.abs()));
                assert!(largest.is_finite(), "{}", slot.name);
                assert!(largest > 0.0 || cancelled.contains(&slot.name), "{} has no gradient", slot.name);
            }
        }
    }

    #[test]
    fn the_tape_s_gradients_are_candle_s() {
        let dir = temporary("trainer-tape");
        let mut trainer = trainer(&dir, PULMOAV);
        let made = trainer.batches.take(0, &SamplingWeights::default(), (1, &SamplingWeights::default())).unwrap();
        let batch = trainer.finished(made).unwrap();
        let seeds_of = |logits: &[Tensor]| -> Vec<Tensor> {
            let losses = trainer.losses(&batch, logits, &trainer.config.loss).unwrap();
            losses.into_iter().map(|scale| scale.gradient).collect()
        };
        let (logits, tape) = Tape::record(|| trainer.forward(&batch)).unwrap();
        let seeds = seeds_of(&logits);
        let ours = tape.backward(logits.into_iter().zip(seeds).collect()).unwrap();
        let logits = trainer.forward(&batch).unwrap();
        let products = logits.iter().zip(seeds_of(&logits)).map(|(z, seed)| (z * seed).unwrap().sum_all().unwrap());
        let theirs = products.reduce(|a, b| (a + b).unwrap()).unwrap().backward().unwrap();
        for (name, var) in trainer.parameters.iter() {
            let flat = |gradient: Option<&Tensor>| gradient.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (ours, theirs) = (flat(ours.get(var)), flat(theirs.get(var)));
            let scale = theirs.iter().fold(1e-6f32, |most, g| most.max(g.abs()));
            for (a, b) in ours.iter().zip(&theirs) {
                assert!((a - b).abs() <= 1e-5 * scale, "{name}: {a} {b}");
            }
        }
    }
}
