//! From a walked pickle to the tensors it speaks of, and from a storage's bytes to numbers.

use std::collections::HashSet;

use crate::error::{Fault, damaged, refused};
use crate::globals::{ElementType, Global, Strangers};
use crate::objects::{Id, Object, Pickle};

/// Dictionaries are looked for so deep: `checkpoint["state_dict"]`, `checkpoint["model"]["net"]`.
const DEPTH: usize = 3;
/// More tensors and dictionaries than any checkpoint has; a pickle can speak of one object millions of times.
const MAX_ENTRIES: usize = 100_000;
/// Longer names and more axes than any tensor has.
const LONGEST_NAME: usize = 512;
const MAX_AXES: usize = 8;

/// Why something in a dictionary of tensors is not read.
const NO_TENSOR: &str = "it is made by code, which is never run";

/// A tensor as a file describes it: a view of a storage. Nothing of it has been compared with the file yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredTensor {
    pub(crate) element: ElementType,
    pub(crate) shape: Vec<usize>,
    /// Steps along each axis, in elements.
    pub(crate) strides: Vec<usize>,
    /// The first element.
    pub(crate) offset: usize,
    /// Name of the storage.
    pub(crate) storage: String,
}

/// Tensors by name, from one dictionary of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dictionary {
    /// Where it lies, `net` for instance; empty at the top.
    pub(crate) key: String,
    /// In the order of writing.
    pub(crate) tensors: Vec<(String, StoredTensor)>,
    /// Names of what is no tensor that can be read, each with the reason; kept where strangers are ignored.
    pub(crate) others: Vec<(String, String)>,
}

/// A storage's persistent id: `('storage', type, key, location, count[, view])`.
pub(crate) struct StorageId<'a> {
    pub(crate) element: ElementType,
    pub(crate) key: &'a str,
}

/// Every dictionary that holds tensors, outer ones first.
pub(crate) fn dictionaries(pickle: &Pickle, strangers: Strangers) -> Result<Vec<Dictionary>, Fault> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut level = vec![(String::new(), pickle.root())];
    let mut count = 0;
    for _ in 0..DEPTH {
        let mut below = Vec::new();
        for (key, id) in level {
            let Object::Dict(entries) = pickle.get(id) else { continue };
            if !seen.insert(id) {
                continue;
            }
            let (mut tensors, mut others) = (Vec::new(), Vec::new());
            for &(name, value) in entries {
                let Some(name) = pickle.text(name) else { continue };
                if !matches!(pickle.get(value), Object::Dict(_) | Object::Call { .. }) {
                    continue;
                }
                count += 1;
                if name.len() > LONGEST_NAME || count > MAX_ENTRIES {
                    return damaged("it has too many or too long names");
                }
                match pickle.get(value) {
                    Object::Dict(_) => {
                        below.push((if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }, value));
                    }
                    _ => match (tensor(pickle, value), strangers) {
                        (Ok(Some(tensor)), _) => tensors.push((name.to_owned(), tensor)),
                        (Ok(None), _) => others.push((name.to_owned(), NO_TENSOR.to_owned())),
                        (Err(Fault::Damaged(why) | Fault::Refused(why)), Strangers::Ignored) => {
                            others.push((name.to_owned(), why));
                        }
                        (Err(fault), _) => return Err(fault),
                    },
                }
            }
            if !tensors.is_empty() {
                found.push(Dictionary { key, tensors, others });
            }
        }
        level = below;
    }
    Ok(found)
}

/// Reads a storage's persistent id.
pub(crate) fn storage_id<'a>(pickle: &Pickle<'a>, id: Id) -> Result<StorageId<'a>, Fault> {
    let members = pickle.tuple(id).unwrap_or_default();
    if members.len() > 5 && !matches!(pickle.get(members[5]), Object::None | Object::Other) {
        return refused("it holds views of storages, as PyTorch before 0.4 wrote them");
    }
    let (Some(&kind), Some(&key)) = (members.get(1), members.get(2)) else {
        return damaged("a storage's persistent id is no tuple of five");
    };
    match (pickle.get(kind), pickle.text(key)) {
        (&Object::Global(Global::Storage(element)), Some(key)) if key.len() <= LONGEST_NAME => {
            Ok(StorageId { element, key })
        }
        _ => damaged("a storage's persistent id lacks its type or key"),
    }
}

/// The tensor that a call was to make; `None` for everything else.
fn tensor(pickle: &Pickle, id: Id) -> Result<Option<StoredTensor>, Fault> {
    let (mut function, mut arguments) = match pickle.get(id) {
        Object::Call { function, arguments } => (*function, pickle.tuple(*arguments).unwrap_or_default()),
        _ => return Ok(None),
    };
    if function == Global::FromType {
        let (Some(&inner), Some(&given)) = (arguments.first(), arguments.get(2)) else { return Ok(None) };
        let Object::Global(inner) = pickle.get(inner) else { return Ok(None) };
        (function, arguments) = (*inner, pickle.tuple(given).unwrap_or_default());
    }
    if function == Global::Parameter {
        let Some(&data) = arguments.first() else { return Ok(None) };
        let Object::Call { function: inner, arguments: given } = pickle.get(data) else { return Ok(None) };
        (function, arguments) = (*inner, pickle.tuple(*given).unwrap_or_default());
    }
    match function {
        Global::Tensor => view(pickle, arguments, None).map(Some),
        Global::TypedTensor => match arguments.get(6).map(|&id| pickle.get(id)) {
            Some(&Object::Global(Global::Element(element))) => view(pickle, arguments, Some(element)).map(Some),
            _ => damaged("a tensor lacks its type"),
        },
        _ => Ok(None),
    }
}

/// `(storage, offset, shape, strides, …)`.
fn view(pickle: &Pickle, arguments: &[Id], element: Option<ElementType>) -> Result<StoredTensor, Fault> {
    let &[storage, offset, shape, strides, ..] = arguments else { return damaged("a tensor lacks its shape") };
    let Object::Stored(storage) = pickle.get(storage) else { return damaged("a tensor lacks its storage") };
    let storage = storage_id(pickle, *storage)?;
    let (shape, strides) = (numbers(pickle, shape)?, numbers(pickle, strides)?);
    if shape.len() != strides.len() {
        return damaged(format!("a tensor of {} axes has {} strides", shape.len(), strides.len()));
    }
    Ok(StoredTensor {
        element: element.unwrap_or(storage.element),
        shape,
        strides,
        offset: number(pickle, offset)?,
        storage: storage.key.to_owned(),
    })
}

fn numbers(pickle: &Pickle, id: Id) -> Result<Vec<usize>, Fault> {
    // A `torch.Size` is a call with the tuple as its only argument.
    let id = match pickle.get(id) {
        Object::Call { arguments, .. } => pickle.tuple(*arguments).and_then(<[Id]>::first).copied().unwrap_or(id),
        _ => id,
    };
    let Some(members) = pickle.tuple(id) else { return damaged("a tensor's shape is no tuple") };
    if members.len() > MAX_AXES {
        return damaged(format!("a tensor has {} axes", members.len()));
    }
    members.iter().map(|&member| number(pickle, member)).collect()
}

fn number(pickle: &Pickle, id: Id) -> Result<usize, Fault> {
    match pickle.get(id) {
        Object::Int(value) if *value >= 0 => Ok(*value as usize),
        _ => damaged("a tensor's shape, stride or offset is no count"),
    }
}

impl StoredTensor {
    /// A whole storage in row-major order.
    pub(crate) fn whole(element: ElementType, shape: Vec<usize>, storage: String) -> Self {
        let mut strides = vec![1_usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
        }
        Self { element, shape, strides, offset: 0, storage }
    }

    /// Numbers in the tensor; `None` if they cannot be counted.
    pub(crate) fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))
    }

    /// The numbers in row-major order, out of the storage's bytes. The caller has bounded [`Self::count`].
    pub(crate) fn values(&self, name: &str, storage: &[u8]) -> Result<Vec<f32>, Fault> {
        let read: fn(&[u8]) -> f32 = match self.element {
            ElementType::F64 => |bytes| f64::from_le_bytes(fixed(bytes)) as f32,
            ElementType::F32 => |bytes| f32::from_le_bytes(fixed(bytes)),
            ElementType::F16 => |bytes| half::f16::from_le_bytes(fixed(bytes)).to_f32(),
            ElementType::Bf16 => |bytes| half::bf16::from_le_bytes(fixed(bytes)).to_f32(),
            other => return damaged(format!("tensor `{name}` holds {}, not floating-point numbers", other.name())),
        };
        let size = self.element.bytes();
        let held = storage.len() / size;
        let Some(count) = self.count() else { return damaged(format!("tensor `{name}` is larger than any memory")) };
        if count == 0 {
            return Ok(Vec::new());
        }
        if self.end().is_none_or(|end| end > held) {
            return damaged(format!(
                "tensor `{name}` of shape {:?} reaches beyond its storage of {held} numbers",
                self.shape
            ));
        }
        let rows = self.shape.last().copied().unwrap_or(1);
        let step = self.strides.last().copied().unwrap_or(1);
        let mut values = Vec::with_capacity(count);
        let mut place = vec![0; self.shape.len().saturating_sub(1)];
        while values.len() < count {
            let start: usize =
                self.offset + place.iter().zip(&self.strides).map(|(at, stride)| at * stride).sum::<usize>();
            values.extend((0..rows).map(|at| read(&storage[(start + at * step) * size..])));
            advance(&mut place, &self.shape);
        }
        Ok(values)
    }

    /// One past the last element that is looked at.
    fn end(&self) -> Option<usize> {
        let steps = self.shape.iter().zip(&self.strides).try_fold(self.offset, |last, (&size, &stride)| {
            last.checked_add(size.checked_sub(1)?.checked_mul(stride)?)
        });
        steps?.checked_add(1)
    }
}

/// The first bytes of a slice that is known to be long enough.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut fixed = [0; N];
    fixed.copy_from_slice(&bytes[..N]);
    fixed
}

/// The next row of a tensor of that shape.
fn advance(place: &mut [usize], shape: &[usize]) {
    for axis in (0..place.len()).rev() {
        place[axis] += 1;
        if place[axis] < shape[axis] {
            return;
        }
        place[axis] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], strides: &[usize], offset: usize) -> StoredTensor {
        StoredTensor {
            element: ElementType::F32,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            offset,
            storage: String::new(),
        }
    }

    fn bytes(count: u16) -> Vec<u8> {
        (0..count).flat_map(|value| f32::from(value).to_le_bytes()).collect()
    }

    #[test]
    fn views_are_gathered() {
        let storage = bytes(12);
        let cases: [(StoredTensor, &[f32]); 5] = [
            (tensor(&[2, 3], &[3, 1], 0), &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            (tensor(&[3, 2], &[1, 3], 0), &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
            (tensor(&[2, 2], &[0, 1], 10), &[10.0, 11.0, 10.0, 11.0]),
            (tensor(&[], &[], 7), &[7.0]),
            (tensor(&[0, 4], &[4, 1], 99), &[]),
        ];
        for (tensor, wanted) in cases {
            assert_eq!(tensor.values("t", &storage).as_deref(), Ok(wanted), "{tensor:?}");
        }
        // Reaches element 5 + 6 + 2.
        let beyond = tensor(&[2, 2], &[6, 2], 5).values("t", &storage);
        assert!(matches!(beyond, Err(Fault::Damaged(problem)) if problem.contains("beyond its storage of 12")));
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let huge = [
            tensor(&[usize::MAX, 2], &[0, 1], 0),
            tensor(&[2, 2], &[usize::MAX, 1], 0),
            tensor(&[2], &[1], usize::MAX),
        ];
        for tensor in huge {
            assert!(matches!(tensor.values("t", &bytes(4)), Err(Fault::Damaged(_))), "{tensor:?}");
        }
        let integers = StoredTensor { element: ElementType::I64, ..tensor(&[1], &[1], 0) };
        assert!(matches!(integers.values("t", &bytes(4)), Err(Fault::Damaged(problem)) if problem.contains("int64")));
    }

    #[test]
    fn every_float_type_is_read() {
        let cases: [(ElementType, Vec<u8>); 4] = [
            (ElementType::F64, (-1.5_f64).to_le_bytes().to_vec()),
            (ElementType::F32, (-1.5_f32).to_le_bytes().to_vec()),
            (ElementType::F16, half::f16::from_f32(-1.5).to_le_bytes().to_vec()),
            (ElementType::Bf16, half::bf16::from_f32(-1.5).to_le_bytes().to_vec()),
        ];
        for (element, bytes) in cases {
            let tensor = StoredTensor::whole(element, vec![1, 1], String::new());
            assert_eq!(tensor.values("t", &bytes), Ok(vec![-1.5]), "{element:?}");
        }
    }
}
