//! Values of another type: where bf16 arithmetic begins and ends.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, backend::BackendStorage};

use crate::tape::apply1;

/// The same values, rounded to the nearest of a type; the gradient comes back in the type of `x`.
///
/// # Shapes
/// `x` any → the same.
///
/// # Errors
/// A type that candle does not convert.
pub fn cast(x: &Tensor, to: DType) -> Result<Tensor> {
    if x.dtype() == to {
        return Ok(x.clone());
    }
    apply1(&x.contiguous()?, Cast { to })
}

/// Parameters as an operator computes with them: in the type of its input.
pub(crate) fn like(parameter: &Tensor, x: &Tensor) -> Result<Tensor> {
    cast(parameter, x.dtype())?.contiguous()
}

struct Cast {
    to: DType,
}

impl CustomOp1 for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((storage.to_dtype(layout, self.to)?, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((storage.to_dtype(layout, self.to)?, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        x.track_op().then(|| grad.to_dtype(x.dtype())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn gradients_come_back_in_the_type_of_the_input() -> Result<()> {
        let x = Var::new(&[1.0_f32, 1.001, -3.0], &Device::Cpu)?;
        let y = cast(&x, DType::BF16)?;
        assert_eq!(y.to_dtype(DType::F32)?.to_vec1::<f32>()?, [1.0, 1.0, -3.0]);
        let gradients = y.sum_all()?.backward()?;
        let gradient = gradients.get(&x).expect("reached");
        assert_eq!((gradient.dtype(), gradient.to_vec1::<f32>()?), (DType::F32, vec![1.0; 3]));
        Ok(())
    }
}
