//! Which convolutions go to the tensor cores, and how their kernels are started: see `tensor.cu`.

use candle_core::cuda_backend::CudaDevice;
use candle_core::{DType, Result};

use super::super::geometry::Geometry;
use super::{Chosen, Pass, Sources, Work};
use crate::cuda::{Kernel, Output, Size, Values, embedded};
use crate::products::Products;

/// Rows of a block, bytes of a step's depth, steps in shared memory.
const ROWS: usize = 128;
const DEPTH_BYTES: usize = 64;
const STAGES: usize = 4;
/// Bytes that are loaded at a time.
const CHUNK_BYTES: usize = 16;
/// Taps along an axis at most.
const MAX_TAPS: i32 = 10;

/// Whether a pass is one for tensor cores: bf16, or f32 where it may be rounded to TF32; channels in whole chunks.
pub(super) fn fits(pass: &Pass, sources: &Sources, weight: &Values) -> bool {
    let channels = [pass.a_channels, pass.b_channels, pass.results, pass.weight_of_sample];
    let neighbours = pass.weight_of_input.min(pass.weight_of_result);
    let (inputs, chunk) = ([Some(sources.a), sources.b, Some(weight)], chunk(sources.a.dtype()));
    inputs.into_iter().flatten().all(is_in_chunks)
        && channels.iter().all(|&count| (count as usize).is_multiple_of(chunk))
        && (pass.weight_of_input.max(pass.weight_of_result) as usize).is_multiple_of(chunk)
        && neighbours == 1
        && pass.taps.iter().all(|&taps| taps <= MAX_TAPS)
}

/// Whether a weight's gradient is one for tensor cores.
pub(super) fn gradient_fits(g: &Geometry, fine: &Sources, coarse: &Values) -> bool {
    let (channels, chunk) = ([fine.a_channels, g.fine_channels, g.coarse_channels], chunk(coarse.dtype()));
    [Some(fine.a), fine.b, Some(coarse)].into_iter().flatten().all(is_in_chunks)
        && channels.iter().all(|count| count.is_multiple_of(chunk))
}

fn is_in_chunks(values: &Values) -> bool {
    let is_rounded = values.dtype() == DType::F32 && Products::now() == Products::Tf32;
    (values.dtype() == DType::BF16 || is_rounded) && values.is_aligned()
}

/// Values that are loaded at a time.
fn chunk(dtype: DType) -> usize {
    CHUNK_BYTES / dtype.size_in_bytes()
}

/// The type that tensor cores see.
fn seen(dtype: DType) -> &'static str {
    if dtype == DType::F32 { "tf32" } else { "bf16" }
}

/// Starts a pass that [fits][fits].
pub(super) fn convolve(work: &Work, y: &mut Output) -> Result<()> {
    let dtype = work.sources.a.dtype();
    let columns = columns(work.pass.results as usize, dtype);
    let order = if work.pass.weight_of_result == 1 { "results" } else { "inputs" };
    work.launch(&chosen(work.device, &format!("tensor_convolve_{}_{columns}_{order}", seen(dtype)), columns)?, y)
}

pub(super) fn gradient_kernel(device: &CudaDevice, g: &Geometry, dtype: DType) -> Result<Chosen> {
    let columns = columns(g.coarse_channels, dtype);
    chosen(device, &format!("tensor_weight_gradient_{}_{columns}", seen(dtype)), columns)
}

/// Channels of a block: no more than there are, where that is possible. Wide blocks of TF32 would spill registers.
fn columns(channels: usize, dtype: DType) -> usize {
    match channels {
        ..=32 => 32,
        _ if dtype == DType::F32 => 64,
        33..=64 => 64,
        _ => 128,
    }
}

fn chosen(device: &CudaDevice, name: &str, columns: usize) -> Result<Chosen> {
    let threads = if columns == 128 { 256 } else { 128 };
    let shared_bytes = STAGES * (ROWS + columns) * DEPTH_BYTES;
    let kernel = Kernel::of(device, &embedded::CONV3D_TENSOR, name)?;
    Ok((kernel, ROWS, columns, Size { blocks: [1; 3], threads, shared_bytes }))
}
