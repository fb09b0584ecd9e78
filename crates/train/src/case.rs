//! A data set: nnU-Net's folders, plus what is annotated in each case.
//!
//! `imagesTr/NAME_0000.nii.gz`, `labelsTr/NAME.nii.gz` (values as `labels` of `dataset.json` says; without it 0
//! background, 1 artery, 2 vein), `dataset.json` with nnU-Net's own keys and `cases: { NAME: { annotated: { sides,
//! classes, central }, phase } }`. A case that is not named there is annotated in full; one whose sides or classes are
//! empty is unlabelled and needs no label map. `airwaysTr/NAME.nii.gz` (1 in bronchi
//! and windpipe) may stand beside them: plans with that auxiliary map learn from it. Validation is every fifth labelled
//! case in the order of names, or what `splits_final.json` says; each fold takes others.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use pulmoav_plan::{BodySide, VesselClass};
use serde::Deserialize;
use serde_json::Value;

use crate::code::{CENTRAL_BIT, RIGHT_BIT};
use crate::error::TrainError;

/// Folds of a data set without `splits_final.json`.
const FOLDS: usize = 5;

/// One scan with its reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name without channel and ending.
    pub name: String,
    /// The CT.
    pub image: PathBuf,
    /// The reference label map; `None` for an unlabelled scan.
    pub label: Option<PathBuf>,
    /// What of it is annotated.
    pub annotated: Annotated,
    /// Contrast phase, where known (phantoms).
    pub phase: Option<String>,
    /// Mask of bronchi and windpipe, where there is one (`airwaysTr/NAME.nii.gz`).
    pub airways: Option<PathBuf>,
    /// Values of the label map.
    pub values: LabelValues,
}

/// Which value of the label maps is which class, as `labels` of `dataset.json` says; `None` for a class that is not
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelValues {
    /// Pulmonary arteries.
    pub artery: Option<u8>,
    /// Pulmonary veins.
    pub vein: Option<u8>,
}

impl Default for LabelValues {
    fn default() -> Self {
        Self { artery: Some(1), vein: Some(2) }
    }
}

impl LabelValues {
    /// 0 background, 1 artery or 2 vein for a value of the label map; `None` for one that is not described.
    pub fn class_of(self, value: u8) -> Option<u8> {
        match value {
            0 => Some(0),
            _ if Some(value) == self.artery => Some(1),
            _ if Some(value) == self.vein => Some(2),
            _ => None,
        }
    }

    /// # Errors
    /// What is wrong with `labels`, in words.
    fn of(labels: &BTreeMap<String, Value>) -> Result<Self, String> {
        let mut values = Self { artery: None, vein: None };
        for (name, value) in labels {
            let words = name.to_ascii_lowercase().replace(['_', '-'], " ");
            let class = words.strip_prefix("pulmonary ").unwrap_or(&words);
            let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
            let Some(number) = number else {
                return Err(format!("labels gives {name:?} the value {value}; expected a whole number from 0 to 255"));
            };
            match class {
                "background" if number == 0 => {}
                "background" => return Err(format!("labels gives the background the value {number}; expected 0")),
                "artery" | "arteries" if number > 0 => values.artery = Some(number),
                "vein" | "veins" if number > 0 => values.vein = Some(number),
                "artery" | "arteries" | "vein" | "veins" => {
                    return Err(format!(
                        "labels gives {name:?} the value 0, which is the background's; expected another"
                    ));
                }
                _ => return Err(format!("labels names {name:?}; expected background, artery and vein only")),
            }
        }
        if values.artery.is_some() && values.artery == values.vein {
            return Err("labels gives artery and vein one value; expected two".to_owned());
        }
        if values.artery.is_none() && values.vein.is_none() {
            return Err("labels names neither artery nor vein; expected at least one".to_owned());
        }
        Ok(values)
    }

    fn value_of(self, class: VesselClass) -> Option<u8> {
        match class {
            VesselClass::Artery => self.artery,
            VesselClass::Vein => self.vein,
        }
    }
}

/// Which sides and classes of a case were annotated; the rest carries no loss. Without a side or a class the scan is
/// unlabelled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Annotated {
    /// The patient's sides.
    #[serde(default = "both_sides")]
    pub sides: Vec<BodySide>,
    /// Vessel classes.
    #[serde(default = "both_classes")]
    pub classes: Vec<VesselClass>,
    /// Whether the vessels between the lungs were annotated, which belong to neither side; by default they were where
    /// both sides were.
    #[serde(default)]
    pub central: Option<bool>,
}

impl Default for Annotated {
    fn default() -> Self {
        Self { sides: both_sides(), classes: both_classes(), central: None }
    }
}

impl Annotated {
    /// Both lungs, what lies between them, and both classes.
    pub fn is_full(&self) -> bool {
        Part::ALL.iter().all(|&part| self.knows(part)) && self.classes.len() == 2
    }

    /// Whether nothing was annotated.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty() || Part::ALL.iter().all(|&part| !self.knows(part))
    }

    /// Whether a part was annotated, in the classes that were.
    pub fn knows(&self, part: Part) -> bool {
        match part {
            Part::Left => self.sides.contains(&BodySide::Left),
            Part::Right => self.sides.contains(&BodySide::Right),
            Part::Central => self.central.unwrap_or(self.sides.len() == 2),
        }
    }
}

/// A part of the chest that is annotated as a whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The patient's left.
    Left,
    /// The patient's right.
    Right,
    /// Between the lungs.
    Central,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Left, Self::Right, Self::Central];

    /// The part of a voxel's code.
    pub fn of(code: u8) -> Self {
        match (code & CENTRAL_BIT != 0, code & RIGHT_BIT != 0) {
            (true, _) => Self::Central,
            (false, true) => Self::Right,
            (false, false) => Self::Left,
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
}

impl DataSet {
    /// Reads the folder's lists; no voxel is touched. `fold` chooses which cases are scored.
    ///
    /// # Errors
    /// `ERR_IO` if a folder or `dataset.json` is missing, `ERR_FORMAT` if it is malformed, names a case that is not
    /// there, or a label map has no image.
    pub fn open(dir: &Path, fold: usize) -> Result<Self, TrainError> {
        let file = dir.join("dataset.json");
        let description = Description::read(&file)?;
        let values = description.values().map_err(|problem| TrainError::format(&file, problem))?;
        description.check_channels().map_err(|problem| TrainError::format(&file, problem))?;
        let ending = description.file_ending.as_deref().unwrap_or(".nii.gz");
        let mut names = label_names(&dir.join("labelsTr"), ending)?;
        let unlabelled = description.cases.iter().filter(|(_, case)| case.annotated.is_empty());
        names.extend(unlabelled.map(|(name, _)| name.clone()));
        if names.is_empty() {
            return Err(TrainError::format(
                &dir.join("labelsTr"),
                format!("no file ending in {ending}; expected NAME{ending} for every case"),
            ));
        }
        if let Some(unknown) = description.cases.keys().find(|name| !names.contains(*name)) {
            return Err(TrainError::format(
                &dir.join("dataset.json"),
                format!(
                    "cases names {unknown:?}, but labelsTr/{unknown}{ending} does not exist; add the file or remove the entry"
                ),
            ));
        }
        check_images(&dir.join("imagesTr"), ending, &names)?;
        let cases =
            names.iter().map(|name| case(dir, name, ending, &description, values)).collect::<Result<Vec<_>, _>>()?;
        let (training, validation) = split(dir, &cases, fold)?;
        Ok(Self { cases, training, validation })
    }
}

#[derive(Deserialize)]
struct Description {
    file_ending: Option<String>,
    labels: Option<BTreeMap<String, Value>>,
    /// Names of the channels by number; older data sets call them modalities.
    #[serde(alias = "modality")]
    channel_names: Option<BTreeMap<String, String>>,
    #[serde(default)]
    cases: BTreeMap<String, CaseDescription>,
}

#[derive(Deserialize, Default)]
struct CaseDescription {
    #[serde(default)]
    annotated: Annotated,
    phase: Option<String>,
}

impl Description {
    fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        serde_json::from_str(&text).map_err(|error| TrainError::format(path, error.to_string()))
    }

    fn values(&self) -> Result<LabelValues, String> {
        // A list without a class, as templates have it, says nothing.
        match &self.labels {
            Some(labels) if labels.keys().any(|name| name != "background") => LabelValues::of(labels),
            _ => Ok(LabelValues::default()),
        }
    }

    fn check_channels(&self) -> Result<(), String> {
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

#[derive(Deserialize)]
struct Fold {
    train: Vec<String>,
    val: Vec<String>,
}

fn both_sides() -> Vec<BodySide> {
    vec![BodySide::Left, BodySide::Right]
}

fn both_classes() -> Vec<VesselClass> {
    vec![VesselClass::Artery, VesselClass::Vein]
}

fn label_names(folder: &Path, ending: &str) -> Result<BTreeSet<String>, TrainError> {
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

/// Refuses images without a label map, and second channels.
fn check_images(folder: &Path, ending: &str, labelled: &BTreeSet<String>) -> Result<(), TrainError> {
    for stem in label_names(folder, ending)? {
        let image = folder.join(format!("{stem}{ending}"));
        let Some((name, channel)) = stem.rsplit_once('_').filter(|(_, channel)| channel.parse::<u32>().is_ok()) else {
            continue;
        };
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

fn case(
    dir: &Path,
    name: &str,
    ending: &str,
    description: &Description,
    values: LabelValues,
) -> Result<Case, TrainError> {
    let image = dir.join("imagesTr").join(format!("{name}_0000{ending}"));
    if !image.is_file() {
        return Err(TrainError::format(&image, format!("missing, though there is a case {name}; add the CT")));
    }
    let described = description.cases.get(name);
    let annotated = described.map_or_else(Annotated::default, |d| d.annotated.clone());
    if let Some(class) = annotated.classes.iter().find(|&&class| values.value_of(class).is_none()) {
        let class = if *class == VesselClass::Artery { "artery" } else { "vein" };
        return Err(TrainError::format(
            &dir.join("dataset.json"),
            format!(
                "case {name} is annotated with {class}, which labels does not name; name it, or list annotated.classes"
            ),
        ));
    }
    Ok(Case {
        name: name.to_owned(),
        values,
        image,
        label: (!annotated.is_empty()).then(|| dir.join("labelsTr").join(format!("{name}{ending}"))),
        annotated,
        phase: described.and_then(|d| d.phase.clone()),
        airways: Some(dir.join("airwaysTr").join(format!("{name}{ending}"))).filter(|path| path.is_file()),
    })
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
    let refused = |problem: String| Err(TrainError::format(&path, problem));
    let Some(Fold { train, val }) = folds.get(fold) else {
        return refused(format!(
            "has {} folds, so there is no fold {fold}; expected {{ train, val }} for it",
            folds.len()
        ));
    };
    let find = |list: &[String]| -> Result<Vec<usize>, TrainError> {
        let of_name = |name: &String| {
            let found = cases.iter().position(|case| case.name == *name);
            found.ok_or_else(|| TrainError::format(&path, format!("{name:?} is not a case of this data set")))
        };
        list.iter().map(of_name).collect()
    };
    let (training, validation) = (find(train)?, find(val)?);
    if let Some(&both) = training.iter().find(|index| validation.contains(index)) {
        let name = &cases[both].name;
        return refused(format!("{name:?} is learnt from and validated on; expected every case in one of both lists"));
    }
    if let Some(&unlabelled) = validation.iter().find(|&&index| cases[index].label.is_none()) {
        let name = &cases[unlabelled].name;
        return refused(format!("{name:?} is unlabelled, so it cannot be validated on; move it to train"));
    }
    Ok((training, validation))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn labels_say_which_value_is_which_class() {
        let values = |labels: &str| {
            let dir = folder("labels", &["a"], &format!(r#"{{"labels":{labels}}}"#));
            DataSet::open(&dir, 0).map(|set| set.cases[0].values).map_err(|error| error.to_string())
        };
        let swapped = values(r#"{"background":0,"vein":1,"Pulmonary_Artery":2}"#).unwrap();
        assert_eq!([1, 2, 3, 0].map(|value| swapped.class_of(value)), [Some(2), Some(1), None, Some(0)]);
        assert_eq!(values(r#"{"background":0}"#).unwrap(), LabelValues::default());
        for (labels, problem) in [
            (r#"{"background":0,"liver":1,"spleen":2}"#, "names \"liver\""),
            (r#"{"background":0,"artery":"1","vein":2}"#, "whole number"),
            (r#"{"background":0,"artery":1,"vein":1}"#, "one value"),
            (r#"{"background":1,"artery":0,"vein":2}"#, "the value 0"),
            (r#"{"background":0,"artery":1}"#, "annotated with vein"),
        ] {
            let error = values(labels).unwrap_err();
            assert!(error.contains(problem), "{labels}: {error}");
        }
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
    fn a_part_is_annotated_or_not() {
        let parts = |json: &str| {
            let annotated: Annotated = serde_json::from_str(json).unwrap();
            Part::ALL.map(|part| annotated.knows(part))
        };
        assert_eq!(parts("{}"), [true; 3]);
        assert_eq!(parts(r#"{"sides":["left"]}"#), [true, false, false]);
        assert_eq!(parts(r#"{"sides":["right"],"central":true}"#), [false, true, true]);
        assert_eq!(parts(r#"{"sides":[]}"#), [false; 3]);
    }

    #[test]
    fn unknown_names_are_refused() {
        let dir = folder("unknown", &["a"], r#"{"cases":{"z":{}}}"#);
        let error = DataSet::open(&dir, 0).unwrap_err();
        assert_eq!(error.code(), "ERR_FORMAT");
        assert!(error.to_string().contains("\"z\""), "{error}");
    }
}
