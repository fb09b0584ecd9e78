//! What changes values.

use candle_core::{DType, Result, Tensor};

use super::VALUES;
use crate::augment::{Average, CardPatch, Curve, Grain};
use crate::cuda::{Kernel, Operand, Output, Size, kernel_parameter, whole};
use crate::device::{from_host, from_slice};

/// As in `values.cu`.
const PART: usize = 1024;
const PARTS_A_BLOCK: usize = 16;
const BLOCK_OF_NORMALS: usize = 8;

kernel_parameter! {
    /// As in `values.cu`.
    struct Curved {
        low: f32,
        high: f32,
        scale: f32,
        pieces: i32,
        inverted: i32,
    }
}

kernel_parameter! {
    /// As in `values.cu`.
    struct Stream {
        key: [u32; 2],
        counter: [u32; 4],
    }
}

/// See [`CardPatch::curve`].
pub(crate) fn curve(patch: &mut CardPatch, by: Curve<'_>) -> Result<()> {
    let [low, high] = by.ends;
    let pieces = by.places.len() - 2;
    let curved =
        Curved { low, high, scale: pieces as f32 / (high - low), pieces: whole(pieces)?, inverted: by.inverted.into() };
    let places = from_slice(by.places, by.places.len(), patch.device())?;
    changed(patch, |values, to, size, count| {
        let places = Operand::new(&places);
        let places = places.values()?;
        let kernel = Kernel::of(values.device()?, VALUES, "augment_curve")?;
        let values = values.values()?;
        kernel.launch().input(&values).input(&places).output(to).value(&curved).value(&count).run(size)
    })
}

/// Replaces HU by what a kernel makes of them: `(HU, to, size of the launch, voxels)`.
fn changed(patch: &mut CardPatch, run: impl FnOnce(&Operand<'_>, &mut Output, Size, i64) -> Result<()>) -> Result<()> {
    let (device, count) = (patch.card()?.clone(), patch.voxels());
    let mut to = Output::new(&device, DType::F32, count)?;
    run(&Operand::new(&patch.hu), &mut to, Size::of_items(count), count as i64)?;
    patch.hu = to.into_tensor(&device, &patch.shape());
    Ok(())
}

/// A mean over values in one order, which is the host's: of the values, or the root of that of their squares, at least
/// 1e-6. `[1]`
fn mean(values: &Operand<'_>, squared: bool) -> Result<Output> {
    let (device, values) = (values.device()?, values.values()?);
    let (count, parts) = (values.len() as i64, values.len().div_ceil(PART));
    let (part_count, squared) = (whole(parts)?, i32::from(squared));
    // Sums of f64.
    let mut sums = Output::new(device, DType::U8, parts * size_of::<f64>())?;
    let kernel = Kernel::of(device, VALUES, "augment_sum_parts")?;
    let launch = kernel.launch().input(&values).output(&mut sums).value(&count).value(&part_count).value(&squared);
    launch.run(Size::of_blocks([parts.div_ceil(PARTS_A_BLOCK), 1, 1], 256))?;
    let mut mean = Output::new(device, DType::F32, 1)?;
    let kernel = Kernel::of(device, VALUES, "augment_mean")?;
    let sums = sums.values();
    let launch = kernel.launch().input(&sums).output(&mut mean).value(&count).value(&part_count).value(&squared);
    launch.run(Size::of_blocks([1; 3], 256))?;
    Ok(mean)
}

/// See [`CardPatch::stretch`].
pub(crate) fn stretch(patch: &mut CardPatch, factor: f32) -> Result<()> {
    changed(patch, |values, to, size, count| {
        let mean = mean(values, false)?;
        let kernel = Kernel::of(values.device()?, VALUES, "augment_stretch")?;
        let (values, mean) = (values.values()?, mean.values());
        kernel.launch().input(&values).input(&mean).output(to).value(&count).value(&factor).run(size)
    })
}

/// See [`CardPatch::shift`].
pub(crate) fn shift(patch: &mut CardPatch, amount: f32) -> Result<()> {
    changed(patch, |values, to, size, count| {
        let kernel = Kernel::of(values.device()?, VALUES, "augment_shift")?;
        let values = values.values()?;
        kernel.launch().input(&values).output(to).value(&count).value(&amount).run(size)
    })
}

/// See [`CardPatch::smooth`].
pub(crate) fn smooth(patch: &mut CardPatch, kernel: &[f32]) -> Result<()> {
    patch.hu = smoothed(&patch.hu, kernel)?;
    Ok(())
}

fn smoothed(values: &Tensor, kernel: &[f32]) -> Result<Tensor> {
    if kernel.is_empty() {
        return Ok(values.clone());
    }
    let (_, height, width) = values.dims3()?;
    let taps = from_slice(kernel, kernel.len(), values.device())?;
    let taps = Operand::new(&taps);
    let (device, taps, tap_count) = (taps.device()?, taps.values()?, whole(kernel.len())?);
    let count = values.elem_count();
    let mut smooth = values.clone();
    for (axis, stride) in [height * width, width, 1].into_iter().enumerate() {
        let (length, stride, number) = (whole(values.dim(axis)?)?, whole(stride)?, count as i64);
        let mut to = Output::new(device, DType::F32, count)?;
        let operand = Operand::new(&smooth);
        let from = operand.values()?;
        let launcher = Kernel::of(device, VALUES, "augment_smooth")?;
        let launch = launcher.launch().input(&from).input(&taps).output(&mut to);
        launch.value(&number).value(&length).value(&stride).value(&tap_count).run(Size::of_items(count))?;
        drop(from);
        drop(operand);
        smooth = to.into_tensor(device, values.shape());
    }
    Ok(smooth)
}

/// See [`CardPatch::grain`], which has checked the quantiles.
pub(crate) fn grain(patch: &mut CardPatch, by: &Grain<'_>, quantiles: &Tensor) -> Result<()> {
    let (device, count) = (patch.card()?.clone(), patch.voxels());
    let mut normals = Output::new(&device, DType::F32, count)?;
    {
        let operand = Operand::new(quantiles);
        let (table, stream, number) = (operand.values()?, Stream { key: by.key, counter: by.counter }, count as i64);
        let kernel = Kernel::of(&device, VALUES, "augment_normals")?;
        let launch = kernel.launch().input(&table).output(&mut normals).value(&stream).value(&number);
        launch.run(Size::of_items(count.div_ceil(BLOCK_OF_NORMALS)))?;
    }
    let grain = smoothed(&normals.into_tensor(&device, &patch.shape()), by.kernel)?;
    changed(patch, |values, to, size, count| {
        let grain = Operand::new(&grain);
        let energy = mean(&grain, true)?;
        let kernel = Kernel::of(values.device()?, VALUES, "augment_add_grain")?;
        let (values, grain, energy) = (values.values()?, grain.values()?, energy.values());
        let launch = kernel.launch().input(&values).input(&grain).input(&energy).output(to);
        launch.value(&count).value(&by.sd).run(size)
    })
}

/// See [`CardPatch::average`], which has checked the planes.
pub(crate) fn average(patch: &mut CardPatch, axis: usize, averages: &[Average]) -> Result<()> {
    let [_, height, width] = patch.shape();
    let (planes, plane) = (whole(averages.len())?, whole([height * width, width, 1][axis])?);
    let mut rows = Vec::with_capacity(3 * averages.len());
    let mut weights = Vec::new();
    for average in averages {
        rows.extend([whole(average.first)?, whole(average.weights.len())?, whole(weights.len())?]);
        weights.extend(&average.weights);
    }
    // Memory of no bytes is none.
    weights.push(0.0);
    let (rows, count) = (from_host(rows, (averages.len(), 3), patch.device())?, weights.len());
    let weights = from_host(weights, count, patch.device())?;
    changed(patch, |values, to, size, count| {
        let (rows, weights) = (Operand::new(&rows), Operand::new(&weights));
        let (rows, weights) = (rows.of_any()?, weights.values()?);
        let kernel = Kernel::of(values.device()?, VALUES, "augment_average")?;
        let values = values.values()?;
        let launch = kernel.launch().input(&values).input(&rows).input(&weights).output(to);
        launch.value(&count).value(&planes).value(&plane).run(size)
    })
}
