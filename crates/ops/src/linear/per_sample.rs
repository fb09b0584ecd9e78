//! A linear layer whose weight differs from sample to sample: mask embeddings meeting voxels.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::cpu;
#[cfg(feature = "cuda")]
use super::cuda;
use crate::cast::like;
use crate::dense::{cpu_values, gradient, values, with_channels};
use crate::tape::apply2;

/// x w + bias over the last dimension, each sample with its own w and bias.
///
/// # Shapes
/// `x` `[n, .., ci]`, `weight` `[n, ci + 1, co]`, whose last row is the bias → `[n, .., co]`.
///
/// # Errors
/// Shapes that do not fit each other; a tensor is neither f32 nor, on a card, bf16.
pub fn linear_per_sample(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (&[n, .., ci], &[samples, rows, co]) = (x.dims(), weight.dims()) else {
        bail!("linear_per_sample: x has shape {:?}, weight {:?}", x.dims(), weight.dims());
    };
    if n != samples || rows != ci + 1 || ci == 0 || co == 0 || x.elem_count() == 0 {
        bail!(
            "linear_per_sample: weight has shape {:?}, expected [{n}, {}, co] for x {:?}",
            weight.dims(),
            ci + 1,
            x.dims()
        );
    }
    apply2(&x.contiguous()?, &like(weight, x)?, PerSample { n, ci, co })
}

struct PerSample {
    n: usize,
    ci: usize,
    co: usize,
}

impl PerSample {
    /// Weight and bias of a sample.
    fn parts<'a>(&self, weight: &'a [f32], sample: usize) -> (&'a [f32], &'a [f32]) {
        let size = (self.ci + 1) * self.co;
        weight[sample * size..][..size].split_at(self.ci * self.co)
    }

    /// dw and db of every sample, one after the other.
    fn weight_gradient(&self, x: &[f32], grad: &[f32]) -> Vec<f32> {
        let (x_size, grad_size) = (x.len() / self.n, grad.len() / self.n);
        let of_sample = |(x, grad): (&[f32], &[f32])| {
            let mut gradient = cpu::weight_gradient(x, grad, self.ci, self.co);
            gradient.extend(cpu::bias_gradient(grad, self.co));
            gradient
        };
        x.chunks(x_size).zip(grad.chunks(grad_size)).flat_map(of_sample).collect()
    }
}

impl CustomOp2 for PerSample {
    fn name(&self) -> &'static str {
        "linear_per_sample"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (cpu_values(s1, l1)?, cpu_values(s2, l2)?);
        let y = cpu::forward_per_sample(x, self.n, self.ci, self.co, |sample| self.parts(weight, sample));
        Ok((CpuStorage::F32(y), with_channels(l1.dims(), self.co)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        let y = cuda::forward_per_sample((s1, l1), (s2, l2), [self.n, self.ci, self.co])?;
        Ok((y, with_channels(l1.dims(), self.co)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return Ok(cuda::backward_per_sample(x, weight, &grad, [self.n, self.ci, self.co])?.into());
        }
        let (x_storage, x_layout) = x.storage_and_layout();
        let (weight_storage, weight_layout) = weight.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let (x_values, weight_values) = (values(&x_storage, x_layout)?, values(&weight_storage, weight_layout)?);
        let grad = values(&grad_storage, grad_layout)?;
        let to_x = || {
            cpu::input_gradient_per_sample(grad, self.n, self.ci, self.co, |sample| self.parts(weight_values, sample).0)
        };
        Ok((gradient(x, to_x)?, gradient(weight, || self.weight_gradient(x_values, grad))?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::linear;

    fn numbers(count: usize, first: f32) -> Vec<f32> {
        (0..count).map(|i| first + ((i * 29) % 17) as f32 / 9.0 - 1.0).collect()
    }

    /// Against `linear`, which is held to PyTorch and finite differences, sample by sample.
    #[test]
    fn each_sample_is_a_linear_layer() {
        for (n, voxels, ci, co) in [(1, 5, 3, 2), (2, 70, 4, 9), (3, 4099, 1, 1)] {
            let x = Var::from_vec(numbers(n * voxels * ci, 0.1), (n, voxels, ci), &Device::Cpu).unwrap();
            let weight = Var::from_vec(numbers(n * (ci + 1) * co, 0.0), (n, ci + 1, co), &Device::Cpu).unwrap();
            let seed = Tensor::from_vec(numbers(n * voxels * co, 0.3), (n, voxels, co), &Device::Cpu).unwrap();
            let y = linear_per_sample(&x, &weight).unwrap();
            let parts: Vec<Tensor> = (0..n)
                .map(|sample| {
                    let own = weight.get(sample).unwrap();
                    let bias = own.get(ci).unwrap();
                    linear(&x.get(sample).unwrap(), &own.narrow(0, 0, ci).unwrap(), Some(&bias)).unwrap()
                })
                .collect();
            let expected = Tensor::stack(&parts, 0).unwrap();
            let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(flat(&y), flat(&expected));
            let ours = (y * &seed).unwrap().sum_all().unwrap().backward().unwrap();
            let theirs = (expected * &seed).unwrap().sum_all().unwrap().backward().unwrap();
            for var in [&x, &weight] {
                let pairs = flat(ours.get(var).unwrap()).into_iter().zip(flat(theirs.get(var).unwrap()));
                assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-4 * (1.0 + b.abs())));
            }
        }
    }
}
