//! Patches on a card.

mod moves;
mod values;

use candle_core::cuda_backend::CudaDevice;
use candle_core::{DType, Device, Result, Tensor};

use super::{CardPatch, Channel};
use crate::cuda::{Kernel, Kernels, Operand, Output, Size, embedded, whole};
use crate::device::{from_host, to_host_bytes};
pub(super) use moves::{coarsen, shuffle, warp};
pub(super) use values::{average, curve, grain, shift, smooth, stretch};

/// As in `kernels.cu`.
const CODES_A_WARP: usize = 2048;
const WARP: usize = 32;

/// Kernels that move voxels, and those that change values.
const MOVES: &Kernels = &embedded::AUGMENT;
const VALUES: &Kernels = &embedded::AUGMENT_VALUES;

fn sizes(of: [usize; 3]) -> Result<[i32; 3]> {
    Ok([whole(of[0])?, whole(of[1])?, whole(of[2])?])
}

impl CardPatch {
    fn card(&self) -> Result<&CudaDevice> {
        self.hu.device().as_cuda_device()
    }

    fn device(&self) -> &Device {
        self.hu.device()
    }

    fn voxels(&self) -> usize {
        self.hu.elem_count()
    }
}

/// See [`CardPatch::new`], which has checked the shapes.
pub(super) fn begin(hu: &Tensor, line: &Tensor, codes: Tensor) -> Result<CardPatch> {
    let (stored, row) = (Operand::new(hu), Operand::new(line));
    let (device, stored, row) = (stored.device()?, stored.of_any()?, row.values()?);
    let count = stored.len();
    let (mut values, mut side) = (Output::new(device, DType::F32, count)?, Output::new(device, DType::F32, count)?);
    let (number, width) = (count as i64, whole(row.len())?);
    let kernel = Kernel::of(device, MOVES, "augment_begin")?;
    let launch = kernel.launch().input(&stored).input(&row).output(&mut values).output(&mut side);
    launch.value(&number).value(&width).run(Size::of_items(count))?;
    Ok(CardPatch { hu: values.into_tensor(device, hu.shape()), side: side.into_tensor(device, hu.shape()), codes })
}

/// See [`CardPatch::channels`].
pub(super) fn channels(patch: &CardPatch, channels: &[Channel]) -> Result<Tensor> {
    let windows = channels.iter().flat_map(|channel| match *channel {
        Channel::Window { low, width } => [low, width],
        Channel::Line => [0.0, 1.0],
    });
    let windows = from_host(windows.collect::<Vec<f32>>(), (channels.len(), 2), patch.device())?;
    let sided = channels.iter().enumerate().filter(|(_, channel)| matches!(channel, Channel::Line));
    let sided = sided.fold(0_i32, |bits, (channel, _)| bits | 1 << channel);
    let [hu, side, windows] = [&patch.hu, &patch.side, &windows].map(Operand::new);
    let (device, hu, side, windows) = (hu.device()?, hu.values()?, side.values()?, windows.values()?);
    let count = patch.voxels() * channels.len();
    let mut to = Output::new(device, DType::F32, count)?;
    let (number, many) = (count as i64, whole(channels.len())?);
    let kernel = Kernel::of(device, MOVES, "augment_channels")?;
    let launch = kernel.launch().input(&hu).input(&side).input(&windows).output(&mut to);
    launch.value(&number).value(&many).value(&sided).run(Size::of_items(count))?;
    let [depth, height, width] = patch.shape();
    Ok(to.into_tensor(device, (1, depth, height, width, channels.len())))
}

/// See [`super::any_without`].
pub(super) fn any_without(codes: &Tensor, bits: u8) -> Result<bool> {
    let operand = Operand::new(codes);
    let (device, values) = (operand.device()?, operand.of_any()?);
    let warps = values.len().div_ceil(CODES_A_WARP);
    let mut found = Output::new(device, DType::U8, warps)?;
    let (count, bits) = (values.len() as i64, i32::from(bits));
    let kernel = Kernel::of(device, MOVES, "augment_any_without")?;
    let launch = kernel.launch().input(&values).output(&mut found).value(&count).value(&bits);
    launch.run(Size::of_items(warps * WARP))?;
    Ok(to_host_bytes(&found.into_tensor(device, warps))?.contains(&1))
}
