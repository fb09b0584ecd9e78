//! Tensors as plain rows of f32: reading them, and writing new ones.

use std::ptr;

use candle_core::{CpuStorage, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

/// The values of a contiguous f32 tensor on the CPU, in row-major order.
///
/// Every public op calls `contiguous()` first (a differentiable step), so a strided layout here is a fault of ours.
pub(crate) fn cpu_values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(all) = storage else {
        bail!("ops compute in f32; convert the tensor with to_dtype(DType::F32) first");
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => match all.get(start..end) {
            Some(values) => Ok(values),
            None => bail!("ops: the values of a tensor of shape {:?} were spent by a norm", layout.shape()),
        },
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

/// What an operator's backward pass gives for an input: its gradient, which is only computed where the input has one.
pub(crate) fn gradient(input: &Tensor, compute: impl FnOnce() -> Vec<f32>) -> Result<Option<Tensor>> {
    input.track_op().then(|| Tensor::from_vec(compute(), input.shape(), input.device())).transpose()
}

/// The shape with another last dimension.
pub(crate) fn with_channels(dims: &[usize], channels: usize) -> Shape {
    let rows = &dims[..dims.len().saturating_sub(1)];
    Shape::from([rows, &[channels]].concat())
}

/// A new vector whose blocks are written in parallel: each outer block of `outer` values is cut into blocks of `inner`,
/// and `fill` gets the outer block's index, where the block starts in the whole, and the block, all zeros.
///
/// Zeros are laid a block at a time, while it is in the cache: clearing the whole first would cost a pass over memory.
#[allow(unsafe_code)]
pub(crate) fn collect_blocks(
    len: usize,
    outer: usize,
    inner: usize,
    fill: impl Fn(usize, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut values: Vec<f32> = Vec::with_capacity(len);
    values.spare_capacity_mut()[..len].par_chunks_mut(outer).enumerate().for_each(|(index, part)| {
        part.par_chunks_mut(inner).enumerate().for_each(|(i, block)| {
            for value in block.iter_mut() {
                value.write(0.0);
            }
            // SAFETY: the loop above has written every value, and `MaybeUninit<f32>` has the layout of f32.
            let block = unsafe { &mut *(ptr::from_mut(block) as *mut [f32]) };
            fill(index, index * outer + i * inner, block);
        });
    });
    // SAFETY: `par_chunks_mut` cut the first `len` values into the blocks, and each block's values were written above.
    unsafe { values.set_len(len) };
    values
}
