//! f32 numbers on a device that are written in place: an optimiser's moments, a moving average.

#[cfg(feature = "cuda")]
use candle_core::cuda_backend::{CudaDevice, cudarc::driver::CudaSlice};
use candle_core::{Device, Result, Tensor, bail};

/// Numbers of a fixed count, beside the tensor they belong to.
#[derive(Debug)]
pub struct Buffer(pub(crate) Place);

#[derive(Debug)]
pub(crate) enum Place {
    Host(Vec<f32>),
    #[cfg(feature = "cuda")]
    Card(CudaSlice<f32>, CudaDevice),
}

impl Buffer {
    /// `count` zeros.
    ///
    /// # Errors
    /// Memory of the device.
    pub fn zeros(count: usize, device: &Device) -> Result<Self> {
        Self::from_vec(vec![0.0; count], device)
    }

    /// The numbers, on a device.
    ///
    /// # Errors
    /// Memory of the device; a device that is neither the host nor a card.
    pub fn from_vec(values: Vec<f32>, device: &Device) -> Result<Self> {
        match device {
            Device::Cpu => Ok(Self(Place::Host(values))),
            #[cfg(feature = "cuda")]
            Device::Cuda(card) => Ok(Self(Place::Card(card.clone_htod(&values)?, card.clone()))),
            other => bail!("ops: no numbers on {:?}", other.location()),
        }
    }

    /// A copy of a tensor's values, on its device.
    ///
    /// # Errors
    /// A tensor that is not f32; memory of the device.
    pub fn of(tensor: &Tensor) -> Result<Self> {
        Self::from_vec(tensor.flatten_all()?.to_vec1()?, tensor.device())
    }

    /// A copy on the host.
    ///
    /// # Errors
    /// A fault of the device.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        match &self.0 {
            Place::Host(values) => Ok(values.clone()),
            #[cfg(feature = "cuda")]
            Place::Card(values, card) => card.clone_dtoh(values),
        }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Place::Host(values) => values.len(),
            #[cfg(feature = "cuda")]
            Place::Card(values, _) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
