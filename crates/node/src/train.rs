//! Training: the state lives here, the loop in `src/train/loop.ts`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::{Either, Int16Array, Null, PromiseRaw, ToNapiValue, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_ops::device::{Chosen, Compute};
use pulmoav_plan::{Network, Plan, StepShape};
use pulmoav_train::{Facts, Setup, StepConfig, Trainer};

use crate::engine::{Engine, Place};
use crate::evaluate::{Scores, scores};
use crate::memory::{Afterwards, Job};
use crate::monitor::CallMonitor;
use crate::outcome::{ErrorInfo, Failure, Outcome, outcome, parse};
use crate::registry::Registry;
use crate::volume::Axes;
use crate::warning::Warning;

static TRAINERS: Registry<OpenTrainer> = Registry::new("trainer");

struct OpenTrainer {
    trainer: Mutex<Trainer>,
    place: Place,
}

impl OpenTrainer {
    fn with<T>(&self, work: impl FnOnce(&mut Trainer) -> T) -> T {
        work(&mut self.trainer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a trainer is opened with.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct TrainerSetup {
    /// The complete plan, JSON.
    pub plan: String,
    /// What stays fixed over the run: JSON of the schema in `src/config/train.ts`.
    pub step: String,
    /// The data set's folder.
    pub dataset: String,
    /// Which fold of it is validated on.
    pub fold: u32,
    /// Where prepared cases are kept.
    pub cache: String,
    /// File of text tensors that travel with the weights, if any do.
    pub text: Option<String>,
    /// Model directory whose weights a new run begins with, if any.
    pub init: Option<String>,
    /// Checkpoint to go on from.
    pub resume: Option<String>,
    /// Where to compute: `cpu` or `cuda:N`.
    pub device: String,
    /// What the network computes in: `f32`, `tf32` or `bf16`.
    pub precision: String,
    /// Threads to compute with.
    pub threads: u32,
    /// Whether a step computes blocks twice instead of keeping what they made.
    pub recompute: bool,
}

/// What the memory of a training step depends on beside the network.
#[napi(object, object_to_js = false)]
pub struct TrainingShape {
    /// Patch, voxels, `[z, y, x]`.
    pub patch: Axes,
    /// Patches a batch.
    pub batch: u32,
    /// Maps that the network gives.
    pub outputs: u32,
    /// Whether a teacher labels what is not annotated.
    pub teacher: bool,
    /// Whether blocks are computed again in the backward pass instead of kept.
    pub recompute: bool,
}

/// Peak memory of a process that trains a network, bytes; `network` is the JSON of a plan's field.
#[napi(catch_unwind)]
pub fn training_bytes(network: String, shape: TrainingShape) -> Either<f64, ErrorInfo> {
    outcome(parse::<Network>("the plan's network", &network).and_then(|network| {
        let (z, y, x) = shape.patch;
        let step = StepShape {
            patch: [z, y, x].map(|edge| edge as usize),
            batch: shape.batch as usize,
            outputs: shape.outputs as usize,
            teacher: shape.teacher,
            recompute: shape.recompute,
        };
        let refused = || Failure::new("ERR_CONFIG", format!("a network {} is not ours to train", network.preset()));
        network.training_bytes(&step).ok_or_else(refused)
    }))
}

/// An opened trainer.
#[napi(object, object_from_js = false)]
pub struct OpenedTrainer {
    /// Its number.
    pub handle: u32,
    pub facts: TrainerFacts,
}

/// What an opened trainer says of itself.
#[napi(object, object_from_js = false)]
pub struct TrainerFacts {
    /// The next step to take.
    pub step: f64,
    /// Numbers of the network.
    pub parameters: f64,
    /// Of which: numbers that the run leaves as they are.
    pub frozen: f64,
    /// Tensors that the model to begin with does not have, or has in another shape.
    pub fresh: Vec<String>,
    /// Names of the cases learnt from.
    pub training_cases: Vec<String>,
    /// Names of the cases scored.
    pub validation_cases: Vec<String>,
    /// Best Dice that label maps keep through the plan's grid and back, by class.
    pub ceiling: BTreeMap<String, f64>,
    /// What the cases learnt from gave cause to say.
    pub warnings: Vec<CaseWarning>,
}

/// Something a user should know of a case.
#[napi(object, object_from_js = false)]
pub struct CaseWarning {
    /// The case's name.
    pub case: String,
    /// A stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
}

impl From<&Facts> for TrainerFacts {
    fn from(facts: &Facts) -> Self {
        let warnings = facts.warnings.iter().cloned();
        Self {
            step: facts.step as f64,
            parameters: facts.parameters as f64,
            frozen: facts.frozen as f64,
            fresh: facts.fresh.clone(),
            training_cases: facts.training_cases.clone(),
            validation_cases: facts.validation_cases.clone(),
            ceiling: facts.ceiling.iter().map(|(class, dice)| ((*class).to_owned(), *dice)).collect(),
            warnings: warnings
                .map(|pulmoav_train::cache::CaseWarning { case, code, message }| CaseWarning { case, code, message })
                .collect(),
        }
    }
}

/// Prepares the data set and builds the network, new or from a checkpoint.
#[napi(catch_unwind)]
pub fn open_trainer<'env>(
    env: &'env Env,
    setup: TrainerSetup,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<OpenedTrainer, ErrorInfo>>> {
    let shared = monitor.share();
    let place = match Place::named(&setup.device, setup.threads) {
        Ok(place) => place,
        Err(failure) => return Engine::refused(env, failure),
    };
    Engine::at(place)?.with_device(env, monitor, move |Chosen { device, .. }| {
        let plan: Plan = parse("the plan", &setup.plan)?;
        let step: StepConfig = parse("the training setup", &setup.step)?;
        let setup = Setup {
            plan,
            step,
            dataset: Path::new(&setup.dataset),
            fold: setup.fold as usize,
            cache: Path::new(&setup.cache),
            text: setup.text.as_deref().map(Path::new),
            init: setup.init.as_deref().map(Path::new),
            resume: setup.resume.as_deref().map(Path::new),
            compute: Compute::named(device, &setup.precision)?,
            recompute: setup.recompute,
        };
        let trainer = Trainer::open(setup, &*shared)?;
        let facts = trainer.facts().into();
        let handle = TRAINERS.keep(OpenTrainer { trainer: Mutex::new(trainer), place });
        Ok(OpenedTrainer { handle, facts })
    })
}

/// What may change from step to step.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct StepSettings {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Factors of the losses' weights by their names; a loss without one keeps its weight.
    pub loss_factors: BTreeMap<String, f64>,
    /// How the teacher takes part; `null`: not in this step.
    pub teacher: Option<TeacherSettings>,
    /// What this step's patches are drawn by.
    pub sampling: SamplingWeights,
    /// What the next step's patches are drawn by, which are made while this step runs.
    pub next_sampling: SamplingWeights,
}

/// How the teacher takes part in a step.
#[napi(object, object_to_js = false)]
pub struct TeacherSettings {
    /// Weight of what is learnt from the teacher, 0 to 1; the reference has 1.
    pub weight: f64,
    /// Least confidence of background, artery and vein.
    pub thresholds: (f64, f64, f64),
}

/// How much likelier cases and calibres are drawn than without the policy.
#[napi(object)]
pub struct SamplingWeights {
    /// One factor a training case; empty: all alike.
    pub cases: Vec<f64>,
    /// Factors of small, medium and large vessels; empty: all alike.
    pub calibres: Vec<f64>,
}

impl From<SamplingWeights> for pulmoav_train::sampler::SamplingWeights {
    fn from(SamplingWeights { cases, calibres }: SamplingWeights) -> Self {
        Self { cases, calibres }
    }
}

impl From<StepSettings> for pulmoav_train::StepSettings {
    fn from(settings: StepSettings) -> Self {
        let teacher = |TeacherSettings { weight, thresholds }: TeacherSettings| {
            pulmoav_train::teacher::TeacherSettings { weight, thresholds: thresholds.into() }
        };
        Self {
            learning_rate: settings.learning_rate,
            loss_factors: settings.loss_factors,
            teacher: settings.teacher.map(teacher),
            sampling: settings.sampling.into(),
            next_sampling: settings.next_sampling.into(),
        }
    }
}

/// What one step came to; what was not a finite number is `null`.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct StepReport {
    /// The loss over all scales and targets.
    pub loss: Option<f64>,
    /// Global gradient norm before clipping.
    pub grad_norm: Option<f64>,
    /// False where the gradient was not finite and the weights were left alone.
    pub applied: bool,
    /// Wall time.
    pub seconds: f64,
    /// Where it went.
    pub parts: StepSeconds,
    /// Loss of each target and auxiliary map at the finest scale; those without supervision in this batch are left out.
    pub targets: BTreeMap<String, Either<f64, Null>>,
    /// Each loss at the finest scale before its weight, by the name of the weight.
    pub terms: BTreeMap<String, Either<f64, Null>>,
    /// The patches of the batch.
    pub samples: Vec<SampleReport>,
    /// What was learnt from the teacher; `null` where it took no part.
    pub teacher: Option<TeacherReport>,
    /// What was found out about the device meanwhile.
    pub warnings: Vec<Warning>,
}

/// What one patch came to.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct SampleReport {
    /// Index of its case among those learnt from.
    pub case: u32,
    /// Calibre of the vessel it was drawn for: 0 small, 1 medium, 2 large; `null` where it was drawn for none.
    pub calibre: Option<u32>,
    /// Soft Dice loss of artery and vein at the finest scale, 0 to 1; `null` where the reference has neither.
    pub loss: Option<f64>,
}

/// What a step learnt from its teacher.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct TeacherReport {
    /// The loss over all scales and targets, before its weight.
    pub loss: Option<f64>,
    /// Of background, artery and vein.
    pub verdicts: Vec<Verdict>,
}

/// What the teacher said of one class.
#[napi(object, object_from_js = false)]
pub struct Verdict {
    /// Voxels without a reference that it gave the class.
    pub voxels: f64,
    /// How many of them count.
    pub accepted: f64,
    /// The sum of their confidences.
    pub confidence: f64,
    /// Voxels whose reference knows the class and gives it.
    pub referenced: f64,
    /// Voxels whose reference knows the class and the teacher gives it.
    pub predicted: f64,
    /// Those that both give it.
    pub agreed: f64,
}

impl From<pulmoav_train::report::SampleReport> for SampleReport {
    fn from(sample: pulmoav_train::report::SampleReport) -> Self {
        let pulmoav_train::report::SampleReport { case, calibre, loss } = sample;
        Self { case: case as u32, calibre: calibre.map(|calibre| calibre as u32), loss: loss.and_then(finite) }
    }
}

impl From<pulmoav_train::report::TeacherReport> for TeacherReport {
    fn from(report: pulmoav_train::report::TeacherReport) -> Self {
        let verdicts = report.verdicts.map(|verdict| Verdict {
            voxels: verdict.voxels as f64,
            accepted: verdict.accepted as f64,
            confidence: verdict.confidence,
            referenced: verdict.referenced as f64,
            predicted: verdict.predicted as f64,
            agreed: verdict.agreed as f64,
        });
        Self { loss: finite(report.loss), verdicts: verdicts.into() }
    }
}

/// Where a step's time went, s.
#[napi(object, object_from_js = false)]
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

impl From<pulmoav_train::StepReport> for StepReport {
    fn from(report: pulmoav_train::StepReport) -> Self {
        let pulmoav_train::StepReport { loss, grad_norm, applied, seconds, parts, targets, terms, .. } = report;
        let pulmoav_train::StepSeconds { batch, forward, backward, update } = parts;
        Self {
            loss: finite(loss),
            grad_norm: finite(grad_norm),
            applied,
            seconds,
            parts: StepSeconds { batch, forward, backward, update },
            targets: targets.into_iter().map(|(target, loss)| (target, or_null(loss))).collect(),
            terms: terms.into_iter().map(|(name, loss)| (name.to_owned(), or_null(loss))).collect(),
            samples: report.samples.into_iter().map(SampleReport::from).collect(),
            teacher: report.teacher.map(TeacherReport::from),
            warnings: report.warnings.into_iter().map(Warning::from).collect(),
        }
    }
}

fn or_null(value: f64) -> Either<f64, Null> {
    finite(value).map_or(Either::B(Null), Either::A)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Takes one step.
#[napi(catch_unwind)]
pub fn train_step(
    env: &Env,
    handle: u32,
    step: u32,
    settings: StepSettings,
) -> Result<PromiseRaw<'_, Either<StepReport, ErrorInfo>>> {
    let settings = settings.into();
    on_engine(env, handle, Afterwards::Keep, move |open| {
        Ok(open.with(|trainer| trainer.step(u64::from(step), &settings))?.into())
    })
}

/// What several trainers join by, made by the first for all.
#[napi(catch_unwind)]
pub fn ranks_identity() -> Either<Uint8Array, ErrorInfo> {
    outcome(pulmoav_ops::Ranks::identity().map(Uint8Array::from).map_err(|error| {
        Failure::new("ERR_DEVICE", format!("several devices cannot train together: {}", root_of(&error)))
    }))
}

/// The sentence of an error without the places it came through.
fn root_of(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Waits for all trainers of an identity; from then on every step is theirs together.
#[napi(catch_unwind)]
pub fn join_trainer(
    env: &Env,
    handle: u32,
    identity: Uint8Array,
    rank: u32,
    count: u32,
) -> Result<PromiseRaw<'_, Either<Null, ErrorInfo>>> {
    let identity = identity.to_vec();
    on_engine(env, handle, Afterwards::Keep, move |open| {
        open.with(|trainer| trainer.join(&identity, rank as usize, count as usize))?;
        Ok(Null)
    })
}

/// Takes the step that the first trainer orders; `null` once it has left.
#[napi(catch_unwind)]
pub fn follow_trainer(env: &Env, handle: u32) -> Result<PromiseRaw<'_, Either<Either<StepReport, Null>, ErrorInfo>>> {
    on_engine(env, handle, Afterwards::Keep, move |open| {
        let report = open.with(Trainer::follow)?;
        Ok(report.map_or(Either::B(Null), |report| Either::A(report.into())))
    })
}

/// Tells the other trainers that no further step comes.
#[napi(catch_unwind)]
pub fn leave_trainer(env: &Env, handle: u32) -> Result<PromiseRaw<'_, Either<Null, ErrorInfo>>> {
    on_engine(env, handle, Afterwards::Keep, move |open| {
        open.with(Trainer::leave)?;
        Ok(Null)
    })
}

/// Scores of one case, and what it looks like.
#[napi(object, object_from_js = false)]
pub struct CaseScores {
    /// The case's name.
    pub name: String,
    /// By target; what was not annotated does not count.
    pub scores: Scores,
    /// An axial, a coronal and a sagittal slice.
    pub slices: Vec<Slice>,
}

/// One slice of a scored case in the canonical frame, row by row.
#[napi(object, object_from_js = false)]
pub struct Slice {
    /// Rows, columns.
    pub shape: (u32, u32),
    /// Of rows and columns.
    pub spacing_mm: (f64, f64),
    pub hu: Int16Array,
    /// Label values; 255 where nobody annotated.
    pub reference: Uint8Array,
    /// Label values.
    pub predicted: Uint8Array,
}

impl From<pulmoav_train::slices::Slice> for Slice {
    fn from(slice: pulmoav_train::slices::Slice) -> Self {
        let [rows, columns] = slice.shape.map(|size| size as u32);
        Self {
            shape: (rows, columns),
            spacing_mm: slice.spacing_mm.into(),
            hu: slice.hu.into(),
            reference: slice.reference.into(),
            predicted: slice.predicted.into(),
        }
    }
}

impl TryFrom<pulmoav_train::validate::CaseScores> for CaseScores {
    type Error = Failure;

    fn try_from(case: pulmoav_train::validate::CaseScores) -> std::result::Result<Self, Failure> {
        let slices = case.slices.into_iter().map(Slice::from).collect();
        Ok(Self { name: case.name, scores: scores(case.scores), slices })
    }
}

/// Segments and scores validation cases with the moving average (EMA) of the weights.
#[napi(catch_unwind)]
pub fn validate_trainer<'env>(
    env: &'env Env,
    handle: u32,
    cases: u32,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Vec<CaseScores>, ErrorInfo>>> {
    match TRAINERS.get(handle) {
        Ok(open) => {
            let shared = monitor.share();
            Engine::at(open.place)?.cancellable(env, monitor, move || {
                let found = open.with(|trainer| trainer.validate(cases as usize, &*shared))?;
                found.into_iter().map(CaseScores::try_from).collect::<std::result::Result<Vec<_>, Failure>>()
            })
        }
        Err(failure) => Engine::refused(env, failure),
    }
}

/// Writes a model directory with the training state beside.
#[napi(catch_unwind)]
pub fn save_trainer(env: &Env, handle: u32, directory: String) -> Result<PromiseRaw<'_, Either<Null, ErrorInfo>>> {
    on_engine(env, handle, Afterwards::Release, move |open| {
        open.with(|trainer| trainer.save(&PathBuf::from(directory)))?;
        Ok(Null)
    })
}

/// Lets go of a trainer.
#[napi(catch_unwind)]
pub fn close_trainer(handle: u32) {
    let _memory = Job::begin(Afterwards::Release);
    TRAINERS.drop(handle);
}

fn on_engine<T: ToNapiValue + Send + 'static>(
    env: &Env,
    handle: u32,
    afterwards: Afterwards,
    work: impl FnOnce(&OpenTrainer) -> std::result::Result<T, Failure> + Send + 'static,
) -> Result<PromiseRaw<'_, Outcome<T>>> {
    match TRAINERS.get(handle) {
        Ok(open) => Engine::at(open.place)?.promise_and(afterwards, env, move || work(&open)),
        Err(failure) => Engine::refused(env, failure),
    }
}
