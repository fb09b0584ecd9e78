//! Looking at data sets before anything is learnt from them.

use std::path::Path;

use napi::bindgen_prelude::{Either, Null, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_train::case::{Annotated, DataSet};
use pulmoav_train::check::{Asked, check};
use pulmoav_train::finding::{Finding, Severity};
use pulmoav_train::fingerprint;
use pulmoav_train::survey::{self, survey};

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::ErrorInfo;
use crate::volume::Axes;

/// A data set by its lists.
#[napi(object, object_from_js = false)]
pub struct DatasetSurvey {
    /// Every case that an image, a label map or `dataset.json` names, by name.
    pub cases: Vec<SurveyedCase>,
    /// What is wrong, or worth knowing.
    pub findings: Vec<DatasetFinding>,
}

/// A case by its files.
#[napi(object, object_from_js = false)]
pub struct SurveyedCase {
    /// Its name.
    pub name: String,
    /// Whether its files are all there, so that its voxels can be looked at.
    pub whole: bool,
    /// Whether it has a label map.
    pub labelled: bool,
    /// Whether both lungs, what lies between them and both classes are annotated.
    pub full: bool,
    /// Sides that are annotated: `left`, `right`.
    pub sides: Vec<String>,
    /// Classes that are annotated: `artery`, `vein`.
    pub classes: Vec<String>,
}

impl From<survey::SurveyedCase> for SurveyedCase {
    fn from(case: survey::SurveyedCase) -> Self {
        let Annotated { sides, classes, .. } = case.annotated;
        Self {
            name: case.name,
            whole: case.whole,
            labelled: case.labelled,
            full: case.full,
            sides: sides.into_iter().map(|side| survey::side_name(side).to_owned()).collect(),
            classes: classes.into_iter().map(|class| fingerprint::name(class).to_owned()).collect(),
        }
    }
}

/// How much a finding matters. `error`: training would stop, or learn something wrong; `warning`: should be looked at.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy)]
pub enum FindingSeverity {
    Error,
    Warning,
}

/// One thing to know of a data set or a case.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct DatasetFinding {
    /// The case's name; `null` where it concerns the whole data set.
    pub case: Option<String>,
    /// A stable code. Of the lists: `NOT_CT`, `NO_CASES`, `LABELS_IGNORED`, `MISSING_IMAGE`, `MISSING_LABEL`,
    /// `SECOND_CHANNEL`, `CLASS_WITHOUT_VALUE`, `BAD_SPLITS`. Of the files: `UNREADABLE`, `NO_ORIENTATION`, `UNITS`,
    /// `FORMS_DIFFER`, `GEOMETRY`, `NOT_HU`, `DUPLICATE`. Of the labels: `UNKNOWN_LABEL`, `EMPTY_LABEL`,
    /// `OTHER_CLASS`, `LABELS_OVERLAP`, `OUTSIDE_BODY`, `OTHER_SIDE`, `EMPTY_SIDE`. Of the anatomy: `NO_LUNGS`,
    /// `ONE_LUNG`, `CUT_LUNGS`, `MIRRORED`.
    pub code: String,
    /// How much it matters.
    pub severity: FindingSeverity,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl From<Finding> for DatasetFinding {
    fn from(Finding { case, code, severity, message, remedy }: Finding) -> Self {
        let severity = match severity {
            Severity::Error => FindingSeverity::Error,
            Severity::Warning => FindingSeverity::Warning,
        };
        Self { case, code: code.to_owned(), severity, message, remedy: remedy.to_owned() }
    }
}

/// What is looked for in a case.
#[napi(object, object_to_js = false)]
pub struct CheckRequest {
    /// Whether body and lungs are looked for, which sides and places are judged by.
    pub anatomy: bool,
    /// Voxel edges at which the best Dice is wanted, mm.
    pub ceilings_mm: Vec<f64>,
}

/// What was found in a case.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct CheckedCase {
    /// What is wrong, or worth knowing.
    pub findings: Vec<DatasetFinding>,
    /// Its figures; `null` where its CT or its label maps could not be read.
    pub facts: Option<CaseFacts>,
}

/// Figures of a case, in the canonical frame.
#[napi(object, object_from_js = false)]
pub struct CaseFacts {
    /// Voxels, `[z, y, x]`.
    pub shape: Axes,
    /// Voxel size, `[z, y, x]`, mm.
    pub spacing_mm: Axes,
    /// Equal for equal voxels, whatever the file's packing.
    pub content: String,
    /// By class; none for one without voxels.
    pub classes: std::collections::BTreeMap<String, ClassFacts>,
}

/// Figures of a class in a case.
#[napi(object, object_from_js = false)]
pub struct ClassFacts {
    /// Labelled voxels.
    pub voxels: f64,
    /// HU below which 0.5, 50 and 99.5 % of them lie.
    pub hu: Axes,
    /// How many lie in vessels of a radius below 1.5 mm, up to 3 mm, and above.
    pub calibres: Axes,
    /// The best Dice at each of the voxel edges that were asked for.
    pub ceilings: Vec<f64>,
}

impl From<fingerprint::CaseFacts> for CaseFacts {
    fn from(facts: fingerprint::CaseFacts) -> Self {
        Self {
            shape: facts.shape.map(|size| size as f64).into(),
            spacing_mm: facts.spacing_mm.into(),
            content: facts.content,
            classes: facts.classes.into_iter().map(|(name, class)| (name.to_owned(), class.into())).collect(),
        }
    }
}

impl From<fingerprint::ClassFacts> for ClassFacts {
    fn from(facts: fingerprint::ClassFacts) -> Self {
        Self {
            voxels: facts.voxels as f64,
            hu: facts.hu.map(f64::from).into(),
            calibres: facts.calibres.map(|voxels| voxels as f64).into(),
            ceilings: facts.ceilings,
        }
    }
}

/// Lists a data set's cases, and what is wrong with its lists; no voxel is read.
#[napi(catch_unwind)]
pub fn survey_dataset(env: &Env, dataset: String) -> Result<PromiseRaw<'_, Either<DatasetSurvey, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || {
        let found = survey(Path::new(&dataset))?;
        Ok(DatasetSurvey {
            cases: found.cases.into_iter().map(SurveyedCase::from).collect(),
            findings: found.findings.into_iter().map(DatasetFinding::from).collect(),
        })
    })
}

/// Refuses a data set whose lists cannot be learnt from in a fold; no voxel is read.
#[napi(catch_unwind)]
pub fn check_dataset(env: &Env, dataset: String, fold: u32) -> Result<PromiseRaw<'_, Either<Null, ErrorInfo>>> {
    Engine::workers()?.promise(env, move || {
        DataSet::open(Path::new(&dataset), fold as usize)?;
        Ok(Null)
    })
}

/// Looks at every voxel of a case whose files are all there.
#[napi(catch_unwind)]
pub fn check_case<'env>(
    env: &'env Env,
    dataset: String,
    name: String,
    asked: CheckRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<CheckedCase, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let CheckRequest { anatomy, ceilings_mm } = asked;
        let found = check(Path::new(&dataset), &name, &Asked { anatomy, ceilings_mm }, &*shared)?;
        Ok(CheckedCase {
            findings: found.findings.into_iter().map(DatasetFinding::from).collect(),
            facts: found.facts.map(CaseFacts::from),
        })
    })
}
