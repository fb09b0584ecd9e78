//! Scans on a card.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, DType, InplaceOp1, Layout, Result, Tensor, bail};

use super::{Channel, Lines, Scan, Table};
use crate::cuda::{Kernel, Operand, Output, Size, embedded, kernel_parameter, whole};
use crate::device::{from_host, from_slice};

kernel_parameter! {
    /// As in `cuda/lines.cuh`.
    pub(crate) struct LineSizes {
        size: [i32; 3],
        highest: [i32; 3],
    }
}

kernel_parameter! {
    /// As in `cuda/lines.cuh`.
    pub(crate) struct TableSizes {
        coarse: [i32; 3],
        size: [i32; 3],
    }
}

kernel_parameter! {
    /// As in `cuda/lines.cuh`.
    pub(crate) struct Strides {
        origin: i32,
        step: [i32; 3],
        size: [i32; 3],
    }
}

fn sizes(of: [usize; 3]) -> Result<[i32; 3]> {
    Ok([whole(of[0])?, whole(of[1])?, whole(of[2])?])
}

pub(crate) fn lines_of(lines: &Lines) -> Result<LineSizes> {
    Ok(LineSizes { size: sizes(lines.size)?, highest: lines.highest.map(i32::from) })
}

pub(crate) fn table_of(table: &Table) -> Result<TableSizes> {
    Ok(TableSizes { coarse: sizes(table.coarse)?, size: sizes(table.size)? })
}

impl Scan {
    pub(crate) fn strides(&self) -> Result<Strides> {
        Ok(Strides { origin: self.origin, step: self.steps, size: sizes(self.size)? })
    }
}

/// See [`Scan::resampled`], which has checked the lines.
pub(super) fn resample(scan: &Scan, lines: &Lines) -> Result<Tensor> {
    let [values, ends, weights] = [&scan.values, &lines.ends, &lines.weights].map(Operand::new);
    let device = values.device()?;
    let (voxels, ends, weights) = (values.of_any()?, ends.of_any()?, weights.of_any()?);
    let count = lines.size.iter().product::<usize>();
    let mut to = Output::new(device, DType::F32, count)?;
    let (sizes, strides, number) = (lines_of(lines)?, scan.strides()?, count as i64);
    let kernel = Kernel::of(device, &embedded::RESAMPLE, &voxels.kernel("resample"))?;
    let launch = kernel.launch().input(&voxels).input(&ends).input(&weights).output(&mut to);
    launch.value(&sizes).value(&strides).value(&number).run(Size::of_items(count))?;
    let [depth, height, width] = lines.size;
    Ok(to.into_tensor(device, (depth, height, width)))
}

/// See [`super::paint`], which has checked the shapes.
pub(super) fn paint(values: Tensor, table: &Table, mask: u8, marked: bool, value: f32) -> Result<Tensor> {
    values.inplace_op1(&Paint { table, mask: mask.into(), marked: marked.into(), value })?;
    Ok(values)
}

struct Paint<'a> {
    table: &'a Table,
    mask: i32,
    marked: i32,
    value: f32,
}

impl InplaceOp1 for Paint<'_> {
    fn name(&self) -> &'static str {
        "paint"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        bail!("resample: there is no code for the CPU")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else { bail!("resample: expected contiguous values") };
        let device = storage.device().clone();
        let mut values = storage.as_cuda_slice_mut::<f32>()?.slice_mut(start..end);
        let [bytes, places] = [&self.table.values, &self.table.places].map(Operand::new);
        let (bytes, places) = (bytes.of_any()?, places.of_any()?);
        let (sizes, count) = (table_of(self.table)?, (end - start) as i64);
        let kernel = Kernel::of(&device, &embedded::RESAMPLE, "paint")?;
        let launch = kernel.launch().in_place(&mut values).input(&bytes).input(&places).value(&sizes).value(&count);
        launch.value(&self.mask).value(&self.marked).value(&self.value).run(Size::of_items(end - start))
    }
}

/// See [`super::channels`], which has checked the shapes.
pub(super) fn channels(values: &Tensor, line: &[f32], channels: &[Channel]) -> Result<Tensor> {
    let (depth, height, width) = values.dims3()?;
    let windows: Vec<f32> = channels
        .iter()
        .flat_map(|channel| match *channel {
            Channel::Window { low, width } => [low, width],
            Channel::Line => [0.0, 1.0],
        })
        .collect();
    let lined = channels.iter().enumerate().filter(|(_, channel)| matches!(channel, Channel::Line));
    let lined = lined.fold(0_i32, |bits, (channel, _)| bits | 1 << channel);
    let windows = from_host(windows, (channels.len(), 2), values.device())?;
    let line = from_slice(line, width, values.device())?;
    let [operand, windows, line] = [values, &windows, &line].map(Operand::new);
    let device = operand.device()?;
    let (from, windows, line) = (operand.values()?, windows.values()?, line.values()?);
    let count = from.len() * channels.len();
    let mut to = Output::new(device, DType::F32, count)?;
    let (number, many, row) = (count as i64, whole(channels.len())?, whole(width)?);
    let kernel = Kernel::of(device, &embedded::RESAMPLE, "make_channels")?;
    let launch = kernel.launch().input(&from).input(&windows).input(&line).output(&mut to);
    launch.value(&number).value(&many).value(&row).value(&lined).run(Size::of_items(count))?;
    Ok(to.into_tensor(device, (depth, height, width, channels.len())))
}
