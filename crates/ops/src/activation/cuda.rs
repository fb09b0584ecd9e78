//! Elementwise kernels on a card.

use candle_core::cuda_backend::CudaDevice;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor, backend::BackendStorage};

use super::Kind;
use crate::cuda::{Kernel, Operand, Output, Size, Values, embedded};

/// Neighbouring values that one thread takes.
const VALUES: usize = 8;

impl Kind {
    /// Number and slope, as the kernels take them.
    fn code(self) -> (i32, f32) {
        match self {
            Self::Piecewise { slope } => (0, slope),
            Self::Gelu => (1, 0.0),
            Self::QuickGelu => (2, 0.0),
            Self::Sigmoid => (3, 0.0),
        }
    }
}

fn size(count: usize) -> Size {
    Size::of_items(count.div_ceil(VALUES))
}

/// See [`super::cpu::forward`].
pub(super) fn forward(kind: Kind, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let (device, x) = (storage.device(), Values::new(storage, layout)?);
    let mut y = Output::new(device, x.dtype(), x.len())?;
    let (count, (code, slope)) = (x.len() as i64, kind.code());
    Kernel::of(device, &embedded::ACTIVATION, &x.kernel("activate"))?
        .launch()
        .input(&x)
        .output(&mut y)
        .value(&count)
        .value(&code)
        .value(&slope)
        .run(size(x.len()))?;
    Ok((y.into_storage(device), layout.shape().clone()))
}

/// The gradient of x; see [`super::cpu::backward`].
pub(super) fn backward(kind: Kind, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (x_operand, grad_operand) = (Operand::new(x), Operand::new(grad));
    let (values, grad, device) = (x_operand.values()?, grad_operand.values()?, x_operand.device()?);
    let mut dx = Output::new(device, values.dtype(), values.len())?;
    let (count, (code, slope)) = (values.len() as i64, kind.code());
    Kernel::of(device, &embedded::ACTIVATION, &values.kernel("activate_backward"))?
        .launch()
        .input(&values)
        .input(&grad)
        .output(&mut dx)
        .value(&count)
        .value(&code)
        .value(&slope)
        .run(size(values.len()))?;
    Ok(dx.into_tensor(device, x.shape()))
}

/// See [`super::cpu::add_forward`].
pub(super) fn add_forward(
    slope: f32,
    (x_storage, x_layout): (&CudaStorage, &Layout),
    (skip_storage, skip_layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let (x, skip) = (Values::new(x_storage, x_layout)?, Values::new(skip_storage, skip_layout)?);
    let sum = add(x_storage.device(), &x, &skip, slope)?;
    Ok((sum.into_storage(x_storage.device()), x_layout.shape().clone()))
}

/// act(a + b).
pub(crate) fn add(device: &CudaDevice, a: &Values, b: &Values, slope: f32) -> Result<Output> {
    let mut sum = Output::new(device, a.dtype(), a.len())?;
    let count = a.len() as i64;
    Kernel::of(device, &embedded::ACTIVATION, &a.kernel("add_activate"))?
        .launch()
        .input(a)
        .input(b)
        .output(&mut sum)
        .value(&count)
        .value(&slope)
        .run(size(a.len()))?;
    Ok(sum)
}
