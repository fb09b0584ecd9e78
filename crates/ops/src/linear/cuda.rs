//! Linear layers on a card: convolutions of one tap.

use candle_core::{CudaStorage, DType, Layout, Result, Tensor, backend::BackendStorage};

use crate::conv3d::cuda::{Parameters, Sources, to_coarse, to_fine, weight_gradient};
use crate::conv3d::geometry::{Geometry, WeightOrder};
use crate::cuda::{Operand, Values, column_sums, given, widen};

const ORDER: WeightOrder = WeightOrder::FineCoarse;

/// Rows of `ci` values as voxels of a line.
fn geometry(samples: usize, rows: usize, ci: usize, co: usize) -> Geometry {
    Geometry {
        batch: samples,
        fine: [1, 1, rows],
        fine_channels: ci,
        coarse: [1, 1, rows],
        coarse_channels: co,
        kernel: [1; 3],
        stride: [1; 3],
        padding: [0; 3],
    }
}

fn sources<'a>(x: &'a Values<'a>, channels: usize) -> Sources<'a> {
    Sources { a: x, b: None, a_channels: channels }
}

/// See [`super::cpu::forward`].
pub(super) fn forward(
    (x, x_layout): (&CudaStorage, &Layout),
    (weight, weight_layout): (&CudaStorage, &Layout),
    (bias, bias_layout): (&CudaStorage, &Layout),
    [ci, co]: [usize; 2],
) -> Result<CudaStorage> {
    let device = x.device();
    let (x, weight) = (Values::new(x, x_layout)?, Values::new(weight, weight_layout)?);
    let bias = Values::f32(bias, bias_layout)?;
    let parameters = Parameters { weight: &weight, order: ORDER, bias: Some(&bias), of_sample: [0; 2] };
    let y = to_coarse(device, &geometry(1, x.len() / ci, ci, co), sources(&x, ci), parameters)?;
    Ok(y.into_storage(device))
}

/// Gradients of x, weight and bias, of those that have one.
pub(super) fn backward(
    [x, weight, bias]: [&Tensor; 3],
    grad: &Tensor,
    [ci, co]: [usize; 2],
) -> Result<[Option<Tensor>; 3]> {
    let (x_operand, weight_operand, grad_operand) = (Operand::new(x), Operand::new(weight), Operand::new(grad));
    let (device, x_values) = (x_operand.device()?, x_operand.values()?);
    let (weight_values, grad) = (weight_operand.values()?, grad_operand.values()?);
    let g = geometry(1, x_values.len() / ci, ci, co);
    let parameters = Parameters { weight: &weight_values, order: ORDER, bias: None, of_sample: [0; 2] };
    let to_x = || to_fine(device, &g, &grad, parameters, [0, ci]);
    let to_weight = || weight_gradient(device, &g, sources(&x_values, ci), &grad, ORDER);
    let to_bias = || column_sums(device, &grad, co);
    Ok([given(device, x, to_x)?, given(device, weight, to_weight)?, given(device, bias, to_bias)?])
}

/// See [`super::cpu::forward_per_sample`]; the last row of each sample's weight is its bias.
pub(super) fn forward_per_sample(
    (x, x_layout): (&CudaStorage, &Layout),
    (weight, weight_layout): (&CudaStorage, &Layout),
    [n, ci, co]: [usize; 3],
) -> Result<CudaStorage> {
    let device = x.device();
    let (x, weight) = (Values::new(x, x_layout)?, Values::new(weight, weight_layout)?);
    let numbers = widen(device, &weight)?;
    let bias = numbers.values();
    let bias = bias.part(ci * co, weight.len() - ci * co);
    let of_sample = [(ci + 1) * co; 2];
    let parameters = Parameters { weight: &weight, order: ORDER, bias: Some(&bias), of_sample };
    let y = to_coarse(device, &geometry(n, x.len() / (n * ci), ci, co), sources(&x, ci), parameters)?;
    Ok(y.into_storage(device))
}

/// Gradients of x and weight, of those that have one.
pub(super) fn backward_per_sample(
    x: &Tensor,
    weight: &Tensor,
    grad: &Tensor,
    [n, ci, co]: [usize; 3],
) -> Result<[Option<Tensor>; 2]> {
    let (x_operand, weight_operand, grad_operand) = (Operand::new(x), Operand::new(weight), Operand::new(grad));
    let (device, x_values) = (x_operand.device()?, x_operand.values()?);
    let (weight_values, grad_values) = (weight_operand.values()?, grad_operand.values()?);
    let rows = x_values.len() / (n * ci);
    let of_sample = [(ci + 1) * co, 0];
    let parameters = Parameters { weight: &weight_values, order: ORDER, bias: None, of_sample };
    let to_x = || to_fine(device, &geometry(n, rows, ci, co), &grad_values, parameters, [0, ci]);
    let of_one = |sample: usize| -> Result<[Tensor; 2]> {
        let x = x_values.part(sample * rows * ci, rows * ci);
        let grad = grad_values.part(sample * rows * co, rows * co);
        let weight = weight_gradient(device, &geometry(1, rows, ci, co), sources(&x, ci), &grad, ORDER)?;
        let bias = column_sums(device, &grad, co)?.into_tensor(device, (1, co));
        let dtype = grad.dtype();
        let bias = if dtype == DType::F32 { bias } else { bias.to_dtype(dtype)? };
        Ok([weight.into_tensor(device, (ci, co)), bias])
    };
    let to_weight = || -> Result<Tensor> {
        let samples: Vec<[Tensor; 2]> = (0..n).map(of_one).collect::<Result<_>>()?;
        Tensor::cat(samples.as_flattened(), 0)?.reshape(weight.shape())
    };
    Ok([given(device, x, to_x)?, weight.track_op().then(to_weight).transpose()?])
}
