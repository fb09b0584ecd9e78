//! From a model folder to a plan and a network a fold.

use std::path::Path;

use pulmoav_model::ClassNetwork;
use pulmoav_model::weights::Fold;
use pulmoav_plan::{CLASS_PLAN_VERSION, ClassPlan, Output, PlanError, Source};
use serde::Serialize;

use super::architecture::network;
use super::error::FolderError;
use super::folder::{Files, FolderRequest};
use super::labels::Dataset;
use super::names::wanted;
use super::plans::{Plans, channels};
use super::state::{Checked, State};

/// The family's name in a plan.
const FAMILY: &str = "nnunet";
/// How far the window moves, nnU-Net's own choice.
const STEP: f64 = 0.5;
/// Trainers are called after this one where they are nnU-Net's.
const TRAINER: &str = "nnUNetTrainer";
/// Longest name of a plan, bytes.
const LONGEST_NAME: usize = 200;

/// A model folder, without its numbers.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What the folder says, as a plan.
    pub plan: ClassPlan,
    /// Names of the folds, in the order in which their answers are added.
    pub folds: Vec<String>,
    /// What a user should know, a sentence each.
    pub notes: Vec<String>,
    /// Numbers of one network.
    pub parameters: usize,
}

/// A model folder, ready to run.
#[derive(Debug)]
pub struct ModelFolder {
    /// What the folder says, as a plan.
    pub plan: ClassPlan,
    /// The networks, in the order in which their answers are added.
    pub folds: Vec<Fold>,
    /// What a user should know, a sentence each.
    pub notes: Vec<String>,
    /// What became of the files.
    pub report: FolderReport,
}

/// What became of the files of a model folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FolderReport {
    /// Name of the trainer's folder.
    pub folder: String,
    /// One entry a fold.
    pub folds: Vec<FoldReport>,
}

/// What became of one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoldReport {
    /// Name of the fold.
    pub fold: String,
    /// Name of the checkpoint's file.
    pub file: String,
    /// `PyTorch zip` or `PyTorch legacy`.
    pub container: &'static str,
    /// Tensors that are part of the network.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: usize,
    /// Tensors that stand in the file a second time.
    pub duplicates: usize,
    /// Tensors for training alone: the coarser scales' heads.
    pub unused: usize,
}

/// Says what a model folder is, having compared every tensor's name and shape; reads no numbers.
///
/// # Errors
/// [`FolderError`], but for what only the numbers tell.
pub fn inspect(request: &FolderRequest) -> Result<Inspected, FolderError> {
    let Opened { plan, states, notes } = Opened::new(request)?;
    let parameters = states.first().map_or(0, |(_, _, checked)| checked.parameters());
    Ok(Inspected { plan, folds: states.into_iter().map(|(name, ..)| name).collect(), notes, parameters })
}

/// Reads a model folder. Nothing in its files is executed.
///
/// # Errors
/// [`FolderError`].
pub fn open(request: &FolderRequest) -> Result<ModelFolder, FolderError> {
    let Opened { plan, states, notes } = Opened::new(request)?;
    let (mut folds, mut reports) = (Vec::with_capacity(states.len()), Vec::with_capacity(states.len()));
    for (name, mut state, checked) in states {
        let mut parameters = state.parameters(&checked)?;
        ClassNetwork::build(&plan, &mut parameters)?;
        parameters.refuse_unasked()?;
        reports.push(FoldReport {
            fold: name.clone(),
            file: request.checkpoint.to_owned(),
            container: state.container.kind,
            tensors: parameters.len(),
            parameters: parameters.element_count(),
            duplicates: checked.duplicates,
            unused: checked.unused,
        });
        folds.push(Fold { name, parameters });
    }
    Ok(ModelFolder { plan, folds, notes, report: FolderReport { folder: name_of(request.dir), folds: reports } })
}

/// A folder whose checkpoints are open and compared with the plan's network.
struct Opened {
    plan: ClassPlan,
    states: Vec<(String, State, Checked)>,
    notes: Vec<String>,
}

impl Opened {
    fn new(request: &FolderRequest) -> Result<Self, FolderError> {
        let files = Files::find(request)?;
        let (plans, dataset) = (Plans::read(&files.plans)?, Dataset::read(&files.dataset)?);
        let mut states = Vec::with_capacity(files.folds.len());
        for (name, path) in &files.folds {
            states.push((name.clone(), State::open(path)?));
        }
        // As nnU-Net does, the first fold's checkpoint says what all are.
        let Some((_, first)) = states.first() else {
            let problem = "has no fold".to_owned();
            return Err(FolderError::NoCheckpoint { path: request.dir.to_owned(), problem });
        };
        let plan = plan(request, &files, (&plans, &dataset), first)?;
        let notes = notes(&plan, &states)?;
        let list = wanted(&plan.network, plan.channels.len());
        let states = states.into_iter().map(|(name, state)| {
            let checked = state.check(list.clone())?;
            Ok((name, state, checked))
        });
        Ok(Self { states: states.collect::<Result<_, FolderError>>()?, plan, notes })
    }
}

/// The plan that the files amount to.
fn plan(
    request: &FolderRequest,
    files: &Files,
    (plans, dataset): (&Plans, &Dataset),
    first: &State,
) -> Result<ClassPlan, FolderError> {
    let name = first.text("init_args.configuration")?;
    let configuration = plans.configuration(name)?;
    plans.check_label_manager()?;
    let labels = dataset.labels(&files.dataset)?;
    // The background has a channel of its own where labels exclude each other.
    let outputs = labels.classes.len() + usize::from(labels.output == Output::Softmax);
    let data_set = plans.dataset_name()?.or(dataset.name()).map_or_else(|| name_of(request.dir), str::to_owned);
    let plan = ClassPlan {
        version: CLASS_PLAN_VERSION,
        name: shortened(&format!("{data_set} {name}")),
        source: Source {
            family: FAMILY.to_owned(),
            dataset: data_set,
            trainer: first.text("trainer_name")?.to_owned(),
            configuration: name.to_owned(),
            licence: dataset.licence(),
        },
        axes: plans.axes()?,
        reorient: plans.reorients()?,
        spacing_mm: configuration.spacing_mm()?,
        channels: channels(plans, &configuration, dataset.channels(&files.dataset)?)?,
        patch: configuration.patch()?,
        step: STEP,
        mirror_axes: first.mirror_axes()?,
        image_resampling: configuration.image_resampling()?,
        logit_resampling: configuration.logit_resampling()?,
        output: labels.output,
        classes: labels.classes,
        folds: files.folds.len(),
        network: network(&configuration.place(), outputs)?,
    };
    let wrong = |source: PlanError| FolderError::Plan { path: request.dir.to_owned(), source };
    plan.validate().map_err(wrong)?;
    Ok(plan)
}

fn notes(plan: &ClassPlan, states: &[(String, State)]) -> Result<Vec<String>, FolderError> {
    let mut notes = Vec::new();
    let trainer = &plan.source.trainer;
    if !trainer.starts_with(TRAINER) {
        notes.push(format!(
            "the trainer `{trainer}` is not known here; its tensors fit the network that the plans describe, which is run"
        ));
    }
    for (name, state) in states {
        let configuration = state.text("init_args.configuration")?;
        if configuration != plan.source.configuration {
            let first = &plan.source.configuration;
            notes.push(format!("fold {name} was trained as `{configuration}`; it is run as the first fold, `{first}`"));
        }
    }
    Ok(notes)
}

fn name_of(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn shortened(name: &str) -> String {
    let mut short = String::new();
    for letter in name.chars().filter(|letter| !letter.is_control()) {
        if short.len() + letter.len_utf8() > LONGEST_NAME {
            break;
        }
        short.push(letter);
    }
    short
}
