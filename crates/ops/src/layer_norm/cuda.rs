//! Layer norm on a card.

use candle_core::{CudaStorage, DType, Layout, Result, Tensor, backend::BackendStorage};

use crate::cuda::{Kernel, Operand, Output, Size, Values, column_sums, embedded, whole};

const ROWS_OF_A_BLOCK: usize = 8;
const THREADS: usize = 256;

/// See [`super::cpu::forward`].
pub(super) fn forward(
    (x, x_layout): (&CudaStorage, &Layout),
    (gamma, gamma_layout): (&CudaStorage, &Layout),
    (beta, beta_layout): (&CudaStorage, &Layout),
    eps: f32,
) -> Result<CudaStorage> {
    let device = x.device();
    let x = Values::new(x, x_layout)?;
    let (gamma, beta) = (Values::f32(gamma, gamma_layout)?, Values::f32(beta, beta_layout)?);
    let mut y = Output::new(device, x.dtype(), x.len())?;
    let (rows, channels) = (whole(x.len() / gamma.len())?, whole(gamma.len())?);
    Kernel::of(device, &embedded::LAYER_NORM, &x.kernel("layer_norm"))?
        .launch()
        .input(&x)
        .input(&gamma)
        .input(&beta)
        .output(&mut y)
        .value(&rows)
        .value(&channels)
        .value(&eps)
        .run(Size::of_blocks([(rows as usize).div_ceil(ROWS_OF_A_BLOCK), 1, 1], THREADS))?;
    Ok(y.into_storage(device))
}

/// Gradients of x, gamma and beta; see [`super::cpu::backward`].
pub(super) fn backward(x: &Tensor, gamma: &Tensor, grad: &Tensor, eps: f32) -> Result<[Tensor; 3]> {
    let (x_operand, gamma_operand, grad_operand) = (Operand::new(x), Operand::new(gamma), Operand::new(grad));
    let (device, values) = (x_operand.device()?, x_operand.values()?);
    let (gamma_values, grad) = (gamma_operand.values()?, grad_operand.values()?);
    let channels = gamma_values.len();
    let mut dx = Output::new(device, values.dtype(), values.len())?;
    let mut products = Output::new(device, DType::F32, values.len())?;
    let (rows, width) = (whole(values.len() / channels)?, whole(channels)?);
    Kernel::of(device, &embedded::LAYER_NORM, &values.kernel("layer_norm_backward"))?
        .launch()
        .input(&values)
        .input(&gamma_values)
        .input(&grad)
        .output(&mut dx)
        .output(&mut products)
        .value(&rows)
        .value(&width)
        .value(&eps)
        .run(Size::of_blocks([(rows as usize).div_ceil(ROWS_OF_A_BLOCK), 1, 1], THREADS))?;
    let dgamma = column_sums(device, &products.values(), channels)?.into_tensor(device, channels);
    let dbeta = column_sums(device, &grad, channels)?.into_tensor(device, channels);
    Ok([dx.into_tensor(device, x.shape()), dgamma, dbeta])
}
