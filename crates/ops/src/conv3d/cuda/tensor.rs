//! Which convolutions go to the tensor cores, and how their kernels are started: see `tensor.cu`.

use std::sync::Arc;

use candle_core::cuda_backend::CudaDevice;
use candle_core::{DType, Result};

use super::super::geometry::Geometry;
use super::{Pass, Sources};
use crate::cuda::{Kernel, Size, Values, embedded};

/// Rows of a block, depth of a step, steps in shared memory.
const ROWS: usize = 128;
const DEPTH: usize = 32;
const STAGES: usize = 4;
/// bf16 values that are loaded at a time.
const CHUNK: usize = 8;
/// Taps along an axis at most.
const MAX_TAPS: i32 = 10;

/// Whether a pass is one for tensor cores: bf16, channels in whole chunks.
pub(super) fn fits(pass: &Pass, sources: &Sources, weight: &Values) -> bool {
    let channels = [pass.a_channels, pass.b_channels, pass.results, pass.weight_of_sample];
    let neighbours = pass.weight_of_input.min(pass.weight_of_result);
    let inputs = [Some(sources.a), sources.b, Some(weight)];
    inputs.into_iter().flatten().all(is_in_chunks)
        && channels.iter().all(|&count| (count as usize).is_multiple_of(CHUNK))
        && (pass.weight_of_input.max(pass.weight_of_result) as usize).is_multiple_of(CHUNK)
        && neighbours == 1
        && pass.taps.iter().all(|&taps| taps <= MAX_TAPS)
}

/// Whether a weight's gradient is one for tensor cores.
pub(super) fn gradient_fits(g: &Geometry, fine: &Sources, coarse: &Values) -> bool {
    let channels = [fine.a_channels, g.fine_channels, g.coarse_channels];
    [Some(fine.a), fine.b, Some(coarse)].into_iter().flatten().all(is_in_chunks)
        && channels.iter().all(|count| count.is_multiple_of(CHUNK))
}

fn is_in_chunks(values: &Values) -> bool {
    values.dtype() == DType::BF16 && values.is_aligned()
}

/// A kernel, the results and channels of its blocks, and their threads and shared memory.
pub(super) type Chosen = (Arc<Kernel>, usize, usize, Size);

pub(super) fn kernel(device: &CudaDevice, pass: &Pass) -> Result<Chosen> {
    let columns = columns(pass.results as usize);
    let order = if pass.weight_of_result == 1 { "results" } else { "inputs" };
    chosen(device, &format!("tensor_convolve_{columns}_{order}"), columns)
}

pub(super) fn gradient_kernel(device: &CudaDevice, g: &Geometry) -> Result<Chosen> {
    let columns = columns(g.coarse_channels);
    chosen(device, &format!("tensor_weight_gradient_{columns}"), columns)
}

/// Channels of a block: no more than there are, where that is possible.
fn columns(channels: usize) -> usize {
    match channels {
        ..=32 => 32,
        33..=64 => 64,
        _ => 128,
    }
}

fn chosen(device: &CudaDevice, name: &str, columns: usize) -> Result<Chosen> {
    let threads = if columns == 128 { 256 } else { 128 };
    let shared_bytes = STAGES * (ROWS + columns) * DEPTH * size_of::<u16>();
    let kernel = Kernel::of(device, &embedded::CONV3D_TENSOR, name)?;
    Ok((kernel, ROWS, columns, Size { blocks: [1; 3], threads, shared_bytes }))
}
