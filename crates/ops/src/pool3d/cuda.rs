//! Pooling on a card.

use candle_core::{CudaStorage, Layout, Result, backend::BackendStorage};

use super::{Kind, Windows};
use crate::cuda::{Kernel, Output, Size, Values, embedded, kernel_parameter, whole};

kernel_parameter! {
    /// [`Windows`] as the kernels take them.
    struct Extent {
        input: [i32; 3],
        output: [i32; 3],
        kernel: [i32; 3],
        channels: i32,
    }
}

impl Extent {
    fn new(windows: &Windows) -> Result<Self> {
        let all =
            |sizes: [usize; 3]| Ok::<_, candle_core::Error>([whole(sizes[0])?, whole(sizes[1])?, whole(sizes[2])?]);
        let channels = whole(windows.channels)?;
        Ok(Self { input: all(windows.input)?, output: all(windows.output)?, kernel: all(windows.kernel)?, channels })
    }
}

/// See [`super::cpu::max`] and [`super::cpu::mean`].
pub(super) fn forward(windows: &Windows, kind: Kind, storage: &CudaStorage, layout: &Layout) -> Result<CudaStorage> {
    let (device, x) = (storage.device(), Values::new(storage, layout)?);
    let values = windows.output_shape().elem_count();
    let mut y = Output::new(device, x.dtype(), values)?;
    let (count, extent) = (values as i64, Extent::new(windows)?);
    let stem = match kind {
        Kind::Max => "max_pool",
        Kind::Mean => "mean_pool",
    };
    Kernel::of(device, &embedded::POOL3D, &x.kernel(stem))?
        .launch()
        .input(&x)
        .output(&mut y)
        .value(&count)
        .value(&extent)
        .run(Size::of_items(values))?;
    Ok(y.into_storage(device))
}

/// The gradient of [`Kind::Max`] where `x` is given, else that of [`Kind::Mean`].
pub(super) fn backward(
    windows: &Windows,
    x: Option<(&CudaStorage, &Layout)>,
    (grad, grad_layout): (&CudaStorage, &Layout),
) -> Result<CudaStorage> {
    let (device, grad) = (grad.device(), Values::new(grad, grad_layout)?);
    // Voxels that fill no whole window keep their zeros.
    let mut dx = Output::zeros(device, grad.dtype(), windows.input_shape().elem_count())?;
    let (count, extent) = (grad.len() as i64, Extent::new(windows)?);
    let x = x.map(|(storage, layout)| Values::new(storage, layout)).transpose()?;
    let stem = if x.is_some() { "max_backward" } else { "mean_backward" };
    let kernel = Kernel::of(device, &embedded::POOL3D, &grad.kernel(stem))?;
    let launch = match &x {
        Some(x) => kernel.launch().input(x),
        None => kernel.launch(),
    };
    launch.input(&grad).output(&mut dx).value(&count).value(&extent).run(Size::of_items(grad.len()))?;
    Ok(dx.into_storage(device))
}
