//! From a checkpoint to a plan and its parameters.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use pulmoav_model::{ModelError, Network, Parameters, weights};
use pulmoav_plan::{LaCafVariant, PLAN_VERSION, Plan, PlanError};
use serde::Serialize;
use serde_json::{Value, json};

use super::card::card;
use super::error::{ImportError, variant_name};
use super::names::{BOTTLENECK, EMBEDDINGS, FIRST, IMAGE_ADAPTER, Layout, reason, variant_of, wanted};
use crate::container::Container;
use crate::error::told;
use crate::globals::Strangers;
use crate::tensors::{Dictionary, StoredTensor};

/// Published width of the bottleneck.
const PUBLISHED_WIDTH: usize = 512;
/// The patch's edge is so many times the edge of the bottleneck's grid.
const REDUCTION: usize = 8;
/// `textEncoder.id` of a plan whose embeddings came from a checkpoint, which does not say what made them.
const UNKNOWN_ENCODER: &str = "unknown";

/// What the importer cannot read off the tensors.
#[derive(Debug, Clone, Copy)]
pub struct ImportRequest<'a> {
    /// A config's plan as JSON: without version, text encoder and embeddings. Its network is read off the tensors, and
    /// so is its patch where the variant fixes it.
    pub plan: &'a str,
    /// The variant, where it is not to be told by the tensors.
    pub variant: Option<LaCafVariant>,
}

/// A checkpoint made ready.
#[derive(Debug)]
pub struct Imported {
    /// The plan, complete.
    pub plan: Plan,
    /// The network's parameters, in our layout.
    pub parameters: Parameters,
    /// What became of every tensor.
    pub report: ImportReport,
}

/// What became of every tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Name of the file, without its folder.
    pub file: String,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// `PyTorch zip`, `PyTorch legacy` or `safetensors`.
    pub container: &'static str,
    /// The dictionary that was taken, `net` for instance; empty at the top.
    pub key: String,
    /// What every name began with, `module.` for instance.
    pub prefix: String,
    /// The variant that was told or found.
    pub variant: LaCafVariant,
    /// Published widths are divided by this.
    pub width_divisor: usize,
    /// The patch, voxels, `[z, y, x]`.
    pub patch: [usize; 3],
    /// Tensors that are part of the model, sorted.
    pub mapped: Vec<MappedTensor>,
    /// Tensors that are not, sorted.
    pub unused: Vec<UnusedTensor>,
}

/// A tensor that is part of the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MappedTensor {
    /// Its name, without the prefix.
    pub name: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Its type in the file, `float32` for instance.
    pub data_type: &'static str,
}

/// A tensor that nothing uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnusedTensor {
    /// Its name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Why nothing uses it.
    pub reason: &'static str,
}

/// Writes the model directory of a checkpoint.
///
/// # Errors
/// As [`read`], and what [`weights::save`] refuses.
pub fn import(file: &Path, directory: &Path, request: ImportRequest) -> Result<ImportReport, ImportError> {
    let Imported { plan, parameters, report } = read(file, request)?;
    weights::save(directory, &plan, &parameters, Some(&card(&plan, &report)))?;
    Ok(report)
}

/// Reads a checkpoint of the published family. Nothing in the file is executed.
///
/// # Errors
/// [`ImportError`].
pub fn read(file: &Path, request: ImportRequest) -> Result<Imported, ImportError> {
    let (mut container, contents) = Container::open(file, Strangers::Refused)?;
    let Chosen { key, prefix, mut tensors, others: mut unused } = choose(file, contents.dictionaries)?;
    let variant = request.variant.or_else(|| variant_of(tensors.keys().map(String::as_str)));
    let variant =
        variant.ok_or_else(|| other_family(file, "it has parts of neither variant; name one with --variant"))?;
    let draft = draft(request.plan)?;
    let prompts = prompt_count(file, &tensors, &draft, variant)?;
    let taken = take(file, &mut tensors, variant, prompts)?;
    container.bound(taken.values().map(|taken| &taken.tensor))?;

    let (mut parameters, mut embeddings) = (BTreeMap::new(), Vec::new());
    for (name, Taken { layout, tensor }) in &taken {
        let values = values(file, &mut container, name, layout.map_or(2, Layout::axes), tensor)?;
        if let Some(layout) = layout {
            let theirs = Tensor::from_vec(values, tensor.shape.clone(), &Device::Cpu).map_err(ModelError::from)?;
            parameters.insert(name.clone(), layout.ours(&theirs)?);
        } else {
            embeddings = values;
        }
    }
    let size = |name: &str, axis: usize| taken.get(name).map_or(0, |taken| taken.tensor.shape[axis]);
    let width_divisor = width_divisor(size(BOTTLENECK, 0))?;
    let edge = (variant == LaCafVariant::LaCaf).then(|| REDUCTION.saturating_mul(size(IMAGE_ADAPTER, 1)));
    let plan = complete(draft, variant, width_divisor, edge, size(EMBEDDINGS, 1), &embeddings)?;
    let mut parameters = Parameters::from_tensors(parameters)?;
    Network::build(&plan, &mut parameters)?;

    unused.extend(tensors.into_iter().map(|(name, tensor)| {
        let reason = reason(&name, variant);
        UnusedTensor { name: format!("{prefix}{name}"), shape: tensor.shape, reason }
    }));
    unused.sort_by(|a, b| a.name.cmp(&b.name));
    let mapped = taken.into_iter().map(|(name, Taken { tensor, .. })| MappedTensor {
        name,
        shape: tensor.shape,
        data_type: tensor.element.name(),
    });
    let report = ImportReport {
        file: file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        sha256: container.sha256()?,
        container: container.kind,
        key,
        prefix,
        variant,
        width_divisor,
        patch: plan.patch,
        mapped: mapped.collect(),
        unused,
    };
    Ok(Imported { plan, parameters, report })
}

/// A tensor that is part of the model; the prompts' embeddings have no layout.
struct Taken {
    layout: Option<Layout>,
    tensor: StoredTensor,
}

/// Takes every wanted tensor out of `tensors`.
fn take(
    file: &Path,
    tensors: &mut BTreeMap<String, StoredTensor>,
    variant: LaCafVariant,
    prompts: usize,
) -> Result<BTreeMap<String, Taken>, ImportError> {
    let layouts = wanted(variant, prompts).into_iter().map(|(name, layout)| (name, Some(layout)));
    let (mut taken, mut missing) = (BTreeMap::new(), Vec::new());
    for (name, layout) in layouts.chain([(EMBEDDINGS.to_owned(), None)]) {
        if let Some(tensor) = tensors.remove(&name) {
            taken.insert(name, Taken { layout, tensor });
        } else {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(taken);
    }
    missing.sort();
    Err(ImportError::Missing { path: file.to_owned(), variant, names: missing })
}

/// The dictionary that holds the network.
struct Chosen {
    key: String,
    prefix: String,
    /// By name without the prefix.
    tensors: BTreeMap<String, StoredTensor>,
    /// Tensors whose names lack the prefix.
    others: Vec<UnusedTensor>,
}

/// The first dictionary with the family's first tensor, else the one with the most tensors that carry the family's
/// name.
fn choose(file: &Path, dictionaries: Vec<Dictionary>) -> Result<Chosen, ImportError> {
    let with_first = dictionaries.iter().position(|dictionary| prefix_of(dictionary).is_some());
    let family =
        |dictionary: &Dictionary| dictionary.tensors.iter().filter(|(name, _)| name.contains("backbone.")).count();
    let best = with_first.or_else(|| (0..dictionaries.len()).max_by_key(|&place| family(&dictionaries[place])));
    let Some(chosen) = best.and_then(|best| dictionaries.into_iter().nth(best)) else {
        return Err(other_family(file, "it holds no dictionary of tensors, such as a state_dict"));
    };
    if family(&chosen) == 0 {
        let names: Vec<String> = chosen.tensors.into_iter().map(|(name, _)| name).collect();
        let problem =
            format!("no tensor of it is called `backbone.…`, as this family's are; it holds {}", told(&names));
        return Err(ImportError::OtherFamily { path: file.to_owned(), problem });
    }
    let all_wrapped = chosen.tensors.iter().all(|(name, _)| name.starts_with("module."));
    let prefix = prefix_of(&chosen).unwrap_or_else(|| if all_wrapped { "module." } else { "" }.to_owned());
    let (mut tensors, mut others) = (BTreeMap::new(), Vec::new());
    for (name, tensor) in chosen.tensors {
        match name.strip_prefix(&prefix) {
            Some(short) => {
                tensors.insert(short.to_owned(), tensor);
            }
            None => {
                others.push(UnusedTensor { name, shape: tensor.shape, reason: "its name lacks the others' prefix" });
            }
        }
    }
    Ok(Chosen { key: chosen.key, prefix, tensors, others })
}

/// What stands before the family's first tensor.
fn prefix_of(dictionary: &Dictionary) -> Option<String> {
    let prefixes = dictionary.tensors.iter().filter_map(|(name, _)| name.strip_suffix(FIRST));
    prefixes.filter(|prefix| prefix.is_empty() || prefix.ends_with('.')).map(str::to_owned).next()
}

/// The request's plan, as far as it can be told without the tensors.
fn draft(plan: &str) -> Result<Value, ImportError> {
    let draft: Value = serde_json::from_str(plan).map_err(PlanError::from)?;
    let targets = draft["targets"].as_array();
    if draft["tiles"].is_object() && targets.is_some_and(|targets| targets.iter().all(Value::is_object)) {
        return Ok(draft);
    }
    let (field, found) = ("plan".to_owned(), "something else".to_owned());
    Err(PlanError::Invalid { field, found, expected: "an object with `tiles` and a list of `targets`".to_owned() }
        .into())
}

/// Rows of the embeddings, which must be as many as the plan's targets.
fn prompt_count(
    file: &Path,
    tensors: &BTreeMap<String, StoredTensor>,
    draft: &Value,
    variant: LaCafVariant,
) -> Result<usize, ImportError> {
    let names = vec![EMBEDDINGS.to_owned()];
    let embeddings =
        tensors.get(EMBEDDINGS).ok_or_else(|| ImportError::Missing { path: file.to_owned(), variant, names })?;
    let &[found, _] = embeddings.shape.as_slice() else { return Err(of_other_rank(EMBEDDINGS, embeddings, 2)) };
    let given = draft["targets"].as_array().map_or(0, Vec::len);
    if found == given { Ok(found) } else { Err(ImportError::PromptCount { found, given }) }
}

fn values(
    file: &Path,
    container: &mut Container,
    name: &str,
    axes: usize,
    tensor: &StoredTensor,
) -> Result<Vec<f32>, ImportError> {
    if tensor.shape.len() != axes || tensor.shape.contains(&0) {
        return Err(of_other_rank(name, tensor, axes));
    }
    let storage = container.storage(&tensor.storage);
    let values = storage.and_then(|bytes| tensor.values(name, bytes)).map_err(|fault| fault.of(file))?;
    if values.iter().all(|value| value.is_finite()) {
        return Ok(values);
    }
    Err(wrong(name, "not finite everywhere".to_owned(), "finite numbers".to_owned()))
}

fn width_divisor(bottleneck: usize) -> Result<usize, ImportError> {
    if bottleneck > 0 && PUBLISHED_WIDTH.is_multiple_of(bottleneck) {
        return Ok(PUBLISHED_WIDTH / bottleneck);
    }
    let expected = format!("{PUBLISHED_WIDTH} of them, or {PUBLISHED_WIDTH} divided by 2, 4, 8, 16 or 32");
    Err(wrong(BOTTLENECK, format!("of {bottleneck} channels"), expected))
}

/// The draft with what the tensors say.
fn complete(
    mut plan: Value,
    variant: LaCafVariant,
    width_divisor: usize,
    edge: Option<usize>,
    text_width: usize,
    embeddings: &[f32],
) -> Result<Plan, ImportError> {
    if let Some(edge) = edge {
        plan["patch"] = json!([edge, edge, edge]);
    }
    plan["tiles"]["tile"] = plan["patch"].clone();
    plan["version"] = json!(PLAN_VERSION);
    plan["textEncoder"] = json!({ "id": UNKNOWN_ENCODER, "sha256": "" });
    plan["network"] = json!({
        "preset": "la-caf",
        "variant": variant_name(variant),
        "widthDivisor": width_divisor,
        "textWidth": text_width,
    });
    let rows = embeddings.chunks(text_width.max(1));
    for (target, embedding) in plan["targets"].as_array_mut().into_iter().flatten().zip(rows) {
        target["embedding"] = json!(embedding);
    }
    Ok(Plan::from_json(&plan.to_string())?)
}

fn of_other_rank(name: &str, tensor: &StoredTensor, axes: usize) -> ImportError {
    wrong(name, format!("of shape {:?}", tensor.shape), format!("{axes} axes, none of them empty"))
}

fn wrong(name: &str, found: String, expected: String) -> ImportError {
    ImportError::Model(ModelError::WrongTensor { name: name.to_owned(), found, expected })
}

fn other_family(file: &Path, problem: &str) -> ImportError {
    ImportError::OtherFamily { path: file.to_owned(), problem: problem.to_owned() }
}
