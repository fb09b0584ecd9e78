//! A model directory: `model.safetensors` (its metadata key `plan` is the truth), `plan.json` (a copy), `card.md`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use pulmoav_plan::Plan;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

use crate::{ModelError, Network, Parameters, prompt_embeddings};

/// File of the tensors and the plan.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// File of the plan's copy.
pub const PLAN_FILE: &str = "plan.json";
/// File of the model card.
pub const CARD_FILE: &str = "card.md";
/// Metadata key of the plan.
const PLAN_KEY: &str = "plan";
/// Metadata key of the tensors' [`tensors_hash`]; files from before it was written lack it.
const HASH_KEY: &str = "tensors-sha256";
/// Tensor of the targets' embeddings, `[p, text_width]`, as they stand in the plan.
const PROMPTS: &str = "prompts.embeddings";
/// Names of tensors that travel along and are not the network's.
const FROZEN: [&str; 2] = ["text.", "prompts."];
/// Largest weights file that is read, bytes.
const MAX_BYTES: u64 = 16 << 30;

/// Reads a model directory and checks all of it: plan, copy, every tensor's name, shape and type, finite values, and
/// that all are to the bit what was saved (where the file holds their hash).
///
/// The parameters are the plan's network's, no more and no less; tensors named `text.*` are among the frozen ones.
///
/// # Errors
/// [`ModelError`]; a damaged file is one clear [`ModelError::Damaged`].
pub fn load(directory: &Path) -> Result<(Plan, Parameters), ModelError> {
    let path = directory.join(WEIGHTS_FILE);
    let bytes = read(&path)?;
    let (tensors, metadata) = open(&path, &bytes)?;
    let text = metadata.get(PLAN_KEY).ok_or_else(|| damaged(&path, "it holds no plan (metadata key `plan`)"))?;
    let plan = Plan::from_json(text)?;
    compare_copy(&directory.join(PLAN_FILE), &plan)?;

    let (mut trained, mut frozen) = (BTreeMap::new(), BTreeMap::new());
    for (name, view) in tensors.iter() {
        let tensor = read_tensor(name, &view)?;
        let is_frozen = FROZEN.iter().any(|prefix| name.starts_with(prefix));
        if is_frozen { &mut frozen } else { &mut trained }.insert(name.to_owned(), tensor);
    }
    check_prompts(frozen.remove(PROMPTS), &plan)?;
    for (name, tensor) in &trained {
        check_trained(name, tensor)?;
    }
    let mut parameters = Parameters::from_tensors(trained)?;
    for (name, tensor) in frozen {
        parameters.set_frozen(name, tensor);
    }
    Network::build(&plan, &mut parameters)?;
    parameters.refuse_unasked()?;
    Ok((plan, parameters))
}

/// Writes a model directory; each file is replaced at once or not at all, the weights last.
///
/// # Errors
/// [`ModelError::Io`], or an invalid plan.
pub fn save(directory: &Path, plan: &Plan, parameters: &Parameters, card: Option<&str>) -> Result<(), ModelError> {
    plan.validate()?;
    let text = plan.to_json()?;
    std::fs::create_dir_all(directory).map_err(|source| io(directory, "write", source))?;
    if let Some(card) = card {
        replace(&directory.join(CARD_FILE), card.as_bytes())?;
    }
    let mut tensors: BTreeMap<String, Tensor> =
        parameters.iter().map(|(name, var)| (name.to_owned(), var.as_detached_tensor())).collect();
    tensors.extend(parameters.frozen_iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())));
    tensors.insert(PROMPTS.to_owned(), prompt_embeddings(plan)?);
    let bytes = to_bytes(&tensors, &[(PLAN_KEY, &text)])?;
    replace(&directory.join(PLAN_FILE), text.as_bytes())?;
    replace(&directory.join(WEIGHTS_FILE), &bytes)
}

/// Reads every tensor of a safetensors file.
///
/// # Errors
/// [`ModelError`]; a damaged file is one clear [`ModelError::Damaged`].
pub fn load_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let bytes = read(path)?;
    let (tensors, _) = open(path, &bytes)?;
    tensors.iter().map(|(name, view)| Ok((name.to_owned(), read_tensor(name, &view)?))).collect()
}

/// Writes tensors as a safetensors file, which is replaced at once or not at all.
///
/// # Errors
/// [`ModelError::Io`].
pub fn save_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), ModelError> {
    replace(path, &to_bytes(tensors, &[])?)
}

/// Tensors as a safetensors file, sorted by name: the same tensors give the same bytes.
fn to_bytes(tensors: &BTreeMap<String, Tensor>, metadata: &[(&str, &str)]) -> Result<Vec<u8>, ModelError> {
    let mut parts = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let flat = tensor.flatten_all()?;
        let (dtype, data): (_, Vec<u8>) = if tensor.dtype() == DType::F16 {
            (Dtype::F16, flat.to_vec1::<half::f16>()?.iter().flat_map(|v| v.to_le_bytes()).collect())
        } else {
            let values = flat.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        };
        parts.push((name, dtype, tensor.dims().to_vec(), data));
    }
    let mut views = BTreeMap::new();
    for (name, dtype, shape, data) in &parts {
        let view = TensorView::new(*dtype, shape.clone(), data).map_err(|error| unwritable(&error))?;
        views.insert(name.as_str(), view);
    }
    let hash = tensors_hash(&views);
    let metadata = metadata.iter().copied().chain([(HASH_KEY, hash.as_str())]).collect();
    let bytes = safetensors::serialize(views, None).map_err(|error| unwritable(&error))?;
    put_metadata(bytes, &metadata).ok_or_else(|| unwritable(&"a header without end"))
}

/// Puts metadata into a safetensors file that has none. The crate's own way leaves their order to chance.
fn put_metadata(mut bytes: Vec<u8>, metadata: &BTreeMap<&str, &str>) -> Option<Vec<u8>> {
    let end = 8 + usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let tensors = str::from_utf8(bytes.get(8..end)?).ok()?.trim_end().strip_prefix('{')?;
    let comma = if tensors == "}" { "" } else { "," };
    let mut header =
        format!("{{\"__metadata__\":{}{comma}{tensors}", serde_json::to_string(metadata).ok()?).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    bytes.splice(..end, length.into_iter().chain(header));
    Some(bytes)
}

fn unwritable(error: &dyn Display) -> ModelError {
    ModelError::Tensor(candle_core::Error::Msg(format!("tensors cannot be serialised: {error}")))
}

/// The tensors and the metadata of a safetensors file, which are whole and, where the file holds their hash, what was
/// saved.
fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<(SafeTensors<'a>, HashMap<String, String>), ModelError> {
    let broken = |error| damaged(path, format!("not a whole safetensors file ({error})"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    if let Some(saved) = metadata.get(HASH_KEY)
        && *saved != tensors_hash(&tensors.iter().collect())
    {
        return Err(damaged(path, "its numbers are not those that were saved (the SHA-256 of the tensors differs)"));
    }
    Ok((tensors, metadata))
}

/// SHA-256 over name, type, shape and bytes of every tensor, sorted by name, hex.
fn tensors_hash(tensors: &BTreeMap<&str, TensorView>) -> String {
    let mut hash = Sha256::new();
    for (name, view) in tensors {
        hash.update(format!("{name}\0{}\0{:?}\0", view.dtype(), view.shape()));
        hash.update(view.data());
    }
    format!("{:x}", hash.finalize())
}

/// Copies a tensor out of the file: f32 or f16.
fn read_tensor(name: &str, view: &TensorView) -> Result<Tensor, ModelError> {
    let (shape, data) = (view.shape(), view.data());
    Ok(match view.dtype() {
        Dtype::F32 => {
            let values: Vec<f32> = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)?
        }
        Dtype::F16 => {
            let values: Vec<half::f16> =
                data.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes)).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)?
        }
        other => {
            return Err(ModelError::WrongTensor {
                name: name.to_owned(),
                found: format!("of type {other:?}"),
                expected: "type F32 or F16".to_owned(),
            });
        }
    })
}

fn check_trained(name: &str, tensor: &Tensor) -> Result<(), ModelError> {
    let values = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(ModelError::WrongTensor {
        name: name.to_owned(),
        found: "not finite everywhere".to_owned(),
        expected: "finite numbers".to_owned(),
    })
}

/// The embeddings stand twice; they must be the plan's.
fn check_prompts(stored: Option<Tensor>, plan: &Plan) -> Result<(), ModelError> {
    let wanted = prompt_embeddings(plan)?;
    let stored =
        stored.ok_or_else(|| ModelError::MissingTensor { name: PROMPTS.to_owned(), shape: wanted.dims().to_vec() })?;
    let same = stored.dims() == wanted.dims()
        && stored.dtype() == wanted.dtype()
        && stored.flatten_all()?.to_vec1::<f32>()? == wanted.flatten_all()?.to_vec1::<f32>()?;
    if same {
        return Ok(());
    }
    Err(ModelError::WrongTensor {
        name: PROMPTS.to_owned(),
        found: format!("of shape {:?} with values of its own", stored.dims()),
        expected: format!("the plan's embeddings, shape {:?}", wanted.dims()),
    })
}

/// `plan.json` must say what the weights say.
fn compare_copy(path: &Path, plan: &Plan) -> Result<(), ModelError> {
    let bytes = read(path)?;
    let text = String::from_utf8(bytes).map_err(|_| damaged(path, "it is not text"))?;
    let copy = Plan::from_json(&text).map_err(|error| damaged(path, error.to_string()))?;
    if copy == *plan {
        return Ok(());
    }
    Err(damaged(path, "it differs from the plan inside the weights, which is the truth"))
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let length = std::fs::metadata(path).map_err(|source| io(path, "read", source))?.len();
    if length > MAX_BYTES {
        let problem = format!("it is {length} bytes long, more than the {MAX_BYTES} that are read");
        return Err(damaged(path, problem));
    }
    std::fs::read(path).map_err(|source| io(path, "read", source))
}

/// Writes beside the file, flushes to the disk, renames over it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let done = written
        .map_err(|source| io(path, "write", source))
        .and_then(|()| std::fs::rename(&beside, path).map_err(|source| io(path, "replace", source)));
    if done.is_err() {
        // The first error is the one to tell; the rest of a failed write may already be gone.
        let _ = std::fs::remove_file(&beside);
    }
    done
}

fn damaged(path: &Path, problem: impl Into<String>) -> ModelError {
    ModelError::Damaged { path: path.to_owned(), problem: problem.into() }
}

fn io(path: &Path, action: &'static str, source: std::io::Error) -> ModelError {
    ModelError::Io { path: path.to_owned(), action, source }
}
