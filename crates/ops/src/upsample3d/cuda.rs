//! Interpolation on a card.

use candle_core::cuda_backend::CudaDevice;
use candle_core::{CudaStorage, Layout, Result, Tensor, backend::BackendStorage};

use super::Resample;
use crate::cuda::{Kernel, Operand, Output, Size, Values, embedded, kernel_parameter, whole};

kernel_parameter! {
    /// The two grids as the kernels take them.
    struct Grids {
        from: [i32; 3],
        to: [i32; 3],
        channels: i32,
        linear: i32,
    }
}

impl Grids {
    fn new(op: &Resample) -> Result<Self> {
        let all =
            |sizes: [usize; 3]| Ok::<_, candle_core::Error>([whole(sizes[0])?, whole(sizes[1])?, whole(sizes[2])?]);
        Ok(Self { from: all(op.from)?, to: all(op.to)?, channels: whole(op.channels)?, linear: op.linear.into() })
    }
}

pub(super) fn forward(op: &Resample, storage: &CudaStorage, layout: &Layout) -> Result<CudaStorage> {
    let (device, x) = (storage.device(), Values::new(storage, layout)?);
    let values = op.samples * op.to.iter().product::<usize>() * op.channels;
    Ok(run(op, device, "upsample", &x, values)?.into_storage(device))
}

/// The gradient of x, of its shape.
pub(super) fn backward(op: &Resample, grad: &Tensor, shape: &candle_core::Shape) -> Result<Tensor> {
    let operand = Operand::new(grad);
    let (device, grad) = (operand.device()?, operand.values()?);
    Ok(run(op, device, "upsample_backward", &grad, shape.elem_count())?.into_tensor(device, shape))
}

fn run(op: &Resample, device: &CudaDevice, stem: &str, from: &Values, values: usize) -> Result<Output> {
    let mut to = Output::new(device, from.dtype(), values)?;
    let (count, grids) = (values as i64, Grids::new(op)?);
    Kernel::of(device, &embedded::UPSAMPLE3D, &from.kernel(stem))?
        .launch()
        .input(from)
        .output(&mut to)
        .value(&count)
        .value(&grids)
        .run(Size::of_items(values))?;
    Ok(to)
}
