//! How much a device can still hold.

use candle_core::Device;

/// Memory of a device, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What new tensors may take; other programs may take it first.
    pub free_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

/// What a GPU can still hold, which the driver's pool keeps for this process included. `None` for the CPU, and where the
/// driver does not say.
pub fn room(device: &Device) -> Option<Room> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => super::cuda::room(device),
        _ => None,
    }
}
