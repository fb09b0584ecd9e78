//! The same through NCCL.
#![allow(unsafe_code)] // A handle that may move between threads.

use std::panic::catch_unwind;

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::nccl::safe::{Comm, Id, ReduceOp};
use candle_core::{DType, Device, Error, Result, Tensor, bail};

use super::ID_BYTES;
use crate::cuda::{Operand, Output};

/// Numbers that are summed at a time: gradients are packed into buckets of 32 MB.
const BUCKET: usize = 8 << 20;

pub(super) struct Link {
    comm: Comm,
    device: CudaDevice,
}

// SAFETY: NCCL lets any one thread at a time use a communicator; `Link` lends it only where `&self` calls run, which the
// trainer that owns it makes on one thread.
unsafe impl Send for Link {}

/// See [`super::Ranks::identity`].
pub(super) fn identity() -> Result<Vec<u8>> {
    let made =
        catch_unwind(Id::new).map_err(|_| Error::msg("libnccl.so.2 was not found; install NCCL 2.18 or newer"))?;
    let id = made.map_err(|error| refused("an identity", error))?;
    Ok(id.internal().iter().map(|&byte| byte as u8).collect())
}

impl Link {
    pub(super) fn join(device: &Device, identity: &[u8], rank: usize, count: usize) -> Result<Self> {
        let device = device.as_cuda_device()?.clone();
        let mut id = [0; ID_BYTES];
        id.iter_mut().zip(identity).for_each(|(to, &from)| *to = from as _);
        let comm = Comm::from_rank(device.cuda_stream(), rank, count, Id::uninit(id));
        Ok(Self { comm: comm.map_err(|error| refused("joining", error))?, device })
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
        let operand = Operand::new(&packed);
        let mut sum = Output::new(&self.device, DType::F32, packed.elem_count())?;
        let (from, to) = (operand.f32()?, sum.f32_mut()?);
        self.comm.all_reduce(&from, to, &ReduceOp::Sum).map_err(|error| refused("a sum of gradients", error))?;
        let sum = sum.into_tensor(&self.device, packed.elem_count());
        let mut first = 0;
        let part = |tensor: &Tensor| {
            let part = sum.narrow(0, first, tensor.elem_count())?.reshape(tensor.shape());
            first += tensor.elem_count();
            part
        };
        tensors.iter().map(part).collect()
    }

    pub(super) fn sum_numbers(&self, numbers: &[i32]) -> Result<Vec<i32>> {
        let from = self.device.clone_htod(numbers)?;
        let mut to = self.device.alloc_zeros::<i32>(numbers.len())?;
        self.comm.all_reduce(&from, &mut to, &ReduceOp::Sum).map_err(|error| refused("a sum", error))?;
        self.device.clone_dtoh(&to)
    }
}

fn refused(what: &str, error: impl std::fmt::Debug) -> Error {
    Error::msg(format!("NCCL refused {what}: {error:?}; NCCL_DEBUG=INFO tells more"))
}
