//! Sums over rows and over parts, in an order that depends on the sizes alone.

use candle_core::cuda_backend::CudaDevice;
use candle_core::{DType, Result};

use super::{Kernel, Output, Size, Values, embedded, whole};

/// Channels that a block of the kernels over columns takes.
pub(crate) const COLUMN_THREADS: usize = 256;

/// Rows a block: at most 128 blocks, so that what they leave is soon joined, and at least 256 rows for each.
pub(crate) fn span(rows: usize) -> usize {
    rows.div_ceil(128).max(256)
}

/// Blocks of a kernel over columns: spans of rows, pieces of channels.
pub(crate) fn column_blocks(rows: usize, channels: usize) -> [usize; 3] {
    [rows.div_ceil(span(rows)), channels.div_ceil(COLUMN_THREADS), 1]
}

/// Sums over rows: `[rows, channels]` → `[channels]`, f32.
pub(crate) fn column_sums(device: &CudaDevice, x: &Values, channels: usize) -> Result<Output> {
    let rows = x.len() / channels;
    let blocks = column_blocks(rows, channels);
    let mut partial = Output::new(device, DType::F32, blocks[0] * channels)?;
    let (row_count, channel_count, span) = (whole(rows)?, whole(channels)?, whole(span(rows))?);
    Kernel::of(device, &embedded::CUDA, &x.kernel("column_sums"))?
        .launch()
        .input(x)
        .output(&mut partial)
        .value(&row_count)
        .value(&channel_count)
        .value(&span)
        .run(Size::of_blocks(blocks, COLUMN_THREADS))?;
    sum_parts(device, &partial, blocks[0], channels, DType::F32)
}

/// The values as f32.
pub(crate) fn widen(device: &CudaDevice, x: &Values) -> Result<Output> {
    let mut wide = Output::new(device, DType::F32, x.len())?;
    let count = x.len() as i64;
    let kernel = Kernel::of(device, &embedded::CUDA, &x.kernel("widen"))?;
    kernel.launch().input(x).output(&mut wide).value(&count).run(Size::of_items(x.len()))?;
    Ok(wide)
}

/// Sums over parts: `[parts, count]` f32 → `[count]` of a type.
pub(crate) fn sum_parts(
    device: &CudaDevice,
    partial: &Output,
    parts: usize,
    count: usize,
    dtype: DType,
) -> Result<Output> {
    let mut sums = Output::new(device, dtype, count)?;
    let (values, part_count) = (count as i64, whole(parts)?);
    Kernel::of(device, &embedded::CUDA, &format!("sum_parts_{}", dtype.as_str()))?
        .launch()
        .input(&partial.values())
        .output(&mut sums)
        .value(&values)
        .value(&part_count)
        .run(Size::of_items(count))?;
    Ok(sums)
}
