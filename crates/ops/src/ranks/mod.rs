//! Several processes that train one network, a card each: sums of their gradients, and what they tell each other.
//!
//! Every call is made by all ranks in the same order; it returns when all have made it. NCCL is loaded at run time. A
//! rank that dies leaves the others waiting, so who starts them watches them (`src/train/ranks.ts`).

#[cfg(feature = "cuda")]
mod cuda;
mod exchange;
#[cfg(feature = "cuda")]
mod nccl;

pub use exchange::Exchange;

use candle_core::{Device, Result, Tensor, bail};

/// Bytes of an identity.
pub const ID_BYTES: usize = 128;

/// One of several processes.
pub struct Ranks {
    rank: usize,
    count: usize,
    #[cfg(feature = "cuda")]
    card: Option<cuda::Link>,
}

impl Ranks {
    /// A new identity, made by the first rank for all.
    ///
    /// # Errors
    /// A build without CUDA code; NCCL that is missing or refuses.
    pub fn identity() -> Result<Vec<u8>> {
        #[cfg(feature = "cuda")]
        return nccl::identity();
        #[cfg(not(feature = "cuda"))]
        bail!("this build has CPU code only, so several processes cannot train together")
    }

    /// Waits for all `count` ranks of an identity.
    ///
    /// # Errors
    /// A device that is not a card, an identity of another length, a rank beyond the count; what NCCL refuses.
    pub fn join(device: &Device, identity: &[u8], rank: usize, count: usize) -> Result<Self> {
        if rank >= count || identity.len() != ID_BYTES || !device.is_cuda() {
            let bytes = identity.len();
            bail!("ranks: rank {rank} of {count}, an identity of {bytes} bytes, on {:?}", device.location());
        }
        #[cfg(feature = "cuda")]
        return Ok(Self { rank, count, card: Some(cuda::Link::join(device, identity, rank, count)?) });
        #[cfg(not(feature = "cuda"))]
        bail!("this build has CPU code only, so several processes cannot train together")
    }

    /// One process alone, whose sums are what it gives.
    #[must_use]
    pub fn alone() -> Self {
        Self {
            rank: 0,
            count: 1,
            #[cfg(feature = "cuda")]
            card: None,
        }
    }

    /// This process's number, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The sums over all ranks of tensors that are f32 and have the same shapes on every rank; the same bits on every
    /// rank.
    ///
    /// # Errors
    /// What NCCL refuses.
    pub fn sum(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut exchange = self.exchange(tensors.iter().map(Tensor::elem_count).sum());
        tensors.iter().try_for_each(|tensor| exchange.add((), tensor.clone()))?;
        Ok(exchange.finish()?.into_iter().map(|((), sum)| sum).collect())
    }

    /// What every rank gives, in the order of the ranks.
    ///
    /// # Errors
    /// What NCCL refuses.
    pub fn share(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        if self.count == 1 {
            return Ok(vec![bytes.to_vec()]);
        }
        let mut lengths = vec![0; self.count];
        lengths[self.rank] = i32::try_from(bytes.len()).map_err(candle_core::Error::wrap)?;
        let lengths = self.sum_numbers(lengths)?;
        let widest = lengths.iter().max().map_or(0, |&length| (length as usize).div_ceil(4));
        let mut all = vec![0; widest * self.count];
        for (word, chunk) in all[self.rank * widest..].iter_mut().zip(bytes.chunks(4)) {
            let mut four = [0; 4];
            four[..chunk.len()].copy_from_slice(chunk);
            *word = i32::from_le_bytes(four);
        }
        let all = self.sum_numbers(all)?;
        let of_rank = |(rank, &length): (usize, &i32)| {
            let words = &all[rank * widest..][..(length as usize).div_ceil(4)];
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes.truncate(length as usize);
            bytes
        };
        Ok(lengths.iter().enumerate().map(of_rank).collect())
    }

    #[cfg_attr(not(feature = "cuda"), allow(clippy::unused_self, clippy::unnecessary_wraps))]
    fn sum_numbers(&self, numbers: Vec<i32>) -> Result<Vec<i32>> {
        #[cfg(feature = "cuda")]
        if let Some(card) = &self.card {
            return card.sum_numbers(&numbers);
        }
        Ok(numbers)
    }
}

impl std::fmt::Debug for Ranks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ranks({} of {})", self.rank, self.count)
    }
}
