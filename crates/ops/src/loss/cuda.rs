//! The kernels of [`super::sums`] and [`super::gradient`].

use candle_core::{DType, Result, Tensor, bail};

use super::{Extent, NUMBERS, Sums};
use crate::cuda::{
    Kernel, Operand, Output, Size, embedded, kernel_parameter, new_bytes, tensor_of_bytes, whole, with_bytes,
};
use crate::device::to_host;

/// As in `kernels.cu`.
const THREADS: usize = 256;
const SPAN: usize = 4096;

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

kernel_parameter! {
    /// Sizes before and after, as in `kernels.cu`.
    struct Halves {
        size: [i32; 3],
        half: [i32; 3],
        maps: i32,
    }
}

/// See [`super::cpu::look_up`].
pub(super) fn look_up(codes: &Tensor, tables: &Tensor, shape: [usize; 5], line: u8) -> Result<Tensor> {
    let device = codes.device().as_cuda_device()?;
    let [n, z, y, x, maps] = shape;
    let count = n * z * y * x * maps;
    let (mut bytes, length, voxels) = (new_bytes(device, count)?, count as i64, (z * y * x) as i64);
    let (width, line) = (whole(maps)?, i32::from(line));
    with_bytes(codes, |codes| {
        with_bytes(tables, |tables| {
            let kernel = Kernel::of(device, &embedded::LOSS, "loss_look_up")?;
            let launch = kernel.launch().bytes(codes).bytes(tables).new_bytes(&mut bytes);
            launch.value(&voxels).value(&width).value(&line).value(&length).run(Size::of_items(count))
        })
    })?;
    Ok(tensor_of_bytes(bytes, device, (n, z, y, x, maps)))
}

/// See [`super::halved`].
pub(super) fn halved(targets: &Tensor, [n, z, y, x, maps]: [usize; 5]) -> Result<Tensor> {
    let device = targets.device().as_cuda_device()?;
    let half = [z, y, x].map(|size| size.div_ceil(2));
    let count = n * half.iter().product::<usize>() * maps;
    let numbers = |[z, y, x]: [usize; 3]| Ok::<_, candle_core::Error>([whole(z)?, whole(y)?, whole(x)?]);
    let halves = Halves { size: numbers([z, y, x])?, half: numbers(half)?, maps: whole(maps)? };
    let (mut bytes, length) = (new_bytes(device, count)?, count as i64);
    with_bytes(targets, |targets| {
        let kernel = Kernel::of(device, &embedded::LOSS, "loss_halve")?;
        let launch = kernel.launch().bytes(targets).new_bytes(&mut bytes).value(&halves).value(&length);
        launch.run(Size::of_items(count))
    })?;
    Ok(tensor_of_bytes(bytes, device, (n, half[0], half[1], half[2], maps)))
}
