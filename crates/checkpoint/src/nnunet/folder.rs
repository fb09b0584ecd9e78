//! Where the files of a model folder are.

use std::path::{Path, PathBuf};

use super::error::FolderError;

/// The name that nnU-Net gives to the weights of the last epoch.
const FINAL: &str = "checkpoint_final.pth";
/// The name that it gives to those of the best epoch.
const BEST: &str = "checkpoint_best.pth";
/// Files of nnU-Net v1.
const VERSION_1: [&str; 3] = ["plans.pkl", "model_final_checkpoint.model", "model_final_checkpoint.model.pkl"];

/// Which model is meant.
#[derive(Debug, Clone, Copy)]
pub struct FolderRequest<'a> {
    /// The trainer's folder: `TRAINER__PLANS__CONFIGURATION`.
    pub dir: &'a Path,
    /// Names of folds, `0` or `all` for instance, in the order in which their answers are added; `None`: every numbered
    /// fold that has the checkpoint.
    pub folds: Option<&'a [String]>,
    /// File name of the checkpoint; nnU-Net's own choice is `checkpoint_final.pth`.
    pub checkpoint: &'a str,
}

/// The files of a model folder.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) plans: PathBuf,
    pub(super) dataset: PathBuf,
    /// Folds by name, each with its checkpoint.
    pub(super) folds: Vec<(String, PathBuf)>,
}

impl Files {
    pub(super) fn find(request: &FolderRequest) -> Result<Self, FolderError> {
        let &FolderRequest { dir, folds, checkpoint } = request;
        let is_name = !checkpoint.is_empty() && !checkpoint.contains(['/', '\\']) && checkpoint != "..";
        if !is_name {
            let wanted = "file name of a checkpoint, such as `checkpoint_final.pth`";
            return Err(FolderError::Request { given: checkpoint.to_owned(), wanted });
        }
        let entries = entries(dir)?;
        check_kind(dir, &entries)?;
        let (plans, dataset) = (dir.join("plans.json"), dir.join("dataset.json"));
        if !dataset.is_file() {
            let problem = "it has a plans.json, but no dataset.json beside it".to_owned();
            return Err(FolderError::NotAModel { path: dir.to_owned(), problem });
        }
        let folds = match folds {
            Some(named) => named_folds(dir, named, checkpoint)?,
            None => numbered_folds(dir, &entries, checkpoint)?,
        };
        Ok(Self { plans, dataset, folds })
    }
}

/// Names of what lies in a folder, sorted.
fn entries(dir: &Path) -> Result<Vec<String>, FolderError> {
    let not = |problem: &str| FolderError::NotAModel { path: dir.to_owned(), problem: problem.to_owned() };
    if dir.is_file() {
        return Err(not("it is a file; name the folder with plans.json in it"));
    }
    let io = |source| FolderError::Io { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        names.extend(entry.map_err(io)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Refuses folders without plans, and says where they may be.
fn check_kind(dir: &Path, entries: &[String]) -> Result<(), FolderError> {
    if dir.join("plans.json").is_file() {
        return Ok(());
    }
    let not = |problem: String| Err(FolderError::NotAModel { path: dir.to_owned(), problem });
    let is_old = |folder: &Path| VERSION_1.iter().any(|name| folder.join(name).exists());
    if is_old(dir) || entries.iter().any(|name| name.starts_with("fold_") && is_old(&dir.join(name))) {
        return not("it was written by nnU-Net v1 (plans.pkl); supported: nnU-Net v2".to_owned());
    }
    let trainers: Vec<&str> =
        entries.iter().map(String::as_str).filter(|name| dir.join(name).join("plans.json").is_file()).collect();
    if let [first, ..] = trainers.as_slice() {
        let problem =
            format!("it is a data set's folder; name the trainer's folder inside, `{}`", dir.join(first).display());
        return not(if trainers.len() > 1 { format!("{problem} or another of {}", trainers.len()) } else { problem });
    }
    if let Some(parent) = dir.parent().filter(|parent| parent.join("plans.json").is_file()) {
        return not(format!("it is a fold's folder; name the trainer's folder around it, `{}`", parent.display()));
    }
    not("it has no plans.json; expected TRAINER__PLANS__CONFIGURATION with plans.json, dataset.json and fold_0"
        .to_owned())
}

fn named_folds(dir: &Path, named: &[String], checkpoint: &str) -> Result<Vec<(String, PathBuf)>, FolderError> {
    let mut folds: Vec<(String, PathBuf)> = Vec::with_capacity(named.len());
    for name in named {
        let is_number = !name.is_empty() && name.len() <= 4 && name.bytes().all(|byte| byte.is_ascii_digit());
        if (!is_number && name != "all") || folds.iter().any(|(earlier, _)| earlier == name) {
            let wanted = "fold; expected numbers such as 0, or `all`, each once";
            return Err(FolderError::Request { given: name.clone(), wanted });
        }
        let folder = dir.join(format!("fold_{name}"));
        if !folder.is_dir() {
            return Err(no_checkpoint(dir, format!("has no fold {name}; {}", there(dir, checkpoint))));
        }
        let file = folder.join(checkpoint);
        if !file.is_file() {
            return Err(no_checkpoint(&folder, format!("has no {checkpoint}{}", others(&folder, checkpoint))));
        }
        folds.push((name.clone(), file));
    }
    if folds.is_empty() {
        let wanted = "list of folds; expected numbers such as 0, or `all`";
        return Err(FolderError::Request { given: String::new(), wanted });
    }
    Ok(folds)
}

/// Numbered folds with the checkpoint, by name as nnU-Net sorts them.
fn numbered_folds(dir: &Path, entries: &[String], checkpoint: &str) -> Result<Vec<(String, PathBuf)>, FolderError> {
    let numbers = entries.iter().filter_map(|name| name.strip_prefix("fold_"));
    let numbers: Vec<&str> =
        numbers.filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())).collect();
    let with = |name: &&str| (name.to_string(), dir.join(format!("fold_{name}")).join(checkpoint));
    let found: Vec<(String, PathBuf)> = numbers.iter().map(with).filter(|(_, file)| file.is_file()).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let all = dir.join("fold_all");
    if all.join(checkpoint).is_file() {
        let problem = "has no numbered fold, but fold_all; ask for fold `all`";
        return Err(no_checkpoint(dir, problem.to_owned()));
    }
    let folders = numbers.iter().map(|name| dir.join(format!("fold_{name}"))).chain([all]);
    let Some(first) = folders.into_iter().find(|folder| folder.is_dir()) else {
        return Err(no_checkpoint(dir, "has no fold; expected folders fold_0, fold_1, … or fold_all".to_owned()));
    };
    Err(no_checkpoint(&first, format!("has no {checkpoint}{}", others(&first, checkpoint))))
}

/// The folds that are there, in words.
fn there(dir: &Path, checkpoint: &str) -> String {
    let names: Vec<String> = entries(dir).unwrap_or_default();
    let folds: Vec<&str> = names
        .iter()
        .filter(|name| dir.join(name).join(checkpoint).is_file())
        .filter_map(|name| name.strip_prefix("fold_"))
        .collect();
    if folds.is_empty() { "no fold has that checkpoint".to_owned() } else { format!("it has {}", folds.join(", ")) }
}

/// Other checkpoints that are there, in words.
fn others(folder: &Path, checkpoint: &str) -> String {
    let known = [FINAL, BEST].into_iter().find(|name| *name != checkpoint && folder.join(name).is_file());
    let is_checkpoint = |name: &String| Path::new(name).extension().is_some_and(|ending| ending == "pth");
    let any = || entries(folder).unwrap_or_default().into_iter().find(is_checkpoint);
    match known.map(str::to_owned).or_else(any) {
        Some(name) => format!(", but {name}; ask for that checkpoint by its name"),
        None => " and no other checkpoint".to_owned(),
    }
}

fn no_checkpoint(path: &Path, problem: String) -> FolderError {
    FolderError::NoCheckpoint { path: path.to_owned(), problem }
}
