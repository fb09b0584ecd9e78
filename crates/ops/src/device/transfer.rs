//! The one way for values between the host and a device. Each crossing is counted, so that a test can say how many a
//! tile or a training step makes; on a GPU each makes the host wait.

use std::cell::Cell;

use candle_core::{DType, Device, Result, Shape, Tensor, WithDType};

use half::f16;

use crate::dense::values;

/// Values of a piece of [`to_host_half`].
const HALF_PIECE: usize = 1 << 26;

/// How often values crossed, on this thread, since it started. The CPU counts as a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transfers {
    /// From the host to a device.
    pub uploads: u64,
    /// From a device to the host.
    pub downloads: u64,
}

thread_local! {
    static COUNTED: Cell<Transfers> = const { Cell::new(Transfers { uploads: 0, downloads: 0 }) };
}

impl Transfers {
    /// What this thread has moved so far.
    pub fn so_far() -> Self {
        COUNTED.get()
    }

    /// What was moved since.
    #[must_use]
    pub fn since(self) -> Self {
        let now = Self::so_far();
        Self { uploads: now.uploads - self.uploads, downloads: now.downloads - self.downloads }
    }
}

fn count(uploads: u64, downloads: u64) {
    let before = COUNTED.get();
    COUNTED.set(Transfers { uploads: before.uploads + uploads, downloads: before.downloads + downloads });
}

/// A tensor's values in row-major order, as f32.
///
/// # Errors
/// If copying fails, or an earlier operator on the device did.
pub fn to_host(tensor: &Tensor) -> Result<Vec<f32>> {
    count(0, 1);
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// A tensor of bytes, in row-major order.
///
/// # Errors
/// As [`to_host`]; a tensor of another type.
pub fn to_host_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    count(0, 1);
    tensor.flatten_all()?.to_vec1()
}

/// As [`to_host`], rounded to f16 on the device, so that half as much crosses; large tensors in several pieces along the
/// first axis.
///
/// # Errors
/// As [`to_host`].
pub fn to_host_half(tensor: &Tensor) -> Result<Vec<f16>> {
    let rows = tensor.dims().first().copied().unwrap_or(1).max(1);
    let at_once = (HALF_PIECE / (tensor.elem_count() / rows).max(1)).max(1);
    let mut values = Vec::with_capacity(tensor.elem_count());
    for first in (0..rows).step_by(at_once) {
        let piece = tensor.narrow(0, first, at_once.min(rows - first))?;
        count(0, 1);
        values.append(&mut piece.to_dtype(DType::F16)?.flatten_all()?.to_vec1()?);
    }
    Ok(values)
}

/// Hands `work` a contiguous f32 tensor's values in row-major order: those on the CPU as they lie, uncounted, those of
/// another device as [`to_host`] reads them.
///
/// # Errors
/// As [`to_host`]; on the CPU a strided tensor or one of another type.
pub fn with_host<R>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
    if !tensor.device().is_cpu() {
        return Ok(work(&to_host(tensor)?));
    }
    let (storage, layout) = tensor.storage_and_layout();
    Ok(work(values(&storage, layout)?))
}

/// The same tensor on the host, of its own type.
///
/// # Errors
/// As [`to_host`].
pub fn to_cpu(tensor: &Tensor) -> Result<Tensor> {
    count(0, 1);
    tensor.to_device(&Device::Cpu)
}

/// A tensor of the host's values on a device.
///
/// # Errors
/// If the shape has another number of values, or the device has no room.
pub fn from_host<T: WithDType>(values: Vec<T>, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
    count(1, 0);
    Tensor::from_vec(values, shape.into(), device)
}

/// As [`from_host`], of values that are kept.
///
/// # Errors
/// As [`from_host`].
pub fn from_slice<T: WithDType>(values: &[T], shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
    count(1, 0);
    Tensor::from_slice(values, shape.into(), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_are_counted() -> Result<()> {
        let before = Transfers::so_far();
        let tensor = from_host(vec![1.0_f32, 2.0], (1, 2), &Device::Cpu)?;
        assert_eq!(to_host(&tensor)?, [1.0, 2.0]);
        assert_eq!(to_cpu(&tensor)?.dims(), [1, 2]);
        assert_eq!(before.since(), Transfers { uploads: 1, downloads: 2 });
        Ok(())
    }
}
