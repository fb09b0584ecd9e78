//! Tensors as device memory.

use std::ops::Deref;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda_backend::{CudaDevice, CudaStorageSlice};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Error, Layout, Result, Shape, Storage, Tensor, bail};
use half::bf16;

/// Values of a contiguous tensor, in row-major order.
pub(crate) struct Values<'a> {
    pub(super) view: View<'a>,
    /// Where they start in their allocation, which is aligned to 256 bytes.
    start: usize,
}

pub(super) enum View<'a> {
    F32(CudaView<'a, f32>),
    Bf16(CudaView<'a, bf16>),
    I16(CudaView<'a, i16>),
    I32(CudaView<'a, i32>),
    U8(CudaView<'a, u8>),
}

impl<'a> Values<'a> {
    /// Of what an operator gets.
    ///
    /// # Errors
    /// A type other than f32 and bf16; a strided layout, which is a fault of ours.
    pub(crate) fn new(storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        let values = Self::of_any(storage, layout)?;
        match values.view {
            View::F32(_) | View::Bf16(_) => Ok(values),
            _ => bail!("ops compute in f32 or bf16 on a card, not in {:?}", storage.dtype()),
        }
    }

    /// As [`Self::new`], of whole numbers too.
    pub(crate) fn of_any(storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("ops: a strided tensor of shape {:?} reached a kernel; call contiguous() first", layout.shape());
        };
        let view = match &storage.slice {
            CudaStorageSlice::F32(slice) => View::F32(slice.slice(start..end)),
            CudaStorageSlice::BF16(slice) => View::Bf16(slice.slice(start..end)),
            CudaStorageSlice::I16(slice) => View::I16(slice.slice(start..end)),
            CudaStorageSlice::I32(slice) => View::I32(slice.slice(start..end)),
            CudaStorageSlice::U8(slice) => View::U8(slice.slice(start..end)),
            _ => bail!("ops: no kernel reads {:?}", storage.dtype()),
        };
        Ok(Self { view, start })
    }

    /// As [`Self::new`], of numbers that are f32 whatever the other inputs are.
    pub(crate) fn f32(storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        let values = Self::new(storage, layout)?;
        if values.dtype() != DType::F32 {
            bail!("ops: numbers a channel are f32, not {:?}", values.dtype());
        }
        Ok(values)
    }

    /// For a library that reads bf16.
    ///
    /// # Errors
    /// Values of another type.
    pub(crate) fn bf16(&self) -> Result<&CudaView<'a, bf16>> {
        match &self.view {
            View::Bf16(view) => Ok(view),
            _ => bail!("ops: expected bf16, got {:?}", self.dtype()),
        }
    }

    /// A part of the values.
    pub(crate) fn part(&self, first: usize, count: usize) -> Self {
        let view = match &self.view {
            View::F32(view) => View::F32(view.slice(first..first + count)),
            View::Bf16(view) => View::Bf16(view.slice(first..first + count)),
            View::I16(view) => View::I16(view.slice(first..first + count)),
            View::I32(view) => View::I32(view.slice(first..first + count)),
            View::U8(view) => View::U8(view.slice(first..first + count)),
        };
        Self { view, start: self.start + first }
    }

    pub(crate) fn dtype(&self) -> DType {
        match self.view {
            View::F32(_) => DType::F32,
            View::Bf16(_) => DType::BF16,
            View::I16(_) => DType::I16,
            View::I32(_) => DType::I32,
            View::U8(_) => DType::U8,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.view {
            View::F32(view) => view.len(),
            View::Bf16(view) => view.len(),
            View::I16(view) => view.len(),
            View::I32(view) => view.len(),
            View::U8(view) => view.len(),
        }
    }

    /// Whether 16 bytes can be read at a time.
    pub(crate) fn is_aligned(&self) -> bool {
        (self.start * self.dtype().size_in_bytes()).is_multiple_of(16)
    }

    /// A kernel's name for this type: `stem_f32` or `stem_bf16`.
    pub(crate) fn kernel(&self, stem: &str) -> String {
        format!("{stem}_{}", self.dtype().as_str())
    }
}

/// A tensor whose values are being read.
pub(crate) struct Operand<'a> {
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    layout: &'a Layout,
}

impl<'a> Operand<'a> {
    pub(crate) fn new(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage: Box::new(storage), layout }
    }

    fn storage(&self) -> Result<&CudaStorage> {
        match &**self.storage {
            Storage::Cuda(storage) => Ok(storage),
            other => bail!("ops: a tensor on {:?} met tensors on a card", other.device().location()),
        }
    }

    /// # Errors
    /// Those of [`Values::new`]; a tensor that is not on a card.
    pub(crate) fn values(&self) -> Result<Values<'_>> {
        Values::new(self.storage()?, self.layout)
    }

    /// The values of an f32 tensor.
    ///
    /// # Errors
    /// Those of [`Values::new`]; another type.
    pub(crate) fn f32(&self) -> Result<CudaView<'_, f32>> {
        match self.values()?.view {
            View::F32(view) => Ok(view),
            _ => bail!("ops: expected f32, got another type"),
        }
    }

    /// As [`Self::values`], of whole numbers too.
    ///
    /// # Errors
    /// Those of [`Values::of_any`]; a tensor that is not on a card.
    pub(crate) fn of_any(&self) -> Result<Values<'_>> {
        Values::of_any(self.storage()?, self.layout)
    }

    pub(crate) fn device(&self) -> Result<&CudaDevice> {
        Ok(self.storage()?.device())
    }
}

/// Runs `work` on the bytes of a contiguous tensor on a card.
pub(crate) fn with_bytes<R>(tensor: &Tensor, work: impl FnOnce(&CudaView<'_, u8>) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cuda(storage), Some((start, end))) => match &storage.slice {
            CudaStorageSlice::U8(slice) => work(&slice.slice(start..end)),
            _ => bail!("ops: expected bytes, got {:?}", tensor.dtype()),
        },
        _ => bail!("ops: bytes must lie beside the other tensors, in one piece"),
    }
}

/// Bytes whose values are not set: every one must be written by a kernel before it is read.
pub(crate) fn new_bytes(device: &CudaDevice, count: usize) -> Result<CudaSlice<u8>> {
    // SAFETY: any bits are a byte, and callers have kernels write every one.
    unsafe { device.alloc(count) }
}

/// A tensor of bytes that a kernel wrote.
pub(crate) fn tensor_of_bytes(bytes: CudaSlice<u8>, device: &CudaDevice, shape: impl Into<Shape>) -> Tensor {
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(bytes, device.clone()));
    Tensor::from_storage(storage, shape, BackpropOp::none(), false)
}

/// New values on a device.
pub(crate) enum Output {
    F32(CudaSlice<f32>),
    Bf16(CudaSlice<bf16>),
    U8(CudaSlice<u8>),
}

impl Output {
    /// Memory whose values are not set: every one must be written by a kernel before it is read.
    pub(crate) fn new(device: &CudaDevice, dtype: DType, count: usize) -> Result<Self> {
        // SAFETY: any bits are a number, and callers have kernels write every value.
        match dtype {
            DType::F32 => Ok(Self::F32(unsafe { device.alloc(count) }?)),
            DType::BF16 => Ok(Self::Bf16(unsafe { device.alloc(count) }?)),
            DType::U8 => Ok(Self::U8(unsafe { device.alloc(count) }?)),
            other => Err(Error::msg(format!("ops compute in f32 or bf16 on a card, not in {other:?}"))),
        }
    }

    pub(crate) fn zeros(device: &CudaDevice, dtype: DType, count: usize) -> Result<Self> {
        match dtype {
            DType::BF16 => Ok(Self::Bf16(device.alloc_zeros(count)?)),
            _ => Ok(Self::F32(device.alloc_zeros(count)?)),
        }
    }

    /// To be written by something else than a kernel of ours.
    ///
    /// # Errors
    /// Values that are not f32.
    pub(crate) fn f32_mut(&mut self) -> Result<&mut CudaSlice<f32>> {
        match self {
            Self::F32(slice) => Ok(slice),
            _ => bail!("ops: expected f32, got another type"),
        }
    }

    /// As [`Self::f32_mut`], of bf16.
    ///
    /// # Errors
    /// Values that are not bf16.
    pub(crate) fn bf16_mut(&mut self) -> Result<&mut CudaSlice<bf16>> {
        match self {
            Self::Bf16(slice) => Ok(slice),
            _ => bail!("ops: expected bf16, got another type"),
        }
    }

    /// To read what a kernel before wrote.
    pub(crate) fn values(&self) -> Values<'_> {
        let view = match self {
            Self::F32(slice) => View::F32(slice.as_view()),
            Self::Bf16(slice) => View::Bf16(slice.as_view()),
            Self::U8(slice) => View::U8(slice.as_view()),
        };
        Values { view, start: 0 }
    }

    pub(crate) fn into_storage(self, device: &CudaDevice) -> CudaStorage {
        match self {
            Self::F32(slice) => CudaStorage::wrap_cuda_slice(slice, device.clone()),
            Self::Bf16(slice) => CudaStorage::wrap_cuda_slice(slice, device.clone()),
            Self::U8(slice) => CudaStorage::wrap_cuda_slice(slice, device.clone()),
        }
    }

    /// A tensor without a gradient of its own: what a backward pass gives.
    pub(crate) fn into_tensor(self, device: &CudaDevice, shape: impl Into<Shape>) -> Tensor {
        Tensor::from_storage(Storage::Cuda(self.into_storage(device)), shape, BackpropOp::none(), false)
    }
}

/// What a backward pass gives for an input: its gradient, which is only computed where the input has one.
pub(crate) fn given(
    device: &CudaDevice,
    input: &Tensor,
    gradient: impl FnOnce() -> Result<Output>,
) -> Result<Option<Tensor>> {
    input.track_op().then(|| Ok(gradient()?.into_tensor(device, input.shape()))).transpose()
}
