//! The convolution of two inputs' channels side by side.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::super::geometry::{Geometry, WeightOrder};
use super::{Parameters, Sources, to_coarse, to_fine, weight_gradient};
use crate::cuda::{Operand, Values, given};

/// Reads from both inputs, whatever their sizes.
pub(in crate::conv3d) struct Joined {
    /// That of the inputs side by side.
    pub(in crate::conv3d) geometry: Geometry,
    /// Without a gradient.
    pub(in crate::conv3d) bias: Option<Tensor>,
}

impl CustomOp3 for Joined {
    fn name(&self) -> &'static str {
        "conv3d_joined"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("conv3d: inputs on a card met one on the host")
    }

    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let device = s1.device();
        let (a, b, weight) = (Values::new(s1, l1)?, Values::new(s2, l2)?, Values::new(s3, l3)?);
        let bias = self.bias.as_ref().map(Operand::new);
        let bias = bias.as_ref().map(Operand::values).transpose()?;
        let sources = Sources { a: &a, b: Some(&b), a_channels: l1.dims()[4] };
        let parameters =
            Parameters { weight: &weight, order: WeightOrder::FineCoarse, bias: bias.as_ref(), of_sample: [0; 2] };
        let y = to_coarse(device, &self.geometry, sources, parameters)?;
        Ok((y.into_storage(device), Shape::from(self.geometry.coarse_shape().as_slice())))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let operands = [Operand::new(a), Operand::new(b), Operand::new(weight), Operand::new(&grad)];
        let (device, g, order) = (operands[0].device()?, &self.geometry, WeightOrder::FineCoarse);
        let (a_values, b_values) = (operands[0].values()?, operands[1].values()?);
        let (weights, grads) = (operands[2].values()?, operands[3].values()?);
        let parameters = Parameters { weight: &weights, order, bias: None, of_sample: [0; 2] };
        let to_input = |input: &Tensor, first: usize| {
            given(device, input, || to_fine(device, g, &grads, parameters, [first, input.dims()[4]]))
        };
        let to_weight = || {
            let sources = Sources { a: &a_values, b: Some(&b_values), a_channels: a.dims()[4] };
            weight_gradient(device, g, sources, &grads, order)
        };
        Ok((to_input(a, 0)?, to_input(b, a.dims()[4])?, given(device, weight, to_weight)?))
    }
}
