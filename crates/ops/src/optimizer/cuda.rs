//! Updates on a card.

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaStorage, DType, Layout, Result, Tensor, backend::BackendStorage, bail};

use super::{Rule, Update};
use crate::buffer::{Buffer, Place};
use crate::cuda::{Kernel, Operand, Output, Size, embedded, kernel_parameter, whole};

/// Numbers that a block of the squares takes.
const SQUARES_BLOCK: usize = 4096;

kernel_parameter! {
    /// [`Rule`] as the kernel takes it.
    struct Numbers {
        is_sgd: i32,
        keep: f32,
        beta1: f32,
        beta2: f32,
        step_size: f32,
        second_root: f32,
        epsilon: f32,
    }
}

impl Numbers {
    fn new(rule: Rule) -> Self {
        match rule {
            Rule::Adamw { keep, beta1, beta2, step_size, second_root, epsilon } => {
                Self { is_sgd: 0, keep, beta1, beta2, step_size, second_root, epsilon }
            }
            Rule::Sgd { rate, momentum, decay } => {
                Self { is_sgd: 1, keep: rate, beta1: momentum, beta2: decay, ..Self::default() }
            }
        }
    }
}

/// See [`super::update`].
pub(super) fn update(
    storage: &mut CudaStorage,
    layout: &Layout,
    op: &Update,
    first: &mut Buffer,
    second: Option<&mut Buffer>,
) -> Result<()> {
    let (device, count) = (storage.device().clone(), layout.shape().elem_count());
    let gradient = Operand::new(op.gradient);
    let (gradient, rule, length) = (gradient.values()?, Numbers::new(op.rule), count as i64);
    let weights = storage.as_cuda_slice_mut::<f32>()?;
    if layout.contiguous_offsets() != Some((0, weights.len())) || gradient.dtype() != DType::F32 {
        bail!("optimizer: expected contiguous f32 parameters and gradients");
    }
    let kernel = Kernel::of(&device, &embedded::OPTIMIZER, "update")?;
    let launch = kernel.launch().slice(weights).input(&gradient).slice(on_card(first)?);
    let launch = match second {
        Some(second) => launch.slice(on_card(second)?),
        None => launch.optional(None),
    };
    launch.value(&length).value(&op.clip).value(&rule).run(Size::of_items(count))
}

fn on_card(buffer: &mut Buffer) -> Result<&mut CudaSlice<f32>> {
    match &mut buffer.0 {
        Place::Card(values, _) => Ok(values),
        Place::Host(_) => bail!("optimizer: moments on the host, parameters on a card"),
    }
}

/// See [`super::follow`].
pub(super) fn follow(means: &mut CudaSlice<f32>, device: &CudaDevice, weights: &Tensor, share: f32) -> Result<()> {
    let weights = Operand::new(weights);
    let (weights, count) = (weights.values()?, means.len());
    let length = count as i64;
    let kernel = Kernel::of(device, &embedded::OPTIMIZER, "follow")?;
    kernel.launch().slice(means).input(&weights).value(&length).value(&share).run(Size::of_items(count))
}

/// See [`super::squared_norm`]; read back once for all gradients.
pub(super) fn squared_norm(gradients: &[&Tensor]) -> Result<f64> {
    let operands: Vec<Operand> = gradients.iter().map(|gradient| Operand::new(gradient)).collect();
    let Some(device) = operands.first().map(Operand::device).transpose()? else { return Ok(0.0) };
    let blocks = |gradient: &Tensor| gradient.elem_count().div_ceil(SQUARES_BLOCK);
    let mut sums = Output::new(device, DType::F32, gradients.iter().map(|gradient| blocks(gradient)).sum())?;
    let kernel = Kernel::of(device, &embedded::OPTIMIZER, "squares")?;
    let mut first = 0;
    for (gradient, operand) in gradients.iter().zip(&operands) {
        let (values, count, place) = (operand.values()?, gradient.elem_count() as i64, whole(first)?);
        let size = Size::of_blocks([blocks(gradient), 1, 1], 256);
        kernel.launch().input(&values).output(&mut sums).value(&count).value(&place).run(size)?;
        first += blocks(gradient);
    }
    let sums = sums.into_tensor(device, first).to_vec1::<f32>()?;
    Ok(sums.into_iter().map(f64::from).sum())
}
