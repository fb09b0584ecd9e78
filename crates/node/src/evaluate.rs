//! Scoring label maps.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use napi::bindgen_prelude::{Either, Null, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_evaluate::{
    Better, Evaluation, Group, IGNORED, Options, Overlap, Restriction, SCORES, evaluate, joined, lung_sides, resampled,
};
use pulmoav_volume::{Mask, Voxels, formats};

use crate::engine::Engine;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::volume::{Given, VoxelVolume, labels};

/// How scores are asked for.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct EvaluationRequest {
    /// A mask, as a path: what lies outside does not count.
    pub within: Option<String>,
    /// A map of the lungs, as a path: 1 left, 2 right, or a label map of the anatomy.
    pub lungs: Option<String>,
    /// Annotated parts, by their values in the map of the lungs (0 what lies outside them); `null` where all are.
    pub annotated: Option<Vec<u8>>,
    /// Groups of scores (`overlap`, `surface`, `skeleton`, `tree`) and names of single ones.
    pub scores: Vec<String>,
    /// Values of the reference that do not count.
    pub ignored: Vec<u8>,
    /// Whether a prediction, or mask, on another grid is brought onto the reference's.
    pub resample: bool,
    /// The reference's veins, as a path, where they have a file of their own.
    pub reference_veins: Option<String>,
    /// What becomes of voxels that both files of the reference claim: `ignore`, `artery`, `vein`.
    pub overlap: String,
}

/// Scores of one target by name; `null` where one is not defined.
#[napi]
pub type TargetScores = IndexMap<String, Either<f64, Null>>;

/// Scores of one case by target: `artery`, `vein`, …
#[napi]
pub type Scores = IndexMap<String, TargetScores>;

/// What the scores of a case go by.
#[napi(object, object_from_js = false)]
pub struct ScoringRule {
    /// A stable name.
    pub name: String,
    /// What is done.
    pub text: String,
    /// Rows of the scores that it bore on; empty where it is about all of them.
    pub targets: Vec<String>,
}

/// Scores of one case, and what they go by.
#[napi(object, object_from_js = false)]
pub struct CaseEvaluation {
    /// By target.
    pub scores: Scores,
    /// Rules that a reader has to know.
    pub rules: Vec<ScoringRule>,
    /// Voxels of the grid that count.
    pub counted_voxels: f64,
}

/// What a score is.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ScoreDescription {
    /// Its key in the results.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// `mm`, `ml`, …; empty for shares and counts.
    pub unit: String,
    /// Which values are better; `null` where neither are.
    #[napi(ts_type = "'higher' | 'lower' | null")]
    pub better: Option<String>,
    /// What it is asked for with.
    #[napi(ts_type = "'overlap' | 'surface' | 'skeleton' | 'tree'")]
    pub group: String,
}

/// Every score, in the order of results.
#[napi(catch_unwind)]
pub fn list_scores() -> Vec<ScoreDescription> {
    let better = |better| match better {
        Better::Higher => Some("higher".to_owned()),
        Better::Lower => Some("lower".to_owned()),
        Better::Neither => None,
    };
    let describe = |score: &pulmoav_evaluate::Score| ScoreDescription {
        name: score.name.to_owned(),
        title: score.title.to_owned(),
        unit: score.unit.symbol().to_owned(),
        better: better(score.better),
        group: score.group.name().to_owned(),
    };
    SCORES.iter().map(describe).collect()
}

/// Scores as JavaScript gets them.
pub fn scores(found: pulmoav_evaluate::Scores) -> Scores {
    // A sum of nothing is −0; nobody wants to read that.
    let row = |scores: pulmoav_evaluate::TargetScores| {
        scores
            .0
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.map_or(Either::B(Null), |value| Either::A(value + 0.0))))
            .collect()
    };
    found.0.into_iter().map(|(target, scores)| (target, row(scores))).collect()
}

impl From<Evaluation> for CaseEvaluation {
    fn from(Evaluation { scores: found, rules, counted_voxels }: Evaluation) -> Self {
        let rule = |rule: pulmoav_evaluate::Rule| ScoringRule {
            name: rule.name.to_owned(),
            text: rule.text,
            targets: rule.targets,
        };
        Self {
            scores: scores(found),
            rules: rules.into_iter().map(rule).collect(),
            counted_voxels: counted_voxels as f64,
        }
    }
}

/// Scores a file against a file.
#[napi(catch_unwind)]
pub fn evaluate_files<'env>(
    env: &'env Env,
    pred: String,
    reference: String,
    asked: EvaluationRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<CaseEvaluation, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let pred = read_labels(&PathBuf::from(pred), &shared)?;
        let reference = read_labels(&PathBuf::from(reference), &shared)?;
        score(pred, reference, asked, &shared)
    })
}

/// Scores a volume against a volume.
#[napi(catch_unwind)]
pub fn evaluate_volumes<'env>(
    env: &'env Env,
    pred: VoxelVolume,
    reference: VoxelVolume,
    asked: EvaluationRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<CaseEvaluation, ErrorInfo>>> {
    let (shared, pred, reference) = (monitor.share(), Given::copy(&pred), Given::copy(&reference));
    Engine::workers()?
        .cancellable(env, monitor, move || score(Labels::given(pred)?, Labels::given(reference)?, asked, &shared))
}

/// A label map, and whether its file says which way the patient lies.
struct Labels {
    map: Mask,
    oriented: bool,
}

impl Labels {
    fn given(given: Given) -> std::result::Result<Self, Failure> {
        Ok(Self { map: given.labels()?, oriented: given.oriented })
    }

    /// At the place of another one where either place is a guess.
    fn beside(mut self, other: &Self) -> Mask {
        self.map.grid = self.map.grid.beside(self.oriented, &other.map.grid, other.oriented);
        self.map
    }
}

fn score(
    pred: Labels,
    reference: Labels,
    asked: EvaluationRequest,
    shared: &Shared,
) -> std::result::Result<CaseEvaluation, Failure> {
    let mut told = Vec::new();
    let reference = with_veins(reference, &asked, &mut told, shared)?;
    let mut onto = |what: &str, map: Labels| -> std::result::Result<Mask, Failure> {
        let map = map.beside(&reference);
        if !asked.resample || map.grid.is_at(&reference.map.grid) {
            return Ok(map);
        }
        told.push(ScoringRule {
            name: "resampled".to_owned(),
            text: format!("{what} lay on another grid: each voxel of the reference's took the nearest one's label."),
            targets: Vec::new(),
        });
        Ok(resampled(&map, &reference.map.grid)?)
    };
    let pred = onto("The prediction", pred)?;
    let mut read = |what: &str, path: &Option<String>| -> std::result::Result<Option<Mask>, Failure> {
        path.as_ref().map(|path| onto(what, read_labels(Path::new(path), shared)?)).transpose()
    };
    let within = read("The mask", &asked.within)?;
    let lungs = read("The map of the lungs", &asked.lungs)?.map(lung_sides).transpose()?;
    let mut options = Options { groups: Vec::new(), lungs: lungs.as_ref(), ..Options::default() };
    ask(&mut options, &asked.scores)?;
    options.restrictions.extend(within.as_ref().map(Restriction::Within));
    if let (Some(lungs), Some(annotated)) = (&lungs, &asked.annotated) {
        options.restrictions.push(Restriction::Sides(lungs, annotated));
    }
    options.ignored.clone_from(&asked.ignored);
    if asked.reference_veins.is_some() {
        options.ignored.push(IGNORED);
    }
    let mut found = CaseEvaluation::from(evaluate(&pred, &reference.map, &options, shared)?);
    found.rules.extend(told);
    Ok(found)
}

/// The reference with the veins of a file of their own.
fn with_veins(
    reference: Labels,
    asked: &EvaluationRequest,
    told: &mut Vec<ScoringRule>,
    shared: &Shared,
) -> std::result::Result<Labels, Failure> {
    let Some(path) = &asked.reference_veins else { return Ok(reference) };
    let policy = Overlap::named(&asked.overlap).ok_or_else(|| {
        Failure::new("ERR_USAGE", format!("overlap is \"{}\"; expected ignore, artery or vein", asked.overlap))
    })?;
    let veins = read_labels(Path::new(path), shared)?.beside(&reference);
    let (map, both) = joined(&reference.map, &veins, policy)?;
    told.push(ScoringRule {
        name: "overlap".to_owned(),
        text: format!(
            "Arteries and veins of the reference are two files; {both} voxels lie in both and {}.",
            match policy {
                Overlap::Ignore => "do not count",
                Overlap::Artery => "count as artery",
                Overlap::Vein => "count as vein",
            }
        ),
        targets: Vec::new(),
    });
    Ok(Labels { map, oriented: reference.oriented })
}

fn ask(options: &mut Options<'_>, names: &[String]) -> std::result::Result<(), Failure> {
    for name in names {
        if let Some(group) = Group::named(name) {
            options.groups.push(group);
        } else if SCORES.iter().any(|score| score.name == name) {
            options.names.push(name.clone());
        } else {
            let groups = Group::ALL.map(Group::name).join(", ");
            let words = format!("there are no scores \"{name}\"; expected {groups}, all or the name of a score");
            return Err(Failure::new("ERR_USAGE", words));
        }
    }
    Ok(())
}

fn read_labels(path: &Path, shared: &Shared) -> std::result::Result<Labels, Failure> {
    let image = formats::read(path, None, shared)?;
    let data = match image.voxels {
        Voxels::U8(labels) => labels,
        voxels => labels(&voxels, path.display())?,
    };
    let map = Mask { data, grid: image.header.grid };
    Ok(Labels { map, oriented: image.header.oriented })
}
