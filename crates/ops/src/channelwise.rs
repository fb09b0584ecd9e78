//! Tensors of one number a channel: a norm's gamma and beta, a layer's bias.

use std::fmt::Arguments;

use candle_core::{Result, Tensor, bail};

/// Refuses a tensor that is not `[channels]`; `whose` says in the message which channels these are.
pub(crate) fn check(op: &str, what: &str, tensor: &Tensor, channels: usize, whose: Arguments<'_>) -> Result<()> {
    if tensor.dims() != [channels] {
        bail!("{op}: {what} has shape {:?}, expected [{channels}], {whose}", tensor.dims());
    }
    Ok(())
}

/// A checked tensor in order, or `value` in every channel where none is given.
pub(crate) fn or_filled(tensor: Option<&Tensor>, value: f32, channels: usize, like: &Tensor) -> Result<Tensor> {
    match tensor {
        Some(tensor) => tensor.contiguous(),
        None => Tensor::full(value, channels, like.device()),
    }
}
