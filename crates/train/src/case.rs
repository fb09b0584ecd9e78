//! A data set: nnU-Net's folders, plus what is annotated in each case.
//!
//! `imagesTr/NAME_0000.nii.gz`, `labelsTr/NAME.nii.gz` (0 background, 1 artery, 2 vein), `dataset.json` with nnU-Net's own
//! keys and `cases: { NAME: { annotated: { sides, classes }, phase } }`. A case that is not named there is annotated in full.
//! `airwaysTr/NAME.nii.gz` (1 in bronchi and windpipe) may stand beside them: plans with that auxiliary map learn from it.
//! Validation is every fifth case in the order of names, or what fold 0 of `splits_final.json` says.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use pulmoav_plan::{BodySide, VesselClass};
use serde::Deserialize;

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
    /// `ERR_IO` if a folder or `dataset.json` is missing, `ERR_FORMAT` if it is malformed, names a case that is not there,
    /// or a label map has no image.
    pub fn open(dir: &Path) -> Result<Self, TrainError> {
        let description = Description::read(&dir.join("dataset.json"))?;
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
        let cases = names.iter().map(|name| case(dir, name, ending, &description)).collect::<Result<Vec<_>, _>>()?;
        let (training, validation) = split(dir, &names)?;
        Ok(Self { cases, training, validation })
    }
}

#[derive(Deserialize)]
struct Description {
    file_ending: Option<String>,
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

fn case(dir: &Path, name: &str, ending: &str, description: &Description) -> Result<Case, TrainError> {
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
    Ok(Case {
        name: name.to_owned(),
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
    Ok((find(&fold.train)?, find(&fold.val)?))
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
    fn unknown_names_are_refused() {
        let dir = folder("unknown", &["a"], r#"{"cases":{"z":{}}}"#);
        let error = DataSet::open(&dir).unwrap_err();
        assert_eq!(error.code(), "ERR_FORMAT");
        assert!(error.to_string().contains("\"z\""), "{error}");
    }
}
