//! The same through NCCL.
#![allow(unsafe_code)] // Sums that NCCL takes; each rests on the lengths beside it.

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{DevicePtr, DevicePtrMut};
use candle_core::{DType, Device, Error, Result, Tensor, bail};

use super::nccl::{Communicator, Element};
use crate::cuda::{Operand, Output};

/// Numbers that are summed at a time: gradients are packed into buckets of 32 MB.
const BUCKET: usize = 8 << 20;

pub(super) struct Link {
    communicator: Communicator,
    device: CudaDevice,
}

impl Link {
    pub(super) fn join(device: &Device, identity: &[u8], rank: usize, count: usize) -> Result<Self> {
        let device = device.as_cuda_device()?.clone();
        device.cuda_stream().context().bind_to_thread().map_err(Error::wrap)?;
        Ok(Self { communicator: Communicator::join(identity, rank, count)?, device })
    }

    pub(super) fn sum(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut sums = Vec::with_capacity(tensors.len());
        let mut first = 0;
        while first < tensors.len() {
            let mut count = 0;
            let within = |tensor: &&Tensor| {
                count += tensor.elem_count();
                count <= BUCKET
            };
            let bucket = &tensors[first..][..tensors[first..].iter().take_while(within).count().max(1)];
            sums.extend(self.sum_bucket(bucket)?);
            first += bucket.len();
        }
        Ok(sums)
    }

    fn sum_bucket(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        if let Some(other) = tensors.iter().find(|tensor| tensor.dtype() != DType::F32) {
            bail!("ranks: gradients are f32, not {:?}", other.dtype());
        }
        let flat = tensors.iter().map(|tensor| tensor.contiguous()?.flatten_all()).collect::<Result<Vec<_>>>()?;
        let packed = Tensor::cat(&flat, 0)?;
        let (operand, count, stream) = (Operand::new(&packed), packed.elem_count(), self.device.cuda_stream());
        let mut sum = Output::new(&self.device, DType::F32, count)?;
        {
            let (from, to) = (operand.f32()?, sum.f32_mut()?);
            let ((from, _reads), (to, _writes)) = (from.device_ptr(&stream), to.device_ptr_mut(&stream));
            // SAFETY: both have `count` numbers, and are freed on the same stream, behind the sum.
            unsafe { self.communicator.sum(from, to, count, Element::F32, stream.cu_stream().cast()) }?;
        }
        let sum = sum.into_tensor(&self.device, count);
        let mut first = 0;
        let part = |tensor: &Tensor| {
            let part = sum.narrow(0, first, tensor.elem_count())?.reshape(tensor.shape());
            first += tensor.elem_count();
            part
        };
        tensors.iter().map(part).collect()
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
