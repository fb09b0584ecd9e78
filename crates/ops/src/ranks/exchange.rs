//! Sums over all ranks of tensors that come one after another, such as gradients in a backward pass: they are sent in
//! buckets, each as soon as it is full, so that the cards talk while they compute.

use candle_core::{Result, Tensor};

use super::Ranks;

/// Numbers of a bucket at most, but for a single tensor that has more: 32 MB.
const LARGEST: usize = 8 << 20;
/// So many buckets at least, if there are so many tensors: the first is soon full, and the last, which nothing hides, is
/// small.
const FEWEST: usize = 8;

/// Sums that are being taken. Every rank adds tensors of the same shapes in the same order.
pub struct Exchange<'a, K> {
    ranks: &'a Ranks,
    /// Numbers with which a bucket is full.
    full: usize,
    /// The bucket that is being filled.
    keys: Vec<K>,
    tensors: Vec<Tensor>,
    numbers: usize,
    sent: Vec<Bucket<K>>,
}

/// Tensors that were sent together, under their keys.
struct Bucket<K> {
    keys: Vec<K>,
    sums: Sums,
}

enum Sums {
    /// Of one rank.
    There(Vec<Tensor>),
    #[cfg(feature = "cuda")]
    Sent(super::cuda::Sent),
}

impl Ranks {
    /// Begins a sum of tensors that have so many numbers in all; it need not be exact, but the same on every rank.
    pub fn exchange<K>(&self, numbers: usize) -> Exchange<'_, K> {
        let full = (numbers / FEWEST).clamp(1, LARGEST);
        Exchange { ranks: self, full, keys: Vec::new(), tensors: Vec::new(), numbers: 0, sent: Vec::new() }
    }
}

impl<K> Exchange<'_, K> {
    /// Takes the next tensor, f32; does not wait for other ranks.
    ///
    /// # Errors
    /// Another type; what NCCL refuses.
    pub fn add(&mut self, key: K, tensor: Tensor) -> Result<()> {
        self.numbers += tensor.elem_count();
        self.keys.push(key);
        self.tensors.push(tensor);
        if self.numbers >= self.full { self.send() } else { Ok(()) }
    }

    /// How many buckets are on their way.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// Every tensor's sum under its key, the same bits on every rank. What is computed with them waits on the device.
    ///
    /// # Errors
    /// As [`Exchange::add`].
    pub fn finish(mut self) -> Result<Vec<(K, Tensor)>> {
        if !self.keys.is_empty() {
            self.send()?;
        }
        let mut sums = Vec::new();
        for bucket in self.sent {
            sums.extend(bucket.keyed()?);
        }
        Ok(sums)
    }

    fn send(&mut self) -> Result<()> {
        self.numbers = 0;
        let (keys, tensors) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.tensors));
        self.sent.push(Bucket { keys, sums: self.ranks.send(tensors)? });
        Ok(())
    }
}

impl Ranks {
    #[cfg_attr(not(feature = "cuda"), allow(clippy::unused_self, clippy::unnecessary_wraps))]
    fn send(&self, tensors: Vec<Tensor>) -> Result<Sums> {
        #[cfg(feature = "cuda")]
        if let Some(card) = &self.card {
            return card.send(&tensors).map(Sums::Sent);
        }
        Ok(Sums::There(tensors))
    }
}

impl<K> Bucket<K> {
    #[cfg_attr(not(feature = "cuda"), allow(clippy::unnecessary_wraps, clippy::infallible_destructuring_match))]
    fn keyed(self) -> Result<impl Iterator<Item = (K, Tensor)>> {
        let tensors = match self.sums {
            Sums::There(tensors) => tensors,
            #[cfg(feature = "cuda")]
            Sums::Sent(sent) => sent.fetch()?,
        };
        Ok(self.keys.into_iter().zip(tensors))
    }
}
