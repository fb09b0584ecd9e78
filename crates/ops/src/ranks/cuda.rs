//! The same through NCCL, on a stream of its own: what is computed meanwhile does not wait for it.
#![allow(unsafe_code)] // Sums that NCCL takes; each rests on the lengths beside it.

use std::sync::Arc;

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream, DevicePtr, DevicePtrMut};
use candle_core::{DType, Device, Error, Result, Shape, Tensor, bail};

use super::nccl::{Communicator, Element};
use crate::cuda::{Operand, Output};

pub(super) struct Link {
    communicator: Communicator,
    device: CudaDevice,
    /// On which the sums are taken.
    beside: Arc<CudaStream>,
}

/// Tensors whose sums are on their way, packed one behind the other.
pub(super) struct Sent {
    /// `None` once they were fetched.
    packed: Option<Output>,
    shapes: Vec<Shape>,
    device: CudaDevice,
    /// The sums are there.
    done: CudaEvent,
}

impl Link {
    pub(super) fn join(device: &Device, identity: &[u8], rank: usize, count: usize) -> Result<Self> {
        let device = device.as_cuda_device()?.clone();
        let context = device.cuda_stream().context().clone();
        context.bind_to_thread().map_err(Error::wrap)?;
        let beside = context.new_stream().map_err(Error::wrap)?;
        Ok(Self { communicator: Communicator::join(identity, rank, count)?, device, beside })
    }

    /// Starts a sum; it waits for what was put in the device's stream before.
    pub(super) fn send(&self, tensors: &[Tensor]) -> Result<Sent> {
        let (device, count) = (self.device.clone(), tensors.iter().map(Tensor::elem_count).sum());
        let mut packed = Output::new(&device, DType::F32, count)?;
        let mut first = 0;
        for tensor in tensors {
            if tensor.dtype() != DType::F32 {
                bail!("ranks: gradients are f32, not {:?}", tensor.dtype());
            }
            let tensor = tensor.contiguous()?;
            let place = first..first + tensor.elem_count();
            first = place.end;
            device.memcpy_dtod(&Operand::new(&tensor).f32()?, &mut packed.f32_mut()?.slice_mut(place))?;
        }
        let is_packed = device.cuda_stream().record_event(None).map_err(Error::wrap)?;
        self.beside.wait(&is_packed).map_err(Error::wrap)?;
        {
            let (place, _writes) = packed.f32_mut()?.device_ptr_mut(&self.beside);
            // SAFETY: it has `count` numbers. They are freed on the device's stream, behind its wait for the sum.
            unsafe { self.communicator.sum(place, place, count, Element::F32, self.beside.cu_stream().cast()) }?;
        }
        let done = self.beside.record_event(None).map_err(Error::wrap)?;
        let shapes = tensors.iter().map(|tensor| tensor.shape().clone()).collect();
        Ok(Sent { packed: Some(packed), shapes, device, done })
    }

    pub(super) fn sum_numbers(&self, numbers: &[i32]) -> Result<Vec<i32>> {
        let stream = self.device.cuda_stream();
        let from = self.device.clone_htod(numbers)?;
        let mut to = self.device.alloc_zeros::<i32>(numbers.len())?;
        {
            let ((from, _reads), (to, _writes)) = (from.device_ptr(&stream), to.device_ptr_mut(&stream));
            // SAFETY: both have as many numbers as were given, and are freed on the same stream, behind the sum.
            unsafe { self.communicator.sum(from, to, numbers.len(), Element::I32, stream.cu_stream().cast()) }?;
        }
        self.device.clone_dtoh(&to)
    }
}

impl Sent {
    /// The sums, in the shapes of the tensors that were sent. What is put in the device's stream from now on waits for
    /// them, the host does not.
    pub(super) fn fetch(mut self) -> Result<Vec<Tensor>> {
        self.device.cuda_stream().wait(&self.done).map_err(Error::wrap)?;
        let Some(packed) = self.packed.take() else { bail!("ranks: sums are fetched once") };
        let count = packed.values().len();
        let packed = packed.into_tensor(&self.device, count);
        let mut first = 0;
        let part = |shape: &Shape| {
            let part = packed.narrow(0, first, shape.elem_count())?.reshape(shape);
            first += shape.elem_count();
            part
        };
        self.shapes.iter().map(part).collect()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if self.packed.is_some() {
            // Something else failed. The memory must outlive the sum, even then; a wait that fails too was told before.
            let _ = self.device.cuda_stream().wait(&self.done);
        }
    }
}
