//! From a checkpoint's `network_weights` to the network's parameters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use pulmoav_model::{ModelError, Parameters};

use super::error::FolderError;
use super::names::{Layout, Wanted, canonical};
use crate::container::{Container, Contents};
use crate::facts::{Fact, Facts};
use crate::globals::Strangers;
use crate::tensors::StoredTensor;

/// Where a checkpoint keeps its network.
const WEIGHTS: &str = "network_weights";
/// What a network wrapped for several devices puts before every name.
const WRAPPED: &str = "module.";
/// What only batch norms have.
const BATCH_NORM: [&str; 3] = [".running_mean", ".running_var", ".num_batches_tracked"];

/// An open checkpoint of a fold.
pub(super) struct State {
    pub(super) path: PathBuf,
    pub(super) container: Container,
    pub(super) facts: Facts,
    tensors: BTreeMap<String, StoredTensor>,
    /// What is no tensor that can be read, with the reason.
    others: BTreeMap<String, String>,
}

/// What a checkpoint holds of the network, compared with what is wanted; nothing read yet.
#[derive(Debug)]
pub(super) struct Checked {
    used: Vec<Used>,
    /// Tensors that stand there a second time.
    pub(super) duplicates: usize,
    /// Tensors for training alone.
    pub(super) unused: usize,
}

#[derive(Debug)]
struct Used {
    name: String,
    layout: Layout,
    tensor: StoredTensor,
    /// The same tensor under other names, where it lies elsewhere in the file.
    copies: Vec<(String, StoredTensor)>,
}

impl Checked {
    /// Numbers that the answer depends on.
    pub(super) fn parameters(&self) -> usize {
        self.used.iter().filter_map(|used| used.tensor.count()).sum()
    }
}

impl State {
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let (container, Contents { dictionaries, facts }) = Container::open(path, Strangers::Ignored)?;
        let Some(weights) = dictionaries.into_iter().find(|dictionary| dictionary.key == WEIGHTS) else {
            let problem = format!("it holds no tensors under `{WEIGHTS}`, as nnU-Net v2's checkpoints do");
            return Err(FolderError::NoTensor { path: path.to_owned(), key: WEIGHTS.to_owned(), problem });
        };
        let is_wrapped = weights.tensors.iter().all(|(name, _)| name.starts_with(WRAPPED));
        let bare = |name: String| if is_wrapped { name[WRAPPED.len()..].to_owned() } else { name };
        let tensors = weights.tensors.into_iter().map(|(name, tensor)| (bare(name), tensor)).collect();
        let others = weights.others.into_iter().collect();
        Ok(Self { path: path.to_owned(), container, facts, tensors, others })
    }

    /// A text among the plain values.
    pub(super) fn text(&self, key: &str) -> Result<&str, FolderError> {
        match self.facts.get(key) {
            Some(Fact::Text(text)) => Ok(text),
            other => Err(self.wrong(key, other, "text")),
        }
    }

    /// Axes along which mirrored copies may be averaged.
    pub(super) fn mirror_axes(&self) -> Result<Vec<usize>, FolderError> {
        let key = "inference_allowed_mirroring_axes";
        match self.facts.get(key) {
            None | Some(Fact::Nothing) => Ok(Vec::new()),
            Some(Fact::Numbers(axes)) if axes.iter().all(|axis| (0..3).contains(axis)) => {
                Ok(axes.iter().map(|&axis| axis as usize).collect())
            }
            other => Err(self.wrong(key, other, "None or a tuple of axes 0 to 2")),
        }
    }

    fn wrong(&self, key: &str, found: Option<&Fact>, expected: &str) -> FolderError {
        let found = match found {
            None => "missing".to_owned(),
            Some(Fact::Nothing) => "None".to_owned(),
            Some(Fact::Text(text)) => format!("`{}`", text.escape_debug()),
            Some(Fact::Number(number)) => number.to_string(),
            Some(Fact::Numbers(numbers)) => format!("{numbers:?}"),
            Some(Fact::Other) => "no plain value".to_owned(),
        };
        let (path, field, expected) = (self.path.clone(), key.to_owned(), expected.to_owned());
        FolderError::Field { path, field, found, expected }
    }

    /// Compares the tensors with what the network wants: names and shapes.
    pub(super) fn check(&self, wanted: Vec<Wanted>) -> Result<Checked, FolderError> {
        if let Some(key) = self.tensors.keys().find(|name| BATCH_NORM.iter().any(|end| name.ends_with(end))) {
            return Err(FolderError::BatchNorm { path: self.path.clone(), key: key.clone() });
        }
        self.check_present(&wanted)?;
        let mut copies: BTreeMap<String, Vec<(String, StoredTensor)>> = BTreeMap::new();
        let (mut extra, mut duplicates) = (Vec::new(), 0);
        let by_name: BTreeMap<&str, &Wanted> = wanted.iter().map(|wanted| (wanted.name.as_str(), wanted)).collect();
        for (name, tensor) in &self.tensors {
            let own = canonical(name);
            let Some(wanted) = by_name.get(own.as_deref().unwrap_or(name)) else {
                extra.push((name, tensor));
                continue;
            };
            if tensor.shape != wanted.shape {
                return Err(FolderError::MisshapenTensor {
                    path: self.path.clone(),
                    key: name.clone(),
                    found: tensor.shape.clone(),
                    expected: wanted.shape.clone(),
                });
            }
            if let Some(own) = own {
                duplicates += 1;
                if self.tensors.get(&own) != Some(tensor) {
                    copies.entry(own).or_default().push((name.clone(), tensor.clone()));
                }
            }
        }
        if let Some((key, tensor)) = extra.first() {
            let (path, key, found) = (self.path.clone(), (*key).clone(), tensor.shape.clone());
            return Err(FolderError::ExtraTensor { path, key, found, count: extra.len() });
        }
        let unused = wanted.iter().filter(|wanted| !wanted.used && self.tensors.contains_key(&wanted.name)).count();
        let used = wanted.into_iter().filter(|wanted| wanted.used).filter_map(|Wanted { name, layout, .. }| {
            let tensor = self.tensors.get(&name)?.clone();
            let copies = copies.remove(&name).unwrap_or_default();
            Some(Used { name, layout, tensor, copies })
        });
        Ok(Checked { used: used.collect(), duplicates, unused })
    }

    /// Every tensor that the answer depends on is there.
    fn check_present(&self, wanted: &[Wanted]) -> Result<(), FolderError> {
        let is_missing = |wanted: &&Wanted| wanted.used && !self.tensors.contains_key(&wanted.name);
        let Some(first) = wanted.iter().find(is_missing) else { return Ok(()) };
        let (path, key) = (self.path.clone(), first.name.clone());
        if let Some(problem) = self.others.get(&first.name) {
            return Err(FolderError::NoTensor { path, key, problem: problem.clone() });
        }
        let count = wanted.iter().filter(is_missing).count();
        Err(FolderError::MissingTensor { path, key, expected: first.shape.clone(), count })
    }

    /// Reads the parameters, in our layout.
    pub(super) fn parameters(&mut self, checked: &Checked) -> Result<Parameters, FolderError> {
        self.container.bound(checked.used.iter().map(|used| &used.tensor))?;
        let mut readers: BTreeMap<&str, usize> = BTreeMap::new();
        for Used { tensor, copies, .. } in &checked.used {
            for tensor in copies.iter().map(|(_, copy)| copy).chain([tensor]) {
                *readers.entry(&tensor.storage).or_default() += 1;
            }
        }
        let mut tensors = BTreeMap::new();
        for Used { name, layout, tensor, copies } in &checked.used {
            let values = self.values(name, tensor, &mut readers)?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(FolderError::NotFinite { path: self.path.clone(), key: name.clone() });
            }
            for (other, copy) in copies {
                if self.values(other, copy, &mut readers)? != values {
                    let (path, key, other) = (self.path.clone(), name.clone(), other.clone());
                    return Err(FolderError::Disagreement { path, key, other });
                }
            }
            let (values, shape) = layout.ours(values, &tensor.shape);
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).map_err(ModelError::from)?;
            tensors.insert(name.clone(), tensor);
        }
        Ok(Parameters::from_tensors(tensors)?)
    }

    /// A tensor's numbers; its storage is let go behind the last of its readers.
    fn values(
        &mut self,
        name: &str,
        tensor: &StoredTensor,
        readers: &mut BTreeMap<&str, usize>,
    ) -> Result<Vec<f32>, FolderError> {
        let storage = self.container.storage(&tensor.storage);
        let values = storage.and_then(|bytes| tensor.values(name, bytes)).map_err(|fault| fault.of(&self.path));
        if let Some(left) = readers.get_mut(tensor.storage.as_str()) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.container.release(&tensor.storage);
            }
        }
        Ok(values?)
    }
}
