//! The sizes of one convolution, checked once, used by every kernel.

use candle_core::{Result, Tensor, bail};

/// A 3-D convolution from a *fine* grid to a *coarse* one: `coarse[q] = Σ_k fine[q·stride + k − padding] · w[k]`.
///
/// A transposed convolution is the input gradient of such a convolution, so it is described by the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Samples in the batch.
    pub batch: usize,
    /// Size of the fine grid, `[z, y, x]`.
    pub fine: [usize; 3],
    /// Channels on the fine grid.
    pub fine_channels: usize,
    /// Size of the coarse grid, `[z, y, x]`.
    pub coarse: [usize; 3],
    /// Channels on the coarse grid.
    pub coarse_channels: usize,
    /// Size of the kernel, `[z, y, x]`.
    pub kernel: [usize; 3],
    /// Fine voxels between neighbouring coarse voxels, `[z, y, x]`.
    pub stride: [usize; 3],
    /// Zero voxels assumed on each side of the fine grid, `[z, y, x]`.
    pub padding: [usize; 3],
}

/// Voxels along an axis, channels, samples and steps are at most so many: sums and products of two of them then fit.
const MAX_SIZE: usize = 1 << 31;

impl Geometry {
    /// Sizes of `conv3d(x, weight)`; an error names the shape that does not fit.
    pub fn convolution(x: &Tensor, weight: &Tensor, stride: [usize; 3], padding: [usize; 3]) -> Result<Self> {
        Self::of_volume(volume_shape("conv3d", x)?, weight, stride, padding)
    }

    /// Sizes of `conv3d` of the channels of `a` and then those of `b`; none where their other dimensions differ.
    pub fn joined(
        a: &Tensor,
        b: &Tensor,
        weight: &Tensor,
        stride: [usize; 3],
        padding: [usize; 3],
    ) -> Result<Option<Self>> {
        let (batch, fine, channels) = volume_shape("conv3d", a)?;
        let (other_batch, other_fine, other_channels) = volume_shape("conv3d", b)?;
        let fit = batch == other_batch && fine == other_fine;
        let whole = || Self::of_volume((batch, fine, channels + other_channels), weight, stride, padding);
        fit.then(whole).transpose()
    }

    fn of_volume(
        (batch, fine, fine_channels): (usize, [usize; 3], usize),
        weight: &Tensor,
        stride: [usize; 3],
        padding: [usize; 3],
    ) -> Result<Self> {
        let (kernel, ci, co) = kernel_shape("conv3d", weight)?;
        check_steps("conv3d", stride, padding)?;
        if ci != fine_channels {
            bail!("conv3d: x has {fine_channels} channels, weight {:?} [kd, kh, kw, ci, co] wants {ci}", weight.dims());
        }
        let mut coarse = [0; 3];
        for axis in 0..3 {
            let padded = fine[axis] + 2 * padding[axis];
            if padded < kernel[axis] {
                bail!(
                    "conv3d: axis {axis} of x has {} voxels with padding, the kernel needs at least {}",
                    padded,
                    kernel[axis]
                );
            }
            coarse[axis] = (padded - kernel[axis]) / stride[axis] + 1;
        }
        Self { batch, fine, fine_channels, coarse, coarse_channels: co, kernel, stride, padding }.fitting("conv3d")
    }

    /// Sizes of `conv_transpose3d(x, weight)`: `x` lies on the coarse grid, the result on the fine one.
    pub fn transposed(x: &Tensor, weight: &Tensor, stride: [usize; 3]) -> Result<Self> {
        let (batch, coarse, coarse_channels) = volume_shape("conv_transpose3d", x)?;
        let (kernel, ci, co) = kernel_shape("conv_transpose3d", weight)?;
        check_steps("conv_transpose3d", stride, [0; 3])?;
        if ci != coarse_channels {
            bail!(
                "conv_transpose3d: x has {coarse_channels} channels, weight {:?} [kd, kh, kw, ci, co] wants {ci}",
                weight.dims()
            );
        }
        let fine = [0, 1, 2].map(|axis| (coarse[axis] - 1) * stride[axis] + kernel[axis]);
        let padding = [0; 3];
        Self { batch, fine, fine_channels: co, coarse, coarse_channels, kernel, stride, padding }
            .fitting("conv_transpose3d")
    }

    /// Whether no axis is empty and places in arrays of these sizes can be counted: kernels are compiled without checks
    /// of overflow.
    pub fn fits_memory(&self) -> bool {
        let weight = [self.fine_channels, self.coarse_channels];
        let [fine, coarse] = [self.fine_shape(), self.coarse_shape()];
        let arrays: [&[&[usize]]; 3] = [&[&fine], &[&coarse], &[&self.kernel, &weight]];
        let is_size = |size: &usize| (1..=MAX_SIZE).contains(size);
        let is_array = |array: &[&[usize]]| {
            let mut sizes = array.iter().copied().flatten();
            sizes.clone().all(is_size) && sizes.try_fold(1, |count: usize, &size| count.checked_mul(size)).is_some()
        };
        arrays.into_iter().all(is_array)
            && self.stride.iter().all(is_size)
            && self.padding.iter().all(|&padding| padding <= MAX_SIZE)
    }

    fn fitting(self, op: &str) -> Result<Self> {
        if !self.fits_memory() {
            bail!("{op}: fine {:?} and coarse {:?} are beyond any memory", self.fine_shape(), self.coarse_shape());
        }
        Ok(self)
    }

    /// # Panics
    /// If they do not [fit][Self::fits_memory].
    pub(super) fn assert_fits_memory(&self) {
        assert!(self.fits_memory(), "{self:?} is for no arrays that could exist");
    }

    /// Shape of a tensor on the fine grid.
    pub fn fine_shape(&self) -> [usize; 5] {
        let [d, h, w] = self.fine;
        [self.batch, d, h, w, self.fine_channels]
    }

    /// Shape of a tensor on the coarse grid.
    pub fn coarse_shape(&self) -> [usize; 5] {
        let [d, h, w] = self.coarse;
        [self.batch, d, h, w, self.coarse_channels]
    }

    /// Kernel positions.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Multiplications and additions of one pass (forward, input gradient or weight gradient).
    pub fn flops(&self) -> u64 {
        2 * (self.batch * self.coarse.iter().product::<usize>() * self.taps()) as u64
            * (self.fine_channels * self.coarse_channels) as u64
    }
}

/// Which channel of a weight tensor `[kd, kh, kw, a, b]` lies on the fine grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightOrder {
    /// `a` is the fine grid's channel (a convolution's weight).
    FineCoarse,
    /// `a` is the coarse grid's channel (a transposed convolution's weight).
    CoarseFine,
}

impl WeightOrder {
    /// Shape of the weight tensor.
    pub fn shape(self, geometry: &Geometry) -> [usize; 5] {
        let [kd, kh, kw] = geometry.kernel;
        match self {
            Self::FineCoarse => [kd, kh, kw, geometry.fine_channels, geometry.coarse_channels],
            Self::CoarseFine => [kd, kh, kw, geometry.coarse_channels, geometry.fine_channels],
        }
    }
}

/// Batch, `[z, y, x]` and channels of `[n, d, h, w, c]`; empty axes are refused.
pub(crate) fn volume_shape(op: &str, x: &Tensor) -> Result<(usize, [usize; 3], usize)> {
    let dims = x.dims();
    let &[n, d, h, w, c] = dims else {
        bail!("{op}: x must be [n, d, h, w, c] (5 axes), got shape {dims:?}");
    };
    if n * d * h * w * c == 0 {
        bail!("{op}: x has an empty axis, shape {dims:?}");
    }
    Ok((n, [d, h, w], c))
}

fn kernel_shape(op: &str, weight: &Tensor) -> Result<([usize; 3], usize, usize)> {
    let dims = weight.dims();
    let &[kd, kh, kw, ci, co] = dims else {
        bail!("{op}: weight must be [kd, kh, kw, ci, co] (5 axes), got shape {dims:?}");
    };
    if kd * kh * kw * ci * co == 0 {
        bail!("{op}: weight has an empty axis, shape {dims:?}");
    }
    Ok(([kd, kh, kw], ci, co))
}

fn check_steps(op: &str, stride: [usize; 3], padding: [usize; 3]) -> Result<()> {
    if stride.contains(&0) {
        bail!("{op}: stride {stride:?} must be at least 1 on every axis");
    }
    if let Some(step) = stride.iter().chain(&padding).find(|&&step| step > MAX_SIZE) {
        bail!("{op}: stride {stride:?} and padding {padding:?} must be at most {MAX_SIZE}, got {step}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// Before, places were counted in numbers that had wrapped, and results written wherever that led.
    #[test]
    fn sizes_beyond_memory_are_refused() {
        let zeros = |shape: [usize; 5]| Tensor::zeros(shape.as_slice(), DType::F32, &Device::Cpu).unwrap();
        let (x, weight) = (zeros([1, 1, 1, 1, 1]), zeros([1, 1, 1, 1, 1]));
        let refusal = |padding| Geometry::convolution(&x, &weight, [1; 3], padding).unwrap_err().to_string();
        assert!(refusal([1 << 31, 0, 0]).contains("beyond any memory"), "an axis");
        assert!(refusal([(1 << 30) - 1, (1 << 30) - 1, 8]).contains("beyond any memory"), "a product");
        assert!(refusal([1 << 63, 0, 0]).contains("must be at most"), "twice the padding");
        assert!(Geometry::convolution(&x, &weight, [1; 3], [1, 2, 3]).is_ok());
    }
}
