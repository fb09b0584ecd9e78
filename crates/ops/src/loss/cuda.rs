//! The kernels of [`super::sums`] and [`super::gradient`].

use candle_core::cuda_backend::CudaStorageSlice;
use candle_core::cuda_backend::cudarc::driver::CudaView;
use candle_core::{DType, Result, Storage, Tensor, bail};

use super::{Extent, NUMBERS, Sums};
use crate::cuda::{Kernel, Operand, Output, Size, embedded, whole};
use crate::device::to_host;

/// As in `kernels.cu`.
const THREADS: usize = 256;
const SPAN: usize = 4096;

/// Runs `work` on the bytes of a contiguous tensor on a card.
fn with_bytes<R>(targets: &Tensor, work: impl FnOnce(&CudaView<'_, u8>) -> Result<R>) -> Result<R> {
    let (storage, layout) = targets.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cuda(storage), Some((start, end))) => match &storage.slice {
            CudaStorageSlice::U8(slice) => work(&slice.slice(start..end)),
            _ => bail!("loss: targets are bytes"),
        },
        _ => bail!("loss: targets must lie beside their logits"),
    }
}

/// See [`super::cpu::sums`]; partial sums of blocks are added on the host in their order.
pub(super) fn sums(logits: &Tensor, targets: &Tensor, extent: Extent) -> Result<Vec<Sums>> {
    let Extent { samples, voxels, maps } = extent;
    if maps > THREADS {
        bail!("loss: {maps} maps, but at most {THREADS} are summed on a card");
    }
    let operand = Operand::new(logits);
    let (values, device) = (operand.values()?, operand.device()?);
    let blocks = voxels.div_ceil(SPAN);
    let mut parts = Output::new(device, DType::F32, samples * blocks * maps * NUMBERS)?;
    let (count, width) = (voxels as i64, whole(maps)?);
    with_bytes(targets, |bytes| {
        let kernel = Kernel::of(device, &embedded::LOSS, &values.kernel("loss_sums"))?;
        let launch = kernel.launch().input(&values).bytes(bytes).output(&mut parts).value(&count).value(&width);
        launch.run(Size::of_blocks([blocks, samples, 1], THREADS))
    })?;
    let parts = to_host(&parts.into_tensor(device, (samples, blocks, maps * NUMBERS)))?;
    let mut all = vec![Sums::default(); samples * maps];
    for (at, part) in parts.chunks_exact(NUMBERS).enumerate() {
        let sample = at / (blocks * maps);
        let numbers = std::array::from_fn(|number| f64::from(part[number]));
        all[sample * maps + at % maps].add(numbers);
    }
    Ok(all)
}

/// See [`super::cpu::gradient`].
pub(super) fn gradient(logits: &Tensor, targets: &Tensor, slopes: &Tensor, extent: Extent) -> Result<Tensor> {
    let (operand, slopes) = (Operand::new(logits), Operand::new(slopes));
    let (values, slopes, device) = (operand.values()?, slopes.values()?, operand.device()?);
    let mut gradient = Output::new(device, values.dtype(), values.len())?;
    let (count, voxels, maps) = (values.len() as i64, extent.voxels as i64, whole(extent.maps)?);
    with_bytes(targets, |bytes| {
        let kernel = Kernel::of(device, &embedded::LOSS, &values.kernel("loss_gradient"))?;
        let launch = kernel.launch().input(&values).bytes(bytes).input(&slopes).output(&mut gradient);
        launch.value(&count).value(&voxels).value(&maps).run(Size::of_items(values.len()))
    })?;
    Ok(gradient.into_tensor(device, logits.shape()))
}
