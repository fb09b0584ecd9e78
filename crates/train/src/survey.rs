//! What a data set's folders hold, with all that is wrong in its lists: no voxel is touched, and nothing stops it but a
//! folder or a `dataset.json` that cannot be read.

use std::collections::BTreeSet;
use std::path::Path;

use pulmoav_plan::BodySide;

use crate::case::{Annotated, Fold, Folder, channel};
use crate::error::TrainError;
use crate::finding::{Finding, Findings};

/// A data set by its lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Every case that an image, a label map or `dataset.json` names, by name.
    pub cases: Vec<SurveyedCase>,
    /// What is wrong, or worth knowing.
    pub findings: Vec<Finding>,
}

/// A case by its files.
#[derive(Debug, Clone, PartialEq)]
pub struct SurveyedCase {
    /// Its name.
    pub name: String,
    /// Whether its files are all there, so that its voxels can be looked at.
    pub whole: bool,
    /// Whether it has a label map.
    pub labelled: bool,
    /// Whether both lungs, what lies between them and both classes are annotated.
    pub full: bool,
    /// What is annotated.
    pub annotated: Annotated,
}

/// Looks through a data set's lists.
///
/// # Errors
/// `ERR_IO` and `ERR_FORMAT` where a folder or `dataset.json` cannot be read, or `labels` cannot be understood.
pub fn survey(dir: &Path) -> Result<Survey, TrainError> {
    let folder = Folder::read(dir)?;
    let mut findings = Findings::of_set();
    if let Err(problem) = folder.description.check_channels() {
        findings.error("NOT_CT", problem, "name CT under channel_names, or choose a data set of CT");
    }
    for warning in &folder.warnings {
        findings.warning(warning.code, warning.message.clone(), "nothing, if that is meant");
    }
    let mut findings = findings.list;
    let mut names = folder.names();
    names.extend(folder.description.cases.keys().cloned());
    for stem in &folder.images {
        match channel(stem) {
            Some((name, "0000")) => drop(names.insert(name.to_owned())),
            Some((name, _)) => {
                let mut of_case = Findings::of_case(name);
                let message = format!("imagesTr/{stem}{} is a second channel", folder.ending);
                of_case.error("SECOND_CHANNEL", message, "take it out: the CT alone is learnt from (NAME_0000)");
                findings.extend(of_case.list);
            }
            None => {}
        }
    }
    if names.is_empty() {
        let mut empty = Findings::of_set();
        let message = format!("no case: imagesTr and labelsTr hold no file ending in {}", folder.ending);
        empty.error("NO_CASES", message, "add images and label maps, or set file_ending in dataset.json");
        findings.extend(empty.list);
    }
    let cases: Vec<SurveyedCase> = names.iter().map(|name| look_at(&folder, name, &mut findings)).collect();
    findings.extend(check_splits(dir, &cases));
    Ok(Survey { cases, findings })
}

/// A side's name in reports.
pub fn side_name(side: BodySide) -> &'static str {
    match side {
        BodySide::Left => "left",
        BodySide::Right => "right",
    }
}

fn look_at(folder: &Folder, name: &str, all: &mut Vec<Finding>) -> SurveyedCase {
    let annotated = folder.annotated(name);
    let mut findings = Findings::of_case(name);
    let ending = &folder.ending;
    let labelled = folder.labels.contains_key(name);
    if !folder.images.contains(&format!("{name}_0000")) {
        let message = format!("imagesTr/{name}_0000{ending} does not exist");
        findings.error("MISSING_IMAGE", message, "add the CT, or take the case out");
    }
    if !labelled && !annotated.is_empty() {
        let message = format!("labelsTr/{name}{ending} does not exist");
        let remedy = "add the label map, or say that the scan is unlabelled: \"annotated\": {\"sides\": []}";
        findings.error("MISSING_LABEL", message, remedy);
    }
    if findings.list.is_empty()
        && let Err(error) = folder.case(name)
    {
        findings.error("CLASS_WITHOUT_VALUE", error.to_string(), "name the class, or list annotated.classes");
    }
    let whole = findings.list.is_empty();
    all.extend(findings.list);
    let labelled = labelled && !annotated.is_empty();
    SurveyedCase { name: name.to_owned(), whole, labelled, full: labelled && annotated.is_full(), annotated }
}

fn check_splits(dir: &Path, cases: &[SurveyedCase]) -> Vec<Finding> {
    const REMEDY: &str = "mend splits_final.json, or remove it and let \"pulmoav plan DATA --folds 5\" write it";
    let mut findings = Findings::of_set();
    let path = dir.join("splits_final.json");
    if !path.is_file() {
        return findings.list;
    }
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    match text.and_then(|text| serde_json::from_str::<Vec<Fold>>(&text).map_err(|error| error.to_string())) {
        Err(problem) => findings.error("BAD_SPLITS", format!("splits_final.json: {problem}"), REMEDY),
        Ok(folds) => {
            let is_labelled =
                |name: &str| cases.iter().find(|case| case.name == name).map(|case| !case.annotated.is_empty());
            let problems: BTreeSet<String> = folds.iter().filter_map(|fold| fold.problem(is_labelled)).collect();
            for problem in problems {
                findings.error("BAD_SPLITS", format!("splits_final.json: {problem}"), REMEDY);
            }
        }
    }
    findings.list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        let dir = std::env::temp_dir().join(format!("pulmoav-survey-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let touch = |path: &str| {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, []).unwrap();
        };
        for path in [
            "imagesTr/a_0000.nii.gz",
            "imagesTr/a_0001.nii.gz",
            "imagesTr/c_0000.nii.gz",
            "labelsTr/a.nii.gz",
            "labelsTr/b.nii.gz",
        ] {
            touch(path);
        }
        let description = r#"{"labels":{"background":0,"artery":1,"vein":2,"lung":3},"cases":{"d":{}}}"#;
        std::fs::write(dir.join("dataset.json"), description).unwrap();
        std::fs::write(dir.join("splits_final.json"), r#"[{"train":["a"],"val":["a"]}]"#).unwrap();
        let found = survey(&dir).unwrap();
        let codes: Vec<(Option<&str>, &str)> =
            found.findings.iter().map(|finding| (finding.case.as_deref(), finding.code)).collect();
        assert_eq!(
            codes,
            [
                (None, "LABELS_IGNORED"),
                (Some("a"), "SECOND_CHANNEL"),
                (Some("b"), "MISSING_IMAGE"),
                (Some("c"), "MISSING_LABEL"),
                (Some("d"), "MISSING_IMAGE"),
                (Some("d"), "MISSING_LABEL"),
                (None, "BAD_SPLITS"),
            ]
        );
        let whole: Vec<bool> = found.cases.iter().map(|case| case.whole).collect();
        assert_eq!(whole, [true, false, false, false]);
    }
}
