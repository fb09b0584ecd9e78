//! Attention on a card.

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaStorage, DType, Layout, Result, Tensor, backend::BackendStorage, bail};

use super::{Attention, AttentionMask};
use crate::cuda::{Kernel, Operand, Output, Size, Values, embedded, kernel_parameter, sum_parts, whole};

/// Queries or keys of a block, a warp each.
const ROWS_OF_A_BLOCK: usize = 4;
const THREADS: usize = 128;
/// Channels of one head at most.
const MAX_WIDTH: usize = 256;
/// Queries that one warp goes through for a key's gradient.
const PART_QUERIES: usize = 1024;

kernel_parameter! {
    /// Extent and mask as the kernels take them.
    struct Extent {
        samples: i32,
        heads: i32,
        queries: i32,
        keys: i32,
        width: i32,
        causal: i32,
        scale: f32,
    }
}

/// The first key of each query, and the keys that are marked.
struct Mask {
    first: Option<CudaSlice<i32>>,
    seen: Option<CudaSlice<i32>>,
}

impl Mask {
    fn new(device: &CudaDevice, mask: &AttentionMask) -> Result<Self> {
        let upload = |numbers: Vec<i32>| device.clone_htod(&numbers);
        Ok(match mask {
            AttentionMask::None | AttentionMask::Causal => Self { first: None, seen: None },
            AttentionMask::CausalFrom(first) => {
                let first = first.iter().map(|&first| whole(first)).collect::<Result<_>>()?;
                Self { first: Some(upload(first)?), seen: None }
            }
            AttentionMask::Keys(seen) => {
                Self { first: None, seen: Some(upload(seen.iter().map(|&seen| seen.into()).collect())?) }
            }
        })
    }
}

impl Attention {
    fn extent_of(&self, samples: usize) -> Result<Extent> {
        let super::Extent { heads, queries, keys, width } = self.extent;
        if width > MAX_WIDTH {
            bail!("attention: heads of {width} channels, on a card at most {MAX_WIDTH}");
        }
        Ok(Extent {
            samples: whole(samples)?,
            heads: whole(heads)?,
            queries: whole(queries)?,
            keys: whole(keys)?,
            width: whole(width)?,
            causal: matches!(self.mask, AttentionMask::Causal | AttentionMask::CausalFrom(_)).into(),
            scale: 1.0 / (width as f32).sqrt(),
        })
    }

    fn samples(&self, q: &Values) -> usize {
        q.len() / (self.extent.queries * self.extent.heads * self.extent.width)
    }

    /// See [`super::cpu::forward`].
    pub(super) fn forward_on(
        &self,
        (q, q_layout): (&CudaStorage, &Layout),
        (k, k_layout): (&CudaStorage, &Layout),
        (v, v_layout): (&CudaStorage, &Layout),
    ) -> Result<CudaStorage> {
        let device = q.device();
        let inputs = [Values::new(q, q_layout)?, Values::new(k, k_layout)?, Values::new(v, v_layout)?];
        let mask = Mask::new(device, &self.mask)?;
        Ok(self.attend(device, &inputs, &mask, None)?.into_storage(device))
    }

    /// The output; the logarithms of the queries' sums where there is a place for them.
    fn attend(
        &self,
        device: &CudaDevice,
        [q, k, v]: &[Values; 3],
        mask: &Mask,
        log_sums: Option<&mut Output>,
    ) -> Result<Output> {
        let samples = self.samples(q);
        let extent = self.extent_of(samples)?;
        let mut out = Output::new(device, q.dtype(), q.len())?;
        let kernel = Kernel::of(device, &embedded::ATTENTION, &q.kernel("attention"))?;
        let launch = kernel.launch().input(q).input(k).input(v);
        let launch = launch.numbers(mask.first.as_ref()).numbers(mask.seen.as_ref()).output(&mut out);
        let launch = match log_sums {
            Some(log_sums) => launch.output(log_sums),
            None => launch.optional(None),
        };
        launch.value(&extent).run(self.blocks(self.extent.queries, samples, 1))?;
        Ok(out)
    }

    fn blocks(&self, rows: usize, samples: usize, parts: usize) -> Size {
        Size::of_blocks([rows.div_ceil(ROWS_OF_A_BLOCK), samples * self.extent.heads, parts], THREADS)
    }

    /// Gradients of q, k and v; see [`super::cpu::backward`].
    pub(super) fn backward_on(&self, q: &Tensor, k: &Tensor, v: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let operands = [Operand::new(q), Operand::new(k), Operand::new(v)];
        let grad_operand = Operand::new(grad);
        let (device, grad) = (operands[0].device()?, grad_operand.values()?);
        let inputs = [operands[0].values()?, operands[1].values()?, operands[2].values()?];
        let mask = Mask::new(device, &self.mask)?;
        let units = self.samples(&inputs[0]) * self.extent.heads;
        let mut log_sums = Output::new(device, DType::F32, units * self.extent.queries)?;
        let out = self.attend(device, &inputs, &mask, Some(&mut log_sums))?;
        let (dq, means) = self.query_gradient(device, &inputs, &mask, [&out.values(), &grad, &log_sums.values()])?;
        let [dk, dv] = self.key_gradients(device, &inputs, &mask, [&grad, &log_sums.values(), &means.values()])?;
        Ok([dq.into_tensor(device, q.shape()), dk.into_tensor(device, k.shape()), dv.into_tensor(device, v.shape())])
    }

    fn query_gradient(
        &self,
        device: &CudaDevice,
        [q, k, v]: &[Values; 3],
        mask: &Mask,
        [out, grad, log_sums]: [&Values; 3],
    ) -> Result<(Output, Output)> {
        let samples = self.samples(q);
        let extent = self.extent_of(samples)?;
        let mut dq = Output::new(device, q.dtype(), q.len())?;
        let mut means = Output::new(device, DType::F32, log_sums.len())?;
        let kernel = Kernel::of(device, &embedded::ATTENTION, &q.kernel("attention_queries"))?;
        let launch = kernel.launch().input(q).input(k).input(v).input(out).input(grad).input(log_sums);
        let launch = launch.numbers(mask.first.as_ref()).numbers(mask.seen.as_ref());
        let launch = launch.output(&mut dq).output(&mut means).value(&extent);
        launch.run(self.blocks(self.extent.queries, samples, 1))?;
        Ok((dq, means))
    }

    fn key_gradients(
        &self,
        device: &CudaDevice,
        [q, k, v]: &[Values; 3],
        mask: &Mask,
        [grad, log_sums, means]: [&Values; 3],
    ) -> Result<[Output; 2]> {
        let samples = self.samples(q);
        let extent = self.extent_of(samples)?;
        let parts = self.extent.queries.div_ceil(PART_QUERIES);
        let mut dk = Output::new(device, DType::F32, parts * k.len())?;
        let mut dv = Output::new(device, DType::F32, parts * k.len())?;
        let part_queries = whole(PART_QUERIES)?;
        let kernel = Kernel::of(device, &embedded::ATTENTION, &q.kernel("attention_keys"))?;
        let launch = kernel.launch().input(q).input(k).input(v).input(grad).input(log_sums).input(means);
        let launch = launch.numbers(mask.first.as_ref()).numbers(mask.seen.as_ref());
        let launch = launch.output(&mut dk).output(&mut dv).value(&part_queries).value(&extent);
        launch.run(self.blocks(self.extent.keys, samples, parts))?;
        let total = |partial: &Output| sum_parts(device, partial, parts, k.len(), k.dtype());
        Ok([total(&dk)?, total(&dv)?])
    }
}
