//! Attention of several heads, with exact gradients.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::dense::{cpu_values, gradient, values};
use crate::tape::apply3;

/// What a query may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttentionMask {
    /// Everything.
    None,
    /// Itself and what came before it (needs as many keys as queries).
    Causal,
    /// Itself and what came before it, from the key on that is named for it (`[t]`, the same for all samples; needs as
    /// many keys as queries). So several texts can stand in one sample, each blind to the others.
    CausalFrom(Vec<usize>),
    /// The keys marked true, `[n * tk]`, the same for all queries of a sample.
    Keys(Vec<bool>),
}

/// softmax(q k^T / sqrt(c / heads)) v, head by head; heads are `c / heads` neighbouring channels.
///
/// A query that may see no key gets zeros, and passes no gradient.
///
/// # Shapes
/// `q` `[n, tq, c]`, `k` and `v` `[n, tk, c]` → `[n, tq, c]`.
///
/// # Errors
/// Shapes or the mask's length disagree; `heads` does not divide `c`; a tensor is neither f32 nor, on a card, bf16.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, mask: AttentionMask) -> Result<Tensor> {
    let (n, queries, channels) = q.dims3()?;
    let (_, keys, _) = k.dims3()?;
    if k.dims() != [n, keys, channels] || v.dims() != k.dims() || q.elem_count() == 0 || keys == 0 {
        let (q, k, v) = (q.dims(), k.dims(), v.dims());
        bail!("attention: q has shape {q:?}, k {k:?}, v {v:?}; expected [n, tq, c], [n, tk, c] and [n, tk, c]");
    }
    if heads == 0 || !channels.is_multiple_of(heads) {
        bail!("attention: {heads} heads do not divide the {channels} channels of q {:?}", q.dims());
    }
    match &mask {
        AttentionMask::Causal | AttentionMask::CausalFrom(_) if queries != keys => {
            bail!("attention: a causal mask needs as many keys as queries, got {keys} and {queries}")
        }
        AttentionMask::CausalFrom(first) if first.len() != queries => {
            bail!("attention: the mask has {} entries, expected one for each of {queries} queries", first.len())
        }
        AttentionMask::CausalFrom(first) if first.iter().enumerate().any(|(query, &first)| first > query) => {
            bail!("attention: the mask lets a query start behind itself: {first:?}")
        }
        AttentionMask::Keys(seen) if seen.len() != n * keys => {
            bail!("attention: the mask has {} entries, expected n * tk = {n} * {keys}", seen.len())
        }
        _ => {}
    }
    let op = Attention { extent: Extent { heads, queries, keys, width: channels / heads }, mask };
    apply3(&q.contiguous()?, &k.contiguous()?, &v.contiguous()?, op)
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    heads: usize,
    queries: usize,
    keys: usize,
    /// Channels of one head.
    width: usize,
}

struct Attention {
    extent: Extent,
    mask: AttentionMask,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = cpu::Inputs::new(cpu_values(s1, l1)?, cpu_values(s2, l2)?, cpu_values(s3, l3)?, self.extent);
        Ok((CpuStorage::F32(cpu::forward(&inputs, &self.mask)), l1.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((self.forward_on((s1, l1), (s2, l2), (s3, l3))?, l1.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return Ok(self.backward_on(q, k, v, &grad)?.map(Some).into());
        }
        let [dq, dk, dv] = {
            let (q_storage, q_layout) = q.storage_and_layout();
            let (k_storage, k_layout) = k.storage_and_layout();
            let (v_storage, v_layout) = v.storage_and_layout();
            let (grad_storage, grad_layout) = grad.storage_and_layout();
            let (q, k, v) =
                (values(&q_storage, q_layout)?, values(&k_storage, k_layout)?, values(&v_storage, v_layout)?);
            let inputs = cpu::Inputs::new(q, k, v, self.extent);
            cpu::backward(&inputs, &self.mask, values(&grad_storage, grad_layout)?)
        };
        Ok((gradient(q, || dq)?, gradient(k, || dk)?, gradient(v, || dv)?))
    }
}
