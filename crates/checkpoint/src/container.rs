//! The files that checkpoints come in: PyTorch's zip, its older plain stream of pickles, and safetensors. Told by
//! content.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use zip::{CompressionMethod, ZipArchive};

use crate::error::{CheckpointError, Fault, damaged, refused};
use crate::facts::{Facts, facts};
use crate::globals::{ElementType, Strangers};
use crate::objects::{Object, Pickle};
use crate::tensors::{Dictionary, StoredTensor, dictionaries, storage_id};

/// Largest pickle in a zip: names and shapes only.
const MAX_PICKLE_BYTES: u64 = 64 << 20;
/// Largest file that is read whole.
const MAX_BYTES: u64 = 4 << 30;
/// A checkpoint's tensors take at most so many bytes in f32 for each byte of the file: f16 doubles, some views share
/// storages.
const MAX_GROWTH: usize = 8;
/// A file smaller than this counts as this large.
const MIN_BYTES: usize = 1 << 16;
/// The number that PyTorch's older files begin with, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// An open checkpoint.
pub(crate) struct Container {
    /// `PyTorch zip`, `PyTorch legacy` or `safetensors`.
    pub(crate) kind: &'static str,
    /// Length of the file, bytes.
    pub(crate) length: u64,
    path: PathBuf,
    storages: Storages,
}

/// What a checkpoint speaks of.
pub(crate) struct Contents {
    /// Its tensors.
    pub(crate) dictionaries: Vec<Dictionary>,
    /// Its plain values.
    pub(crate) facts: Facts,
}

enum Storages {
    /// Entries of a zip below this folder, read when asked for, each once while it is held; together no longer than the file.
    Zip { archive: ZipArchive<BufReader<File>>, folder: String, read: HashMap<String, Vec<u8>>, left: u64 },
    /// Ranges of a file that was read whole.
    Whole { bytes: Vec<u8>, ranges: HashMap<String, Range<usize>> },
}

impl Container {
    /// Opens a checkpoint and lists what it speaks of.
    pub(crate) fn open(path: &Path, strangers: Strangers) -> Result<(Self, Contents), CheckpointError> {
        let io = |source| CheckpointError::Io { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(io)?;
        if !metadata.is_file() {
            return Err(Fault::NotACheckpoint.of(path));
        }
        let length = metadata.len();
        let mut file = File::open(path).map_err(io)?;
        let mut start = Vec::new();
        file.by_ref().take(9).read_to_end(&mut start).map_err(io)?;
        let is_zip = start.starts_with(b"PK");
        let is_safetensors = start.len() == 9 && start[8] == b'{';
        let is_pickle = start.first() == Some(&0x80);
        if !is_zip && !is_safetensors && !is_pickle {
            return Err(Fault::NotACheckpoint.of(path));
        }
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let path = path.to_owned();
        if is_zip {
            let (storages, found) = open_zip(file, length, strangers).map_err(|fault| fault.of(&path))?;
            return Ok((Self { kind: "PyTorch zip", length, path, storages }, found));
        }
        if length > MAX_BYTES {
            let problem = format!("it is {length} bytes long, more than the {MAX_BYTES} that are read");
            return Err(CheckpointError::Refused { path, problem });
        }
        let mut bytes = Vec::with_capacity(length as usize);
        let read = file.take(MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(|source| CheckpointError::Io { path: path.clone(), source })?;
        let (kind, opened) = if is_safetensors {
            ("safetensors", open_safetensors(&bytes))
        } else {
            ("PyTorch legacy", open_legacy(&bytes, strangers))
        };
        let (ranges, found) = opened.map_err(|fault| fault.of(&path))?;
        Ok((Self { kind, length, path, storages: Storages::Whole { bytes, ranges } }, found))
    }

    /// SHA-256 of the file, hex.
    pub(crate) fn sha256(&self) -> Result<String, CheckpointError> {
        let hash = File::open(&self.path).and_then(|mut file| hash(&mut file));
        hash.map_err(|source| CheckpointError::Io { path: self.path.clone(), source })
    }

    /// Refuses tensors that claim to be larger than the file can hold, before any of them is read.
    pub(crate) fn bound<'a>(&self, tensors: impl Iterator<Item = &'a StoredTensor>) -> Result<(), CheckpointError> {
        let most = (self.length as usize).max(MIN_BYTES).saturating_mul(MAX_GROWTH) / size_of::<f32>();
        let count = tensors.map(StoredTensor::count).try_fold(0_usize, |sum, count| sum.checked_add(count?));
        if count.is_some_and(|count| count <= most) {
            return Ok(());
        }
        let problem = format!("its tensors claim to be larger than its {} bytes can hold", self.length);
        Err(CheckpointError::Damaged { path: self.path.clone(), problem })
    }

    /// Lets the bytes of a storage go.
    pub(crate) fn release(&mut self, key: &str) {
        if let Storages::Zip { read, left, .. } = &mut self.storages {
            *left += read.remove(key).map_or(0, |bytes| bytes.len() as u64);
        }
    }

    /// The bytes of a storage.
    pub(crate) fn storage(&mut self, key: &str) -> Result<&[u8], Fault> {
        match &mut self.storages {
            Storages::Whole { bytes, ranges } => match ranges.get(key) {
                Some(range) => Ok(&bytes[range.clone()]),
                None => damaged(format!("storage `{key}` is not in it")),
            },
            Storages::Zip { archive, folder, read, left } => {
                if !read.contains_key(key) {
                    let bytes = entry(archive, &format!("{folder}data/{key}"), *left)?;
                    *left -= bytes.len() as u64;
                    read.insert(key.to_owned(), bytes);
                }
                Ok(read.get(key).map(Vec::as_slice).unwrap_or_default())
            }
        }
    }
}

fn hash(file: &mut File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hash.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")));
        }
        hash.update(&buffer[..count]);
    }
}

/// `FOLDER/data.pkl` names the tensors, `FOLDER/data/KEY` holds a storage; nothing is compressed.
fn open_zip(file: File, length: u64, strangers: Strangers) -> Result<(Storages, Contents), Fault> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| zip_fault("it", &error))?;
    let pickle_name = archive.file_names().flatten().find(|name| is_pickle(name)).map(String::from);
    let Some(pickle_name) = pickle_name else { return Err(Fault::NotACheckpoint) };
    let folder = pickle_name.trim_end_matches("data.pkl").to_owned();
    let order = format!("{folder}byteorder");
    if archive.index_for_name(&order).is_some() && entry(&mut archive, &order, 16)? != b"little" {
        return refused("it was written on a big-endian machine");
    }
    let bytes = entry(&mut archive, &pickle_name, length.min(MAX_PICKLE_BYTES))?;
    let found = contents(&Pickle::walk(&bytes, strangers)?, strangers)?;
    Ok((Storages::Zip { archive, folder, read: HashMap::new(), left: length }, found))
}

fn is_pickle(name: &str) -> bool {
    name == "data.pkl" || name.strip_suffix("/data.pkl").is_some_and(|folder| !folder.contains('/'))
}

/// An entry's bytes, at most `most`; its checksum is compared.
fn entry(archive: &mut ZipArchive<BufReader<File>>, name: &str, most: u64) -> Result<Vec<u8>, Fault> {
    let Some(index) = archive.index_for_name(name) else { return damaged(format!("`{name}` is not in it")) };
    let file = archive.by_index(index).map_err(|error| zip_fault(name, &error))?;
    if file.compression() != CompressionMethod::Stored {
        return refused(format!("`{name}` is compressed, which PyTorch never does"));
    }
    let size = file.size();
    if size > most || file.compressed_size() != size {
        return damaged(format!("`{name}` claims {size} bytes, more than it can have"));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    match file.take(size + 1).read_to_end(&mut bytes) {
        Ok(read) if read as u64 == size => Ok(bytes),
        Ok(read) => damaged(format!("`{name}` has {read} bytes instead of {size}")),
        Err(error) => damaged(format!("`{name}` cannot be read whole ({error})")),
    }
}

fn zip_fault(name: &str, error: &zip::result::ZipError) -> Fault {
    match error {
        zip::result::ZipError::UnsupportedArchive(_) | zip::result::ZipError::CompressionMethodNotSupported(_) => {
            Fault::Refused(format!("`{name}` is compressed or encrypted, which PyTorch never does ({error})"))
        }
        _ => Fault::Damaged(format!("{name} cannot be read as a zip ({error})")),
    }
}

fn contents(pickle: &Pickle, strangers: Strangers) -> Result<Contents, Fault> {
    Ok(Contents { dictionaries: dictionaries(pickle, strangers)?, facts: facts(pickle) })
}

type Opened = (HashMap<String, Range<usize>>, Contents);

/// Pickles one behind another (magic number, version, system, object, keys), then each storage: its count and its
/// numbers.
fn open_legacy(bytes: &[u8], strangers: Strangers) -> Result<Opened, Fault> {
    let mut at = 0;
    let mut next = || -> Result<Pickle, Fault> {
        let pickle = Pickle::walk(&bytes[at..], strangers)?;
        at += pickle.length();
        Ok(pickle)
    };
    let magic = next()?;
    if *magic.get(magic.root()) != Object::Long(&MAGIC) {
        return refused("it is a pickle, but none that torch.save wrote");
    }
    next()?;
    if is_big_endian(&next()?) {
        return refused("it was written on a big-endian machine");
    }
    let (object, list) = (next()?, next()?);
    let mut elements = HashMap::new();
    for stored in object.objects() {
        if let Object::Stored(id) = stored {
            let storage = storage_id(&object, *id)?;
            elements.insert(storage.key, storage.element);
        }
    }
    let Object::List(keys) = list.get(list.root()) else { return damaged("the list of its storages is missing") };
    let mut ranges = HashMap::new();
    for &key in keys {
        let Some(key) = list.text(key) else { return damaged("a storage's key is no string") };
        let Some(element) = elements.get(key) else { return damaged(format!("storage `{key}` belongs to no tensor")) };
        let count = bytes[at..].first_chunk().map(|count| u64::from_le_bytes(*count));
        at += 8;
        let size = count.and_then(|count| usize::try_from(count).ok()?.checked_mul(element.bytes()));
        let end = size.and_then(|size| at.checked_add(size)).filter(|&end| end <= bytes.len());
        let Some(end) = end else { return damaged(format!("storage `{key}` claims more than the file holds")) };
        ranges.insert(key.to_owned(), at..end);
        at = end;
    }
    Ok((ranges, contents(&object, strangers)?))
}

fn is_big_endian(system: &Pickle) -> bool {
    let Object::Dict(entries) = system.get(system.root()) else { return false };
    entries
        .iter()
        .any(|&(key, value)| system.text(key) == Some("little_endian") && *system.get(value) == Object::Bool(false))
}

fn open_safetensors(bytes: &[u8]) -> Result<Opened, Fault> {
    let broken = |error: safetensors::SafeTensorError| Fault::Damaged(format!("no whole safetensors file ({error})"));
    // Compares every range with the file.
    SafeTensors::deserialize(bytes).map_err(broken)?;
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let (mut ranges, mut tensors) = (HashMap::new(), Vec::new());
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let (begin, end) = info.data_offsets;
        ranges.insert(name.clone(), 8 + header + begin..8 + header + end);
        let Some(element) = element(info.dtype) else { continue };
        tensors.push((name.clone(), StoredTensor::whole(element, info.shape.clone(), name)));
    }
    let dictionaries = vec![Dictionary { key: String::new(), tensors, others: Vec::new() }];
    Ok((ranges, Contents { dictionaries, facts: Facts::new() }))
}

fn element(dtype: Dtype) -> Option<ElementType> {
    Some(match dtype {
        Dtype::F64 => ElementType::F64,
        Dtype::F32 => ElementType::F32,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::Bf16,
        Dtype::I64 => ElementType::I64,
        Dtype::I32 => ElementType::I32,
        Dtype::I16 => ElementType::I16,
        Dtype::I8 => ElementType::I8,
        Dtype::U8 => ElementType::U8,
        Dtype::BOOL => ElementType::Bool,
        _ => return None,
    })
}
