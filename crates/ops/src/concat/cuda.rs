//! Joining and cutting channels on a card.

use candle_core::cuda_backend::CudaDevice;
use candle_core::{CudaStorage, Layout, Result, Tensor, backend::BackendStorage};

use crate::cuda::{Kernel, Operand, Output, Size, Values, embedded, whole};
use crate::dense::with_channels;

/// The channels of `a`, `[.., ca]`, then those of `b`, `[.., cb]`.
pub(super) fn join(
    (a, a_layout): (&CudaStorage, &Layout),
    (b, b_layout): (&CudaStorage, &Layout),
    [ca, cb]: [usize; 2],
) -> Result<CudaStorage> {
    let device = a.device();
    let (a, b) = (Values::new(a, a_layout)?, Values::new(b, b_layout)?);
    let mut joined = Output::new(device, a.dtype(), a.len() + b.len())?;
    copy(device, &a, [ca, 0], &mut joined, [ca + cb, 0], ca)?;
    copy(device, &b, [cb, 0], &mut joined, [ca + cb, ca], cb)?;
    Ok(joined.into_storage(device))
}

/// `count` channels from `first` on.
pub(super) fn cut(x: &Tensor, first: usize, count: usize) -> Result<Tensor> {
    let operand = Operand::new(x);
    let (device, values) = (operand.device()?, operand.values()?);
    let channels = x.dims()[x.rank() - 1];
    let mut part = Output::new(device, values.dtype(), values.len() / channels * count)?;
    copy(device, &values, [channels, first], &mut part, [count, 0], count)?;
    Ok(part.into_tensor(device, with_channels(x.dims(), count)))
}

/// Copies `count` channels; `[channels, first]` of either side.
fn copy(
    device: &CudaDevice,
    from: &Values,
    [from_channels, from_first]: [usize; 2],
    to: &mut Output,
    [to_channels, to_first]: [usize; 2],
    count: usize,
) -> Result<()> {
    let rows = (from.len() / from_channels) as i64;
    let size = Size::of_items(from.len() / from_channels * count);
    let [from_channels, from_first] = [whole(from_channels)?, whole(from_first)?];
    let [to_channels, to_first, count] = [whole(to_channels)?, whole(to_first)?, whole(count)?];
    Kernel::of(device, &embedded::CONCAT, &from.kernel("copy_channels"))?
        .launch()
        .input(from)
        .output(to)
        .value(&rows)
        .value(&from_channels)
        .value(&from_first)
        .value(&to_channels)
        .value(&to_first)
        .value(&count)
        .run(size)
}
