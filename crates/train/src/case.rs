//! A data set: nnU-Net's folders, plus what is annotated in each case.
//!
//! `imagesTr/NAME_0000.nii.gz`, `labelsTr/NAME.nii.gz` (values as `labels` of `dataset.json` says; without it 0
//! background, 1 artery, 2 vein), `dataset.json` with nnU-Net's own keys and `cases: { NAME: { annotated: { sides,
//! classes }, phase } }`. A case that is not named there is annotated in full. `airwaysTr/NAME.nii.gz` (1 in bronchi
//! and windpipe) may stand beside them: plans with that auxiliary map learn from it. Validation is every fifth case in
//! the order of names, or what fold 0 of `splits_final.json` says.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use pulmoav_plan::{BodySide, VesselClass};
use serde::Deserialize;
use serde_json::Value;

use crate::error::TrainError;

/// One scan with its reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name without channel and ending.
    pub name: String,
    /// The CT.
    pub image: PathBuf,
    /// The reference label map.
    pub label: PathBuf,
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

/// Which sides and classes of a case were annotated; the rest carries no loss.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Annotated {
    /// The patient's sides.
    #[serde(default = "both_sides")]
    pub sides: Vec<BodySide>,
    /// Vessel classes.
    #[serde(default = "both_classes")]
    pub classes: Vec<VesselClass>,
}

impl Default for Annotated {
    fn default() -> Self {
        Self { sides: both_sides(), classes: both_classes() }
    }
}

impl Annotated {
    /// Both lungs and both classes.
    pub fn is_full(&self) -> bool {
        self.sides.len() == 2 && self.classes.len() == 2
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
    /// Reads the folder's lists; no voxel is touched.
    ///
    /// # Errors
    /// `ERR_IO` if a folder or `dataset.json` is missing, `ERR_FORMAT` if it is malformed, names a case that is not
    /// there, or a label map has no image.
    pub fn open(dir: &Path) -> Result<Self, TrainError> {
        let file = dir.join("dataset.json");
        let description = Description::read(&file)?;
        let values = description.values().map_err(|problem| TrainError::format(&file, problem))?;
        description.check_channels().map_err(|problem| TrainError::format(&file, problem))?;
        let ending = description.file_ending.as_deref().unwrap_or(".nii.gz");
        let names = label_names(&dir.join("labelsTr"), ending)?;
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
        let (training, validation) = split(dir, &names)?;
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
                format!("has no label map labelsTr/{name}{ending}; add it, or take the image out of imagesTr"),
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
        return Err(TrainError::format(&image, format!("missing, though labelsTr/{name}{ending} exists")));
    }
    let described = description.cases.get(name);
    let annotated = described.map_or_else(Annotated::default, |d| d.annotated.clone());
    if annotated.sides.is_empty() || annotated.classes.is_empty() {
        return Err(TrainError::format(
            &dir.join("dataset.json"),
            format!("case {name}: annotated.sides and annotated.classes need at least one entry each"),
        ));
    }
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
        label: dir.join("labelsTr").join(format!("{name}{ending}")),
        annotated,
        phase: described.and_then(|d| d.phase.clone()),
        airways: Some(dir.join("airwaysTr").join(format!("{name}{ending}"))).filter(|path| path.is_file()),
    })
}

/// Indices to learn from and to score.
fn split(dir: &Path, names: &BTreeSet<String>) -> Result<(Vec<usize>, Vec<usize>), TrainError> {
    let path = dir.join("splits_final.json");
    if !path.is_file() {
        let (validation, training) = (0..names.len()).partition(|index| index % 5 == 4);
        return Ok((training, validation));
    }
    let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
    let folds: Vec<Fold> = serde_json::from_str(&text).map_err(|error| TrainError::format(&path, error.to_string()))?;
    let fold =
        folds.first().ok_or_else(|| TrainError::format(&path, "empty list; expected at least one { train, val }"))?;
    let index_of: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let find = |list: &[String]| {
        list.iter()
            .map(|name| {
                index_of
                    .get(name.as_str())
                    .copied()
                    .ok_or_else(|| TrainError::format(&path, format!("{name:?} is not in labelsTr")))
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let (training, validation) = (find(&fold.train)?, find(&fold.val)?);
    if let Some(&both) = training.iter().find(|index| validation.contains(index)) {
        let name = names.iter().nth(both).map_or("", String::as_str);
        return Err(TrainError::format(
            &path,
            format!("{name:?} is learnt from and validated on; expected every case in one of both lists"),
        ));
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
        let set = DataSet::open(&dir).unwrap();
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
        let set = DataSet::open(&dir).unwrap();
        assert_eq!((set.training, set.validation), (vec![2, 0], vec![1]));
    }

    #[test]
    fn labels_say_which_value_is_which_class() {
        let values = |labels: &str| {
            let dir = folder("labels", &["a"], &format!(r#"{{"labels":{labels}}}"#));
            DataSet::open(&dir).map(|set| set.cases[0].values).map_err(|error| error.to_string())
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
            DataSet::open(&dir).unwrap_err().to_string()
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
    fn unknown_names_are_refused() {
        let dir = folder("unknown", &["a"], r#"{"cases":{"z":{}}}"#);
        let error = DataSet::open(&dir).unwrap_err();
        assert_eq!(error.code(), "ERR_FORMAT");
        assert!(error.to_string().contains("\"z\""), "{error}");
    }
}
