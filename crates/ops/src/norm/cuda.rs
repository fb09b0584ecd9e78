//! Normalisation on a card: spans of rows by blocks, their results joined by one warp a statistic.

use candle_core::cuda_backend::CudaDevice;
use candle_core::{CudaStorage, DType, Layout, Result, Tensor, backend::BackendStorage};

use super::Norm;
use crate::cuda::{
    COLUMN_THREADS, Kernel, Operand, Output, Size, Values, column_blocks, embedded, kernel_parameter, span, whole,
};

/// Mean and 1 / sqrt(var + eps) of each (sample, channel), f32 `[samples * channels]`.
pub(super) struct Moments {
    mean: Output,
    inverse: Output,
}

kernel_parameter! {
    /// Which pairs share statistics, as the kernels take it.
    struct Scope {
        samples: i32,
        rows: i32,
        channels: i32,
        width: i32,
        whole_batch: i32,
    }
}

impl Norm {
    fn scope(&self) -> Result<Scope> {
        let (width, whole_batch) = match self.scope {
            super::Scope::Instance => (1, 0),
            super::Scope::Group { width } => (width, 0),
            super::Scope::Batch => (1, 1),
        };
        let extent = self.extent;
        let (samples, rows, channels) = (whole(extent.samples)?, whole(extent.rows)?, whole(extent.channels)?);
        Ok(Scope { samples, rows, channels, width: whole(width)?, whole_batch })
    }

    /// Values that have their own moments, and moments that differ.
    fn counts(&self) -> (usize, usize) {
        let pairs = self.extent.samples * self.extent.channels;
        let statistics = match self.scope {
            super::Scope::Instance => pairs,
            super::Scope::Group { width } => pairs / width,
            super::Scope::Batch => self.extent.channels,
        };
        (pairs, statistics)
    }

    fn blocks(&self) -> [usize; 3] {
        let [spans, pieces, _] = column_blocks(self.extent.rows, self.extent.channels);
        [spans, pieces, self.extent.samples]
    }

    /// Blocks of the kernels over columns, and the numbers that these take: rows, channels and the span.
    fn columns(&self) -> Result<(Size, [i32; 3])> {
        let extent = self.extent;
        let numbers = [whole(extent.rows)?, whole(extent.channels)?, whole(span(extent.rows))?];
        Ok((Size::of_blocks(self.blocks(), COLUMN_THREADS), numbers))
    }

    fn moments_on(&self, device: &CudaDevice, x: &Values) -> Result<Moments> {
        let ((pairs, statistics), scope) = (self.counts(), self.scope()?);
        let (size, [rows, channels, span]) = self.columns()?;
        let [parts, ..] = self.blocks();
        let mut spreads = Output::new(device, DType::F32, parts * pairs * 2)?;
        Kernel::of(device, &embedded::NORM, &x.kernel("norm_spreads"))?
            .launch()
            .input(x)
            .output(&mut spreads)
            .value(&rows)
            .value(&channels)
            .value(&span)
            .run(size)?;
        let mut mean = Output::new(device, DType::F32, pairs)?;
        let mut inverse = Output::new(device, DType::F32, pairs)?;
        let (parts, eps) = (whole(parts)?, self.eps as f32);
        Kernel::of(device, &embedded::NORM, "norm_moments")?
            .launch()
            .input(&spreads.values())
            .output(&mut mean)
            .output(&mut inverse)
            .value(&scope)
            .value(&parts)
            .value(&span)
            .value(&eps)
            .run(Size::of_blocks([statistics, 1, 1], 32))?;
        Ok(Moments { mean, inverse })
    }

    /// See [`super::cpu::forward`].
    pub(super) fn forward_on(
        &self,
        (x, x_layout): (&CudaStorage, &Layout),
        (gamma, gamma_layout): (&CudaStorage, &Layout),
        (beta, beta_layout): (&CudaStorage, &Layout),
    ) -> Result<CudaStorage> {
        let device = x.device();
        let x = Values::new(x, x_layout)?;
        let (gamma, beta) = (Values::f32(gamma, gamma_layout)?, Values::f32(beta, beta_layout)?);
        let moments = self.moments_on(device, &x)?;
        let mut y = Output::new(device, x.dtype(), x.len())?;
        let (count, of_sample) = (x.len() as i64, (self.extent.rows * self.extent.channels) as i64);
        let channels = whole(self.extent.channels)?;
        Kernel::of(device, &embedded::NORM, &x.kernel("norm_apply"))?
            .launch()
            .input(&x)
            .input(&moments.mean.values())
            .input(&moments.inverse.values())
            .input(&gamma)
            .input(&beta)
            .output(&mut y)
            .value(&count)
            .value(&of_sample)
            .value(&channels)
            .value(&self.slope)
            .run(Size::of_items(x.len()))?;
        // Kept for the backward pass; a second forward pass of the same op would find the same.
        let _ = self.moments_on_card.set(moments);
        Ok(y.into_storage(device))
    }

    /// Gradients of x, gamma and beta; see [`super::cpu::Backward`].
    pub(super) fn backward_on(&self, x: &Tensor, gamma: &Tensor, beta: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let (x_operand, grad_operand) = (Operand::new(x), Operand::new(grad));
        let (gamma_operand, beta_operand) = (Operand::new(gamma), Operand::new(beta));
        let (device, x_values, grad) = (x_operand.device()?, x_operand.values()?, grad_operand.values()?);
        let (gamma, beta) = (gamma_operand.values()?, beta_operand.values()?);
        let again;
        let moments = if let Some(moments) = self.moments_on_card.get() {
            moments
        } else {
            again = self.moments_on(device, &x_values)?;
            &again
        };
        let (mean, inverse) = (moments.mean.values(), moments.inverse.values());
        let inputs = [&x_values, &grad, &mean, &inverse, &gamma, &beta];
        let (sums, means) = self.sums_on(device, inputs)?;
        let [dgamma, dbeta] = self.parameters_on(device, &sums)?;
        let mut dx = Output::new(device, x_values.dtype(), x_values.len())?;
        let (count, of_sample) = (x_values.len() as i64, (self.extent.rows * self.extent.channels) as i64);
        let channels = whole(self.extent.channels)?;
        let means = means.values();
        let kernel = Kernel::of(device, &embedded::NORM, &x_values.kernel("norm_backward"))?;
        let launch = inputs.into_iter().fold(kernel.launch(), |launch, input| launch.input(input));
        launch
            .input(&means)
            .output(&mut dx)
            .value(&count)
            .value(&of_sample)
            .value(&channels)
            .value(&self.slope)
            .run(Size::of_items(x_values.len()))?;
        let channels = self.extent.channels;
        Ok([
            dx.into_tensor(device, x.shape()),
            dgamma.into_tensor(device, channels),
            dbeta.into_tensor(device, channels),
        ])
    }

    /// Each pair's sums of g and of g times the normalised x, and their means over what shares statistics.
    fn sums_on(&self, device: &CudaDevice, inputs: [&Values; 6]) -> Result<(Output, Output)> {
        let ((pairs, statistics), scope) = (self.counts(), self.scope()?);
        let (size, [rows, channels, span]) = self.columns()?;
        let [parts, ..] = self.blocks();
        let mut of_parts = Output::new(device, DType::F32, parts * pairs * 2)?;
        let kernel = Kernel::of(device, &embedded::NORM, &inputs[0].kernel("norm_sums"))?;
        let launch = inputs.into_iter().fold(kernel.launch(), |launch, input| launch.input(input));
        let launch = launch.output(&mut of_parts).value(&rows).value(&channels).value(&span);
        launch.value(&self.slope).run(size)?;
        let mut sums = Output::new(device, DType::F32, pairs * 2)?;
        let mut means = Output::new(device, DType::F32, pairs * 2)?;
        let parts = whole(parts)?;
        Kernel::of(device, &embedded::NORM, "norm_means")?
            .launch()
            .input(&of_parts.values())
            .input(inputs[4])
            .output(&mut sums)
            .output(&mut means)
            .value(&scope)
            .value(&parts)
            .run(Size::of_blocks([statistics, 1, 1], 32))?;
        Ok((sums, means))
    }

    fn parameters_on(&self, device: &CudaDevice, sums: &Output) -> Result<[Output; 2]> {
        let mut dgamma = Output::new(device, DType::F32, self.extent.channels)?;
        let mut dbeta = Output::new(device, DType::F32, self.extent.channels)?;
        let (samples, channels) = (whole(self.extent.samples)?, whole(self.extent.channels)?);
        Kernel::of(device, &embedded::NORM, "norm_parameters")?
            .launch()
            .input(&sums.values())
            .output(&mut dgamma)
            .output(&mut dbeta)
            .value(&samples)
            .value(&channels)
            .run(Size::of_items(self.extent.channels))?;
        Ok([dgamma, dbeta])
    }
}
