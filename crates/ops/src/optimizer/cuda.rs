//! The updates on a card: one kernel a parameter, and one read for a norm.

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaViewMut};
use candle_core::{CudaStorage, DType, InplaceOp1, Layout, Result, Tensor, Var, bail};

use super::Rule;
use super::state::Memory;
use crate::cuda::{Kernel, Operand, Output, Size, embedded};
use crate::device::to_host;

/// As in `kernels.cu`.
const SPAN: usize = 4096;
const THREADS: usize = 256;

/// The values of contiguous f32 parameters, to be changed.
fn parameters<'a>(storage: &'a mut CudaStorage, layout: &Layout) -> Result<CudaViewMut<'a, f32>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("optimizer: expected contiguous parameters");
    };
    Ok(storage.as_cuda_slice_mut::<f32>()?.slice_mut(start..end))
}

fn on_card(memory: &mut Memory) -> Result<CudaViewMut<'_, f32>> {
    match memory {
        Memory::Cuda { values, .. } => Ok(values.as_view_mut()),
        Memory::Cpu(_) => bail!("optimizer: a parameter on a card met moments on the CPU"),
    }
}

/// See [`super::cpu::update`].
pub(super) fn update(
    (storage, layout): (&mut CudaStorage, &Layout),
    gradient: &Tensor,
    clip: f32,
    rule: Rule,
    first: &mut Memory,
    second: Option<&mut Memory>,
) -> Result<()> {
    let device = storage.device().clone();
    let mut weights = parameters(storage, layout)?;
    let operand = Operand::new(gradient);
    let gradient = operand.values()?;
    let mut first = on_card(first)?;
    let count = weights.len() as i64;
    let size = Size::of_items(weights.len());
    match (rule, second) {
        (Rule::Adamw { keep, beta1, beta2, step_size, second_root, epsilon }, Some(second)) => {
            let mut second = on_card(second)?;
            let kernel = Kernel::of(&device, &embedded::OPTIMIZER, &gradient.kernel("adamw"))?;
            let launch = kernel.launch().in_place(&mut weights).input(&gradient).in_place(&mut first);
            let launch = launch.in_place(&mut second).value(&count).value(&clip).value(&keep).value(&beta1);
            launch.value(&beta2).value(&step_size).value(&second_root).value(&epsilon).run(size)
        }
        (Rule::Sgd { rate, momentum, decay }, None) => {
            let kernel = Kernel::of(&device, &embedded::OPTIMIZER, &gradient.kernel("sgd"))?;
            let launch = kernel.launch().in_place(&mut weights).input(&gradient).in_place(&mut first);
            launch.value(&count).value(&clip).value(&rate).value(&momentum).value(&decay).run(size)
        }
        _ => bail!("optimizer: {rule:?} with other moments than it has"),
    }
}

/// The sum of all squares: partial sums of blocks, added on the host in their order.
pub(super) fn squares(gradients: &[&Tensor]) -> Result<f64> {
    let Some(first) = gradients.first() else { return Ok(0.0) };
    let device = Operand::new(first).device()?.clone();
    let blocks = |gradient: &Tensor| gradient.elem_count().div_ceil(SPAN);
    let total = gradients.iter().map(|gradient| blocks(gradient)).sum::<usize>();
    let mut parts = Output::new(&device, DType::F32, total)?;
    let mut first_part = 0_i64;
    for gradient in gradients {
        let operand = Operand::new(gradient);
        let values = operand.values()?;
        let (count, size) = (values.len() as i64, Size::of_blocks([blocks(gradient), 1, 1], THREADS));
        let kernel = Kernel::of(&device, &embedded::OPTIMIZER, &values.kernel("squares"))?;
        kernel.launch().input(&values).output(&mut parts).value(&count).value(&first_part).run(size)?;
        first_part += blocks(gradient) as i64;
    }
    let parts = to_host(&parts.into_tensor(&device, total))?;
    Ok(parts.into_iter().map(f64::from).sum())
}

/// See [`super::cpu::follow`].
pub(super) fn follow(mean: &mut Memory, parameter: &Tensor, share: f32) -> Result<()> {
    let operand = Operand::new(parameter);
    let weights = operand.values()?;
    if weights.dtype() != DType::F32 {
        bail!("optimizer: parameters are f32, not {:?}", weights.dtype());
    }
    let (count, size) = (weights.len() as i64, Size::of_items(weights.len()));
    let mut mean = on_card(mean)?;
    let kernel = Kernel::of(operand.device()?, &embedded::OPTIMIZER, "follow")?;
    kernel.launch().in_place(&mut mean).input(&weights).value(&count).value(&share).run(size)
}

/// Sets a parameter's values, from the device to itself.
pub(super) fn copy(values: &CudaSlice<f32>, parameter: &Var) -> Result<()> {
    parameter.as_tensor().inplace_op1(&Copy(values))
}

struct Copy<'a>(&'a CudaSlice<f32>);

impl InplaceOp1 for Copy<'_> {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn cpu_fwd(&self, _: &mut candle_core::CpuStorage, _: &Layout) -> Result<()> {
        bail!("optimizer: values on a card are for parameters on it")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let device = storage.device().clone();
        let mut parameters = parameters(storage, layout)?;
        if parameters.len() != self.0.len() {
            bail!("optimizer: {} numbers for a parameter of {}", self.0.len(), parameters.len());
        }
        device.memcpy_dtod(self.0, &mut parameters)
    }
}
