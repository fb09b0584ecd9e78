//! Safetensors files: written at once or not at all, read a tensor at a time.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use pulmoav_ops::device::{to_cpu, to_host};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorView};
use sha2::{Digest, Sha256};

use crate::ModelError;

/// Metadata key of the tensors' hash; files from before it was written lack it.
const HASH_KEY: &str = "tensors-sha256";
/// Largest weights file that is read, bytes.
const MAX_BYTES: u64 = 16 << 30;
/// Largest header that is read, bytes.
const MAX_HEADER_BYTES: u64 = 100 << 20;

/// An open safetensors file whose header fits its length.
pub(super) struct TensorFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the tensors' bytes begin.
    start: u64,
}

impl TensorFile {
    /// Reads the header; no tensor yet.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let reading = |source| io(path, "read", source);
        let broken = |problem: &dyn Display| damaged(path, format!("not a whole safetensors file ({problem})"));
        let mut file = File::open(path).map_err(reading)?;
        let length = file.metadata().map_err(reading)?.len();
        if length > MAX_BYTES {
            let problem = format!("it is {length} bytes long, more than the {MAX_BYTES} that are read");
            return Err(damaged(path, problem));
        }
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|error| broken(&error))?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER_BYTES || size > length {
            return Err(broken(&format_args!("its header claims {size} bytes")));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header).map_err(|error| broken(&error))?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| broken(&error))?;
        let start = 8 + size;
        let end = metadata.tensors().values().map(|info| info.data_offsets.1).max().unwrap_or(0);
        if start + end as u64 != length {
            return Err(broken(&format_args!("its tensors claim {end} bytes, it holds {}", length - start)));
        }
        Ok(Self { path: path.to_owned(), file, metadata, start })
    }

    /// What stands in the metadata under a key.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// Every tensor, f32 or f16; where the file holds their hash, they are to the bit what was saved.
    pub(super) fn tensors(mut self) -> Result<BTreeMap<String, Tensor>, ModelError> {
        let infos: BTreeMap<String, _> = self.metadata.tensors().into_iter().map(|(k, v)| (k, v.clone())).collect();
        let (mut tensors, mut hash) = (BTreeMap::new(), Sha256::new());
        for (name, info) in infos {
            let (begin, end) = info.data_offsets;
            let mut bytes = vec![0; end - begin];
            let read = self.file.seek(SeekFrom::Start(self.start + begin as u64));
            let read = read.and_then(|_| self.file.read_exact(&mut bytes));
            read.map_err(|source| io(&self.path, "read", source))?;
            update(&mut hash, &name, info.dtype, &info.shape, &bytes);
            let tensor = tensor(&name, info.dtype, &info.shape, &bytes)?;
            tensors.insert(name, tensor);
        }
        if self.metadata(HASH_KEY).is_some_and(|saved| *saved != hex(hash)) {
            let problem = "its numbers are not those that were saved (the SHA-256 of the tensors differs)";
            return Err(damaged(&self.path, problem));
        }
        Ok(tensors)
    }
}

/// Tensors as a safetensors file, sorted by name: the same tensors give the same bytes.
pub(super) fn to_bytes(tensors: &BTreeMap<String, Tensor>, metadata: &[(&str, &str)]) -> Result<Vec<u8>, ModelError> {
    let mut parts = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let (dtype, data): (_, Vec<u8>) = if tensor.dtype() == DType::F16 {
            (
                Dtype::F16,
                to_cpu(&tensor.flatten_all()?)?.to_vec1::<half::f16>()?.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        } else {
            (Dtype::F32, to_host(tensor)?.iter().flat_map(|v| v.to_le_bytes()).collect())
        };
        parts.push((name, dtype, tensor.dims().to_vec(), data));
    }
    let mut views = BTreeMap::new();
    for (name, dtype, shape, data) in &parts {
        let view = TensorView::new(*dtype, shape.clone(), data).map_err(|error| unwritable(&error))?;
        views.insert(name.as_str(), view);
    }
    let mut hash = Sha256::new();
    for (name, view) in &views {
        update(&mut hash, name, view.dtype(), view.shape(), view.data());
    }
    let hash = hex(hash);
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

/// Adds a tensor to the hash of all, which are taken sorted by name.
fn update(hash: &mut Sha256, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) {
    hash.update(format!("{name}\0{dtype}\0{shape:?}\0"));
    hash.update(bytes);
}

fn hex(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}

/// A tensor of its bytes: f32 or f16.
fn tensor(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Result<Tensor, ModelError> {
    Ok(match dtype {
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

/// Refuses numbers that are not finite.
pub(super) fn check_trained(name: &str, tensor: &Tensor) -> Result<(), ModelError> {
    if to_host(tensor)?.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(ModelError::WrongTensor {
        name: name.to_owned(),
        found: "not finite everywhere".to_owned(),
        expected: "finite numbers".to_owned(),
    })
}

/// A small file's bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let length = std::fs::metadata(path).map_err(|source| io(path, "read", source))?.len();
    if length > MAX_BYTES {
        let problem = format!("it is {length} bytes long, more than the {MAX_BYTES} that are read");
        return Err(damaged(path, problem));
    }
    std::fs::read(path).map_err(|source| io(path, "read", source))
}

/// Writes beside the file, flushes to the disk, renames over it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
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

pub(super) fn damaged(path: &Path, problem: impl Into<String>) -> ModelError {
    ModelError::Damaged { path: path.to_owned(), problem: problem.into() }
}

pub(super) fn io(path: &Path, action: &'static str, source: std::io::Error) -> ModelError {
    ModelError::Io { path: path.to_owned(), action, source }
}
