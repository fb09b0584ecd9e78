//! Numbers beside a parameter that change in place.

#[cfg(feature = "cuda")]
use candle_core::cuda_backend::{CudaDevice, cudarc::driver::CudaSlice};
use candle_core::{Device, Result, Var, bail};

use crate::device::from_host;

/// As many f32 as a parameter has, on its device; not shared with anyone.
#[derive(Debug)]
pub struct State(pub(super) Memory);

#[derive(Debug)]
pub(super) enum Memory {
    Cpu(Vec<f32>),
    #[cfg(feature = "cuda")]
    Cuda {
        values: CudaSlice<f32>,
        device: CudaDevice,
    },
}

impl State {
    /// Zeros.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn zeros(len: usize, device: &Device) -> Result<Self> {
        Self::from_host(vec![0.0; len], device)
    }

    /// The host's values.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn from_host(values: Vec<f32>, device: &Device) -> Result<Self> {
        match device {
            Device::Cpu => Ok(Self(Memory::Cpu(values))),
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => {
                Ok(Self(Memory::Cuda { values: device.clone_htod(&values)?, device: device.clone() }))
            }
            other => bail!("optimizer: there is no code for {:?}", other.location()),
        }
    }

    /// The values, on the host.
    ///
    /// # Errors
    /// If copying fails.
    pub fn to_host(&self) -> Result<Vec<f32>> {
        match &self.0 {
            Memory::Cpu(values) => Ok(values.clone()),
            #[cfg(feature = "cuda")]
            Memory::Cuda { values, device } => device.clone_dtoh(values),
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Memory::Cpu(values) => values.len(),
            #[cfg(feature = "cuda")]
            Memory::Cuda { values, .. } => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over values of the same number.
    ///
    /// # Errors
    /// Another number; a failed copy.
    pub fn set(&mut self, values: Vec<f32>) -> Result<()> {
        if values.len() != self.len() {
            bail!("optimizer: {} numbers for a state of {}", values.len(), self.len());
        }
        match &mut self.0 {
            Memory::Cpu(own) => *own = values,
            #[cfg(feature = "cuda")]
            Memory::Cuda { values: own, device } => device.memcpy_htod(&values, own)?,
        }
        Ok(())
    }

    /// Sets a parameter of as many numbers to these, wherever it is.
    ///
    /// # Errors
    /// Another number; a failed copy.
    pub fn copy_to(&self, parameter: &Var) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let (Memory::Cuda { values, .. }, true) = (&self.0, parameter.device().is_cuda()) {
            return super::cuda::copy(values, parameter);
        }
        parameter.set(&from_host(self.to_host()?, parameter.shape(), parameter.device())?)
    }
}

impl Memory {
    /// The values where they must be on the CPU.
    #[cfg_attr(not(feature = "cuda"), allow(clippy::unnecessary_wraps))]
    pub(super) fn on_cpu(&mut self) -> Result<&mut [f32]> {
        match self {
            Self::Cpu(values) => Ok(values),
            #[cfg(feature = "cuda")]
            Self::Cuda { .. } => bail!("optimizer: a parameter on the CPU met moments on a card"),
        }
    }
}
