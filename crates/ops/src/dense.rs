//! Reading tensors as plain rows of f32.

use candle_core::{CpuStorage, Layout, Result, Storage, bail};

/// The values of a contiguous f32 tensor on the CPU, in row-major order.
///
/// Every public op calls `contiguous()` first (a differentiable step), so a strided layout here is a fault of ours.
pub(crate) fn cpu_values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(all) = storage else {
        bail!("ops compute in f32; convert the tensor with to_dtype(DType::F32) first");
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => bail!("ops: a strided tensor of shape {:?} reached a kernel; call contiguous() first", layout.shape()),
    }
}

/// As [`cpu_values`], from what `Tensor::storage_and_layout` gives (used by backward passes).
pub(crate) fn values<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => cpu_values(storage, layout),
        _ => bail!("ops: this operator runs on the CPU only; move the tensor with to_device(&Device::Cpu)"),
    }
}
