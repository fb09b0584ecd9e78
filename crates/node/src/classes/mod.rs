//! Networks that answer with classes: nnU-Net's model folders, and models made of them.

mod answer;
mod lung_vessels;
mod segment;

use std::path::{Path, PathBuf};

use napi::bindgen_prelude::{Either, PromiseRaw, ToNapiValue};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_checkpoint::nnunet::{self, FolderRequest};
use pulmoav_model::weights::load_classes;
use pulmoav_ops::device::{Chosen, Compute, choose};
use pulmoav_plan::ClassPlan;
use pulmoav_segment::classes::words::{AskedClasses, classes_of};
use pulmoav_segment::classes::{FoldNetwork, WindowNetwork};
use pulmoav_segment::words::understood;
use pulmoav_text::Tower;

use crate::engine::{Engine, Place};
use crate::memory::{Afterwards, Job};
use crate::monitor::CallMonitor;
use crate::outcome::{ErrorInfo, Failure, Outcome};
use crate::registry::Registry;
use crate::segment::others_and_place;
use crate::volume::{Axes, axes};
use answer::Wanted;

static MODELS: Registry<Loaded> = Registry::new("model");

struct Loaded {
    plan: ClassPlan,
    networks: Vec<Box<dyn WindowNetwork>>,
    weight_bytes: u64,
    /// The model whose text tower reads prompts.
    words: PathBuf,
    place: Place,
}

/// Which model is meant.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct ClassModelSource {
    /// A model directory, or the trainer's folder of nnU-Net.
    pub directory: String,
    /// Whether it is nnU-Net's.
    pub foreign: bool,
    /// Names of the folds that answer, of nnU-Net's; `null`: every numbered one.
    pub folds: Option<Vec<String>>,
    /// File name of the checkpoint, of nnU-Net's.
    pub checkpoint: String,
}

/// What a model that answers with classes is.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ClassModelInfo {
    /// The plan's name.
    pub name: String,
    /// `plain-unet` or `residual-unet`.
    pub preset: String,
    /// Voxel size the network works at, mm, along its own axes.
    pub spacing_mm: Axes,
    /// What the network sees at once, voxels, along its own axes.
    pub patch: Axes,
    /// Numbers of one network.
    pub parameters: f64,
    /// Names of the folds, whose mean answers.
    pub folds: Vec<String>,
    /// Names of the scans that it looks at, one a channel.
    pub channels: Vec<String>,
    /// What it tells apart.
    pub classes: Vec<ClassInfo>,
    /// Name of the data set it was trained on.
    pub dataset: String,
    /// Name of its trainer.
    pub trainer: String,
    /// Its licence, where known.
    pub licence: Option<String>,
    /// What a user should know, a sentence each.
    pub notes: Vec<String>,
}

/// Something that a model tells apart.
#[napi(object, object_from_js = false)]
pub struct ClassInfo {
    /// Its name, as the model has it.
    pub name: String,
    /// Its value in label maps.
    pub value: u32,
}

/// A loaded model that answers with classes.
#[napi(object, object_from_js = false)]
pub struct OpenedClassModel {
    /// Its number.
    pub handle: u32,
    pub info: ClassModelInfo,
}

fn info(plan: &ClassPlan, folds: Vec<String>, parameters: usize, notes: Vec<String>) -> ClassModelInfo {
    let classes = plan.classes.iter().map(|class| ClassInfo { name: class.name.clone(), value: class.value.into() });
    ClassModelInfo {
        name: plan.name.clone(),
        preset: plan.network.preset().to_owned(),
        spacing_mm: plan.spacing_mm.into(),
        patch: axes(plan.patch),
        parameters: parameters as f64,
        folds,
        channels: plan.channels.iter().map(|channel| channel.name.clone()).collect(),
        classes: classes.collect(),
        dataset: plan.source.dataset.clone(),
        trainer: plan.source.trainer.clone(),
        licence: plan.source.licence.clone(),
        notes,
    }
}

fn request(source: &ClassModelSource) -> FolderRequest<'_> {
    FolderRequest { dir: Path::new(&source.directory), folds: source.folds.as_deref(), checkpoint: &source.checkpoint }
}

/// Says what a model is; of nnU-Net's folders no number is read.
#[napi(catch_unwind)]
pub fn inspect_class_model(
    env: &Env,
    source: ClassModelSource,
) -> Result<PromiseRaw<'_, Either<ClassModelInfo, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || {
        if source.foreign {
            let found = nnunet::inspect(&request(&source))?;
            return Ok(info(&found.plan, found.folds, found.parameters, found.notes));
        }
        let (plan, folds) = load_classes(Path::new(&source.directory))?;
        let parameters = folds.first().map_or(0, |fold| fold.parameters.element_count());
        Ok(info(&plan, folds.into_iter().map(|fold| fold.name).collect(), parameters, Vec::new()))
    })
}

/// Writes a model directory of nnU-Net's folder, and says what the model is.
#[napi(catch_unwind)]
pub fn import_class_model(
    env: &Env,
    source: ClassModelSource,
    out: String,
) -> Result<PromiseRaw<'_, Either<ClassModelInfo, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || {
        let made = nnunet::import(&request(&source), Path::new(&out))?;
        let parameters = made.folds.first().map_or(0, |fold| fold.parameters.element_count());
        Ok(info(&made.plan, made.folds.into_iter().map(|fold| fold.name).collect(), parameters, made.notes))
    })
}

/// Loads a model and gives its number; the text tower of the model `words` reads prompts. Folds are dealt out to the
/// devices.
#[napi(catch_unwind)]
pub fn load_class_model<'env>(
    env: &'env Env,
    source: ClassModelSource,
    words: String,
    devices: Vec<String>,
    precision: String,
    threads: u32,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<OpenedClassModel, ErrorInfo>>> {
    let [device, others @ ..] = devices.as_slice() else {
        return Engine::refused(env, Failure::new("ERR_INTERNAL", "no device was named"));
    };
    let (others, place) = match others_and_place(device, others, threads) {
        Ok(found) => found,
        Err(failure) => return Engine::refused(env, failure),
    };
    Engine::at(place)?.with_device(env, monitor, move |Chosen { device, .. }| {
        let mut computes = vec![Compute::named(device, &precision)?];
        for other in others {
            computes.push(Compute::named(&choose(other)?.device, &precision)?);
        }
        let (plan, folds, notes) = if source.foreign {
            let found = nnunet::open(&request(&source))?;
            (found.plan, found.folds, found.notes)
        } else {
            let (plan, folds) = load_classes(Path::new(&source.directory))?;
            (plan, folds, Vec::new())
        };
        let parameters = folds.iter().map(|fold| fold.parameters.element_count());
        let (each, all) = (parameters.clone().next().unwrap_or(0), parameters.sum::<usize>());
        let names = folds.iter().map(|fold| fold.name.clone()).collect();
        let info = info(&plan, names, each, notes);
        let dealt = folds.into_iter().zip(computes.iter().cycle());
        let networks = dealt.map(|(fold, compute)| -> std::result::Result<Box<dyn WindowNetwork>, Failure> {
            Ok(Box::new(FoldNetwork::build(&plan, &mut fold.parameters.on(compute)?)?))
        });
        let networks = networks.collect::<std::result::Result<_, _>>()?;
        let weight_bytes = (all * size_of::<f32>()) as u64;
        let loaded = Loaded { plan, networks, weight_bytes, words: PathBuf::from(words), place };
        Ok(OpenedClassModel { handle: MODELS.keep(loaded), info })
    })
}

/// Frees a loaded model.
#[napi(catch_unwind)]
pub fn dispose_class_model(handle: u32) {
    let _memory = Job::begin(Afterwards::Release);
    MODELS.drop(handle);
}

impl Loaded {
    /// The classes that prompts mean.
    fn resolve(&self, prompts: Option<&[String]>) -> std::result::Result<Vec<AskedClasses>, Failure> {
        let prompts = prompts.unwrap_or_default();
        // Names need no tower.
        let literal = classes_of(prompts, &[], &self.plan);
        if prompts.is_empty() || literal.is_ok() {
            return Ok(literal?);
        }
        let targets = understood(prompts, &Tower::of_model(&self.words)?)?;
        Ok(classes_of(prompts, &targets, &self.plan)?)
    }

    /// Every class that is asked for, with the model's own values.
    fn own_values(&self, asked: Vec<AskedClasses>) -> std::result::Result<Vec<Wanted>, Failure> {
        let mut wanted = Vec::new();
        for AskedClasses { prompt, classes } in asked {
            for class in classes {
                let class = &self.plan.classes[class];
                let value = u8::try_from(class.value).map_err(|_| {
                    let problem = format!(
                        "this model's class {} has the value {}; values up to 255 are written",
                        class.name, class.value
                    );
                    Failure::new("ERR_MODEL", problem)
                })?;
                wanted.push(Wanted { name: class.name.clone(), prompt: prompt.clone(), from: value, to: value });
            }
        }
        Ok(wanted)
    }
}

fn on_engine<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    handle: u32,
    monitor: &CallMonitor,
    work: impl FnOnce(&Loaded) -> std::result::Result<T, Failure> + Send + 'static,
) -> Result<PromiseRaw<'env, Outcome<T>>> {
    match MODELS.get(handle) {
        Ok(loaded) => Engine::at(loaded.place)?.cancellable(env, monitor, move || work(&loaded)),
        Err(failure) => Engine::refused(env, failure),
    }
}
