//! A data set: nnU-Net's folders, plus what is annotated in each case.
//!
//! `imagesTr/NAME_0000.nii.gz`, `labelsTr/NAME.nii.gz` (values as `labels` of `dataset.json` says; without it 0
//! background, 1 artery, 2 vein) or `labelsTr/NAME_artery.nii.gz` and `labelsTr/NAME_vein.nii.gz` (either ending in
//! `.npz` too: the array `data` on the scan's grid), `dataset.json` with nnU-Net's own keys and `cases: { NAME: {
//! annotated: { sides, classes, central }, phase } }`. A case that is not named there is annotated in full; one whose
//! sides or classes are empty is unlabelled and needs no label map.
//! `airwaysTr/NAME.nii.gz` (1 in bronchi and windpipe) may stand beside them: plans with that auxiliary map learn from
//! it. Validation is every fifth labelled case in the order of names, or what `splits_final.json` says; each fold takes
//! others.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use pulmoav_plan::VesselClass;
use pulmoav_task::Warning;
use serde::Deserialize;
use serde_json::Value;

pub use crate::annotated::{Annotated, Part};
use crate::error::TrainError;
use crate::labels::LabelValues;

/// Folds of a data set without `splits_final.json`.
const FOLDS: usize = 5;

/// One scan with its reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name without channel and ending.
    pub name: String,
    /// The CT.
    pub image: PathBuf,
    /// The reference; `None` for an unlabelled scan.
    pub label: Option<LabelFiles>,
    /// What of it is annotated.
    pub annotated: Annotated,
    /// Contrast phase, where known (phantoms).
    pub phase: Option<String>,
    /// Mask of bronchi and windpipe, where there is one (`airwaysTr/NAME.nii.gz`).
    pub airways: Option<PathBuf>,
    /// Values of the label map.
    pub values: LabelValues,
}

/// Where a case's label maps are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelFiles {
    /// One file with a value a class.
    Map(PathBuf),
    /// A file a class; vessels may lie in both.
    Separate {
        /// Arteries.
        artery: Option<PathBuf>,
        /// Veins.
        vein: Option<PathBuf>,
    },
}

impl LabelFiles {
    /// Every file, arteries first, with the class that is all it holds.
    pub fn each(&self) -> Vec<(Option<VesselClass>, &Path)> {
        match self {
            Self::Map(path) => vec![(None, path)],
            Self::Separate { artery, vein } => {
                let files = [(VesselClass::Artery, artery), (VesselClass::Vein, vein)];
                files.into_iter().filter_map(|(class, path)| Some((Some(class), path.as_deref()?))).collect()
            }
        }
    }
}

/// A folder of cases, split.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSet {
    /// All cases, by name.
    pub cases: Vec<Case>,
    /// Indices into `cases` to learn from.
    pub training: Vec<usize>,
    /// Indices into `cases` to score.
    pub validation: Vec<usize>,
    /// What `dataset.json` gave cause to say.
    pub warnings: Vec<Warning>,
}

impl DataSet {
    /// Reads the folder's lists; no voxel is touched. `fold` chooses which cases are scored.
    ///
    /// # Errors
    /// `ERR_IO` if a folder or `dataset.json` is missing, `ERR_FORMAT` if it is malformed, names a case that is not
    /// there, or a label map has no image.
    pub fn open(dir: &Path, fold: usize) -> Result<Self, TrainError> {
        let folder = Folder::read(dir)?;
        folder.description.check_channels().map_err(|problem| folder.refused(problem))?;
        let names = folder.names();
        if names.is_empty() {
            let ending = &folder.ending;
            return Err(TrainError::format(
                &dir.join("labelsTr"),
                format!("no file ending in {ending}; expected NAME{ending} for every case"),
            ));
        }
        if let Some(unknown) = folder.description.cases.keys().find(|name| !names.contains(*name)) {
            let ending = &folder.ending;
            return Err(folder.refused(format!(
                "cases names {unknown:?}, but labelsTr/{unknown}{ending} does not exist; add the file or remove the \
                 entry"
            )));
        }
        check_images(&folder, &names)?;
        let cases = names.iter().map(|name| folder.case(name)).collect::<Result<Vec<_>, _>>()?;
        let (training, validation) = split(dir, &cases, fold)?;
        Ok(Self { cases, training, validation, warnings: folder.warnings })
    }
}

/// A data set's description and what lies in its folders.
pub(crate) struct Folder<'a> {
    dir: &'a Path,
    pub(crate) description: Description,
    /// Ending of images and label maps.
    pub(crate) ending: String,
    values: LabelValues,
    /// What `labels` gave cause to say.
    pub(crate) warnings: Vec<Warning>,
    /// Label maps by case.
    pub(crate) labels: BTreeMap<String, LabelFiles>,
    /// Images without their ending.
    pub(crate) images: BTreeSet<String>,
}

impl<'a> Folder<'a> {
    /// # Errors
    /// As [`DataSet::open`], for what concerns no single case.
    pub(crate) fn read(dir: &'a Path) -> Result<Self, TrainError> {
        let file = dir.join("dataset.json");
        let description = Description::read(&file)?;
        let (values, warnings) = description.values().map_err(|problem| TrainError::format(&file, problem))?;
        let ending = description.file_ending.clone().unwrap_or_else(|| ".nii.gz".to_owned());
        let images = stems(&dir.join("imagesTr"), &ending)?;
        let labels = label_files(&dir.join("labelsTr"), &ending, &images)?;
        Ok(Self { dir, description, ending, values, warnings, labels, images })
    }

    /// Cases with a label map, and unlabelled ones.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let unlabelled = self.description.cases.iter().filter(|(_, case)| case.annotated.is_empty());
        self.labels.keys().chain(unlabelled.map(|(name, _)| name)).cloned().collect()
    }

    /// What of a case is annotated.
    pub(crate) fn annotated(&self, name: &str) -> Annotated {
        self.description.cases.get(name).map_or_else(Annotated::default, |case| case.annotated.clone())
    }

    /// # Errors
    /// `ERR_FORMAT` where a file is missing or a class has no value.
    pub(crate) fn case(&self, name: &str) -> Result<Case, TrainError> {
        let file = |folder: &str, stem: String| self.dir.join(folder).join(stem + &self.ending);
        let image = file("imagesTr", format!("{name}_0000"));
        if !image.is_file() {
            return Err(TrainError::format(&image, format!("missing, though there is a case {name}; add the CT")));
        }
        let annotated = self.annotated(name);
        let label = self.labels.get(name).filter(|_| !annotated.is_empty());
        if let Some(class) = label.and_then(|label| self.missing(&annotated, label)) {
            return Err(self.refused(format!(
                "case {name} is annotated with {class}, which neither labels nor a file names; name it, or list \
                 annotated.classes"
            )));
        }
        Ok(Case {
            name: name.to_owned(),
            values: self.values.clone(),
            image,
            label: label.cloned(),
            annotated,
            phase: self.description.cases.get(name).and_then(|case| case.phase.clone()),
            airways: Some(file("airwaysTr", name.to_owned())).filter(|path| path.is_file()),
        })
    }

    /// An annotated class that the label maps cannot hold.
    fn missing(&self, annotated: &Annotated, label: &LabelFiles) -> Option<&'static str> {
        let holds = |class: VesselClass| match label {
            LabelFiles::Map(_) => self.values.has(class),
            LabelFiles::Separate { .. } => label.each().iter().any(|(found, _)| *found == Some(class)),
        };
        let class = annotated.classes.iter().find(|&&class| !holds(class))?;
        Some(if *class == VesselClass::Artery { "artery" } else { "vein" })
    }

    fn refused(&self, problem: String) -> TrainError {
        TrainError::format(&self.dir.join("dataset.json"), problem)
    }
}

/// `dataset.json`.
#[derive(Deserialize)]
pub(crate) struct Description {
    file_ending: Option<String>,
    labels: Option<BTreeMap<String, Value>>,
    /// Names of the channels by number; older data sets call them modalities.
    #[serde(alias = "modality")]
    channel_names: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) cases: BTreeMap<String, CaseDescription>,
}

/// An entry of `cases`.
#[derive(Deserialize, Default)]
pub(crate) struct CaseDescription {
    #[serde(default)]
    annotated: Annotated,
    phase: Option<String>,
}

impl Description {
    fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        serde_json::from_str(&text).map_err(|error| TrainError::format(path, error.to_string()))
    }

    fn values(&self) -> Result<(LabelValues, Vec<Warning>), String> {
        // A list without a class, as templates have it, says nothing.
        match &self.labels {
            Some(labels) if labels.keys().any(|name| name != "background") => LabelValues::read(labels),
            _ => Ok((LabelValues::default(), Vec::new())),
        }
    }

    pub(crate) fn check_channels(&self) -> Result<(), String> {
        let Some(channels) = &self.channel_names else { return Ok(()) };
        if channels.len() > 1 {
            return Err(format!("channel_names lists {} channels; expected one, the CT", channels.len()));
        }
        match channels.values().find(|name| !name.to_ascii_lowercase().contains("ct")) {
            Some(other) => Err(format!("channel_names says {other:?}; expected CT, since HU are what is learnt from")),
            None => Ok(()),
        }
    }
}

/// An entry of `splits_final.json`.
#[derive(Deserialize)]
pub(crate) struct Fold {
    train: Vec<String>,
    val: Vec<String>,
}

impl Fold {
    /// What is wrong with it; `is_labelled` knows the cases.
    pub(crate) fn problem(&self, is_labelled: impl Fn(&str) -> Option<bool>) -> Option<String> {
        if let Some(name) = self.train.iter().chain(&self.val).find(|name| is_labelled(name).is_none()) {
            return Some(format!("{name:?} is not a case of this data set"));
        }
        if let Some(name) = self.train.iter().find(|name| self.val.contains(name)) {
            return Some(format!("{name:?} is learnt from and validated on; expected every case in one of both lists"));
        }
        let unlabelled = self.val.iter().find(|name| is_labelled(name) == Some(false))?;
        Some(format!("{unlabelled:?} is unlabelled, so it cannot be validated on; move it to train"))
    }
}

/// Files of a folder without their ending.
fn stems(folder: &Path, ending: &str) -> Result<BTreeSet<String>, TrainError> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(TrainError::io(folder))? {
        let file = entry.map_err(TrainError::io(folder))?.file_name();
        let name = file.to_string_lossy();
        if let Some(stem) = name.strip_suffix(ending).filter(|stem| !stem.starts_with('.')) {
            names.insert(stem.to_owned());
        }
    }
    Ok(names)
}

/// Label maps by case: `NAME`, or `NAME_artery` and `NAME_vein` of an image `NAME`.
fn label_files(
    folder: &Path,
    ending: &str,
    images: &BTreeSet<String>,
) -> Result<BTreeMap<String, LabelFiles>, TrainError> {
    let mut files = BTreeMap::new();
    let (mut arteries, mut veins) = (BTreeMap::new(), BTreeMap::new());
    let own = stems(folder, ending)?.into_iter().map(|stem| (stem, ending));
    let arrays = stems(folder, ".npz")?.into_iter().map(|stem| (stem, ".npz"));
    for (stem, ending) in own.chain(arrays.filter(|_| ending != ".npz")) {
        let path = folder.join(format!("{stem}{ending}"));
        let of = |class: &str| stem.strip_suffix(class).filter(|name| images.contains(&format!("{name}_0000")));
        match (of("_artery"), of("_vein")) {
            _ if images.contains(&format!("{stem}_0000")) => drop(files.insert(stem, LabelFiles::Map(path))),
            (Some(name), _) => drop(arteries.insert(name.to_owned(), path)),
            (_, Some(name)) => drop(veins.insert(name.to_owned(), path)),
            _ => drop(files.insert(stem, LabelFiles::Map(path))),
        }
    }
    let names: BTreeSet<String> = arteries.keys().chain(veins.keys()).cloned().collect();
    for name in names {
        let separate = LabelFiles::Separate { artery: arteries.remove(&name), vein: veins.remove(&name) };
        if files.insert(name.clone(), separate).is_some() {
            let path = folder.join(format!("{name}{ending}"));
            return Err(TrainError::format(
                &path,
                "stands beside files of artery or vein alone; keep one or the other",
            ));
        }
    }
    Ok(files)
}

/// Refuses images without a label map, and second channels.
fn check_images(folder: &Folder, labelled: &BTreeSet<String>) -> Result<(), TrainError> {
    let ending = &folder.ending;
    for stem in &folder.images {
        let image = folder.dir.join("imagesTr").join(format!("{stem}{ending}"));
        let Some((name, channel)) = channel(stem) else { continue };
        if channel != "0000" {
            return Err(TrainError::format(&image, "is a second channel; expected the CT alone (NAME_0000)"));
        }
        if !labelled.contains(name) {
            return Err(TrainError::format(
                &image,
                format!(
                    "has no label map labelsTr/{name}{ending}; add it, or say that it is unlabelled: \
                     \"annotated\": {{\"sides\": []}} under cases in dataset.json"
                ),
            ));
        }
    }
    Ok(())
}

/// Name and channel of an image.
pub(crate) fn channel(stem: &str) -> Option<(&str, &str)> {
    stem.rsplit_once('_').filter(|(_, channel)| channel.parse::<u32>().is_ok())
}

/// Indices to learn from and to score. Without `splits_final.json` every fifth labelled case is scored; unlabelled ones
/// are only learnt from.
fn split(dir: &Path, cases: &[Case], fold: usize) -> Result<(Vec<usize>, Vec<usize>), TrainError> {
    let path = dir.join("splits_final.json");
    if !path.is_file() {
        if fold >= FOLDS {
            return Err(TrainError::Config(format!("fold is {fold}, expected 0 to {}", FOLDS - 1)));
        }
        let labelled: Vec<usize> = (0..cases.len()).filter(|&index| cases[index].label.is_some()).collect();
        let scored = labelled.into_iter().skip(FOLDS - 1 - fold).step_by(FOLDS).collect::<Vec<_>>();
        return Ok(((0..cases.len()).filter(|index| !scored.contains(index)).collect(), scored));
    }
    let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
    let folds: Vec<Fold> = serde_json::from_str(&text).map_err(|error| TrainError::format(&path, error.to_string()))?;
    let refused = |problem: String| TrainError::format(&path, problem);
    let Some(entry) = folds.get(fold) else {
        return Err(refused(format!(
            "has {} folds, so there is no fold {fold}; expected {{ train, val }} for it",
            folds.len()
        )));
    };
    let find = |name: &str| cases.iter().position(|case| case.name == name);
    if let Some(problem) = entry.problem(|name| find(name).map(|index| cases[index].label.is_some())) {
        return Err(refused(problem));
    }
    let indices = |list: &[String]| list.iter().filter_map(|name| find(name)).collect();
    Ok((indices(&entry.train), indices(&entry.val)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_plan::BodySide;

    fn folder(name: &str, cases: &[&str], description: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("pulmoav-case-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        for sub in ["imagesTr", "labelsTr"] {
            std::fs::create_dir_all(dir.join(sub)).unwrap();
        }
        for case in cases {
            std::fs::write(dir.join(format!("imagesTr/{case}_0000.nii.gz")), []).unwrap();
            std::fs::write(dir.join(format!("labelsTr/{case}.nii.gz")), []).unwrap();
        }
        std::fs::write(dir.join("dataset.json"), description).unwrap();
        dir
    }

    #[test]
    fn every_fifth_case_validates_and_annotations_are_read() {
        let dir = folder(
            "plain",
            &["a", "b", "c", "d", "e", "f"],
            r#"{"labels":{"background":0},"cases":{"b":{"annotated":{"sides":["left"]},"phase":"arterial"}}}"#,
        );
        let set = DataSet::open(&dir, 0).unwrap();
        assert_eq!(set.training, [0, 1, 2, 3, 5]);
        assert_eq!(set.validation, [4]);
        assert!(set.cases[0].annotated.is_full());
        assert_eq!(set.cases[1].annotated.sides, [BodySide::Left]);
        assert_eq!(set.cases[1].annotated.classes.len(), 2);
        assert_eq!(set.cases[1].phase.as_deref(), Some("arterial"));
    }

    #[test]
    fn splits_file_wins() {
        let dir = folder("split", &["a", "b", "c"], "{}");
        std::fs::write(dir.join("splits_final.json"), r#"[{"train":["c","a"],"val":["b"]}]"#).unwrap();
        let set = DataSet::open(&dir, 0).unwrap();
        assert_eq!((set.training, set.validation), (vec![2, 0], vec![1]));
    }

    #[test]
    fn labels_are_read_and_what_is_not_learnt_is_said() {
        let open = |labels: &str| {
            let dir = folder("labels", &["a"], &format!(r#"{{"labels":{labels}}}"#));
            DataSet::open(&dir, 0)
        };
        let set = open(r#"{"background":0,"vein":1,"artery":2,"airway":3}"#).unwrap();
        assert_eq!([1.0, 2.0].map(|value| set.cases[0].values.class_of(value)), [Some(2), Some(1)]);
        assert_eq!(set.warnings[0].code, "LABELS_IGNORED");
        assert_eq!(open(r#"{"background":0}"#).unwrap().cases[0].values, LabelValues::default());
        let error = open(r#"{"background":0,"artery":1}"#).unwrap_err().to_string();
        assert!(error.contains("annotated with vein"), "{error}");
    }

    #[test]
    fn a_case_may_have_a_file_a_class() {
        let dir = folder("separate", &["a", "b", "c"], r#"{"cases":{"b":{"annotated":{"classes":["vein"]}}}}"#);
        for (from, to) in [("a", "a_artery"), ("b", "b_vein")] {
            std::fs::rename(dir.join(format!("labelsTr/{from}.nii.gz")), dir.join(format!("labelsTr/{to}.nii.gz")))
                .unwrap();
        }
        let error = DataSet::open(&dir, 0).unwrap_err().to_string();
        assert!(error.contains("case a is annotated with vein"), "{error}");
        std::fs::write(dir.join("labelsTr/a_vein.nii.gz"), []).unwrap();
        let set = DataSet::open(&dir, 0).unwrap();
        let files: Vec<usize> = set.cases.iter().map(|case| case.label.as_ref().unwrap().each().len()).collect();
        assert_eq!(files, [2, 1, 1]);
        std::fs::write(dir.join("labelsTr/b.nii.gz"), []).unwrap();
        assert!(DataSet::open(&dir, 0).unwrap_err().to_string().contains("keep one"));
    }

    #[test]
    fn other_channels_images_and_folds_are_refused() {
        let refused = |name: &str, description: &str, file: Option<&str>, splits: Option<&str>| {
            let dir = folder(name, &["a", "b"], description);
            if let Some(file) = file {
                std::fs::write(dir.join(file), []).unwrap();
            }
            if let Some(splits) = splits {
                std::fs::write(dir.join("splits_final.json"), splits).unwrap();
            }
            DataSet::open(&dir, 0).unwrap_err().to_string()
        };
        let error = refused("mri", r#"{"channel_names":{"0":"MRI"}}"#, None, None);
        assert!(error.contains("expected CT"), "{error}");
        let error = refused("two", r#"{"channel_names":{"0":"CT","1":"PET"}}"#, None, None);
        assert!(error.contains("2 channels"), "{error}");
        let error = refused("second", "{}", Some("imagesTr/a_0001.nii.gz"), None);
        assert!(error.contains("second channel"), "{error}");
        let error = refused("unlabelled", "{}", Some("imagesTr/c_0000.nii.gz"), None);
        assert!(error.contains("has no label map"), "{error}");
        let error = refused("overlap", "{}", None, Some(r#"[{"train":["a","b"],"val":["b"]}]"#));
        assert!(error.contains("\"b\" is learnt from and validated on"), "{error}");
    }

    #[test]
    fn unlabelled_scans_are_learnt_from_only() {
        let dir = folder(
            "few",
            &["a", "b", "c", "d", "e"],
            r#"{"cases":{"b":{"annotated":{"sides":[]}},"f":{"annotated":{"classes":[]}}}}"#,
        );
        std::fs::write(dir.join("imagesTr/f_0000.nii.gz"), []).unwrap();
        std::fs::write(dir.join("splits_final.json"), r#"[{"train":["a","b"],"val":["c"]}]"#).unwrap();
        let set = DataSet::open(&dir, 0).unwrap();
        let labelled: Vec<bool> = set.cases.iter().map(|case| case.label.is_some()).collect();
        assert_eq!(labelled, [true, false, true, true, true, false]);
        let error = DataSet::open(&dir, 1).unwrap_err().to_string();
        assert!(error.contains("no fold 1"), "{error}");
        std::fs::write(dir.join("splits_final.json"), r#"[{"train":["a"],"val":["f"]}]"#).unwrap();
        let error = DataSet::open(&dir, 0).unwrap_err().to_string();
        assert!(error.contains("\"f\" is unlabelled"), "{error}");
        std::fs::remove_file(dir.join("splits_final.json")).unwrap();
        let scored = [0, 1, 4].map(|fold| DataSet::open(&dir, fold).unwrap().validation);
        assert_eq!(scored, [vec![], vec![4], vec![0]]);
        assert_eq!(DataSet::open(&dir, 5).unwrap_err().code(), "ERR_CONFIG");
    }

    #[test]
    fn unknown_names_are_refused() {
        let dir = folder("unknown", &["a"], r#"{"cases":{"z":{}}}"#);
        let error = DataSet::open(&dir, 0).unwrap_err();
        assert_eq!(error.code(), "ERR_FORMAT");
        assert!(error.to_string().contains("\"z\""), "{error}");
    }
}
