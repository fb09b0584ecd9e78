//! How far the host may run ahead of a device.

use candle_core::{Device, Result};

/// Lets the host put work in a device's queue one step ahead, no further: progress is told as it is, a cancellation is
/// soon heard, and the device never waits for the host. The CPU is never ahead of itself.
#[derive(Debug)]
pub struct Pace {
    #[cfg(feature = "cuda")]
    device: Device,
    #[cfg(feature = "cuda")]
    last: Option<candle_core::cuda_backend::cudarc::driver::CudaEvent>,
}

impl Pace {
    /// For work on a device.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn new(device: &Device) -> Self {
        Self {
            #[cfg(feature = "cuda")]
            device: device.clone(),
            #[cfg(feature = "cuda")]
            last: None,
        }
    }

    /// Ends a step, and waits until the step before it is done.
    ///
    /// # Errors
    /// What the work before returned.
    #[cfg_attr(
        not(feature = "cuda"),
        allow(clippy::unnecessary_wraps, clippy::unused_self, clippy::needless_pass_by_ref_mut)
    )]
    pub fn step(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(device) = &self.device {
            let event = device.cuda_stream().record_event(None).map_err(candle_core::Error::wrap)?;
            if let Some(last) = self.last.replace(event) {
                last.synchronize().map_err(candle_core::Error::wrap)?;
            }
        }
        Ok(())
    }
}
