//! Launches that a card is given as one: a CUDA graph, recorded from a stream.
//!
//! What candle and our operators allocate while a stream is recorded becomes the graph's own memory, at fixed places, from
//! allocation to release in each launch; so everything that the work makes is dropped before the recording ends, and what
//! goes in and out lies in memory that was there before. Small tables that candle's kernels take from the host (shapes
//! and strides) are kept on the card by its own cache, which the first, plain run fills.
#![allow(unsafe_code)] // Trimming of pools.

use std::fmt::Display;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::sys::{
    self, CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
};
use candle_core::cuda_backend::cudarc::driver::{CudaGraph, CudaStream, DriverError, result};
use candle_core::cuda_backend::{CudaDevice, CudaStorageSlice};
use candle_core::{CpuStorage, CudaStorage, Device, Error, InplaceOp2, Layout, Tensor, bail};

use super::cuda::alone;
use super::repeated::Kind;

/// Work that was recorded, and memory for what goes in and comes out.
pub(super) struct Graph {
    device: CudaDevice,
    /// There until this is dropped.
    graph: Option<CudaGraph>,
    input: Tensor,
    answer: Tensor,
}

/// Answers an input launch by launch, and leaves on the card what recording needs there.
pub(super) fn prepared<E: From<Error>>(
    input: &Tensor,
    work: impl Fn(Tensor) -> Result<Tensor, E>,
) -> Result<Tensor, E> {
    let device = card(input)?;
    let _kept = device.enable_cuda_graph_htod_cache();
    work(input.clone())
}

impl Graph {
    /// Records what work does for inputs like this one, whose answers are known to be of that kind.
    ///
    /// # Errors
    /// In words, what cannot be recorded, or what the card has no room for. It is as it was then.
    pub(super) fn record<E: Display>(
        input: &Tensor,
        (shape, dtype): &Kind,
        work: impl Fn(Tensor) -> Result<Tensor, E>,
    ) -> Result<Self, String> {
        let told = |error: Error| error.to_string();
        let device = card(input).map_err(told)?;
        if device.is_event_tracking() {
            return Err("the device orders its streams by events".to_owned());
        }
        let input = Tensor::zeros(input.shape(), input.dtype(), input.device()).map_err(told)?;
        let answer = Tensor::zeros(shape, *dtype, input.device()).map_err(told)?;
        let mut made = Self { device, graph: None, input, answer };
        made.graph = Some(made.recorded(work)?);
        made.make_room().map_err(|error| error.to_string())?;
        Ok(made)
    }

    fn recorded<E: Display>(&self, work: impl Fn(Tensor) -> Result<Tensor, E>) -> Result<CudaGraph, String> {
        let stream = self.device.cuda_stream();
        let _kept = self.device.enable_cuda_graph_htod_cache();
        let _alone = alone();
        stream.begin_capture(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).map_err(|error| error.to_string())?;
        let worked = work(self.input.clone()).map_err(|error| error.to_string()).and_then(|answer| {
            let answer = answer.contiguous().map_err(|error| error.to_string())?;
            rewrite(&self.answer, &answer).map_err(|error| error.to_string())
        });
        // An error of what was dropped would be the next call's, and that has to end the recording in any case.
        let dropped = stream.context().check_err();
        let graph = stream.end_capture(CUgraphInstantiate_flags(0));
        worked?;
        dropped.map_err(|error| error.to_string())?;
        let graph = graph.map_err(|error| error.to_string())?;
        graph.ok_or_else(|| "the driver gave no graph".to_owned())
    }

    /// Has the driver set the graph's memory aside, where there is no room for it without what the pool keeps.
    fn make_room(&self) -> Result<(), DriverError> {
        let Some(graph) = &self.graph else { return Ok(()) };
        match graph.upload() {
            Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => {
                let stream = self.device.cuda_stream();
                stream.synchronize()?;
                trim_pool(&stream)?;
                graph.upload()
            }
            other => other,
        }
    }

    /// Whether it was recorded for such an input.
    pub(super) fn takes(&self, input: &Tensor) -> bool {
        input.shape() == self.input.shape() && input.dtype() == self.input.dtype()
    }

    /// The answer to an input, which the next input overwrites.
    ///
    /// # Errors
    /// Another shape or type; what the driver refuses.
    pub(super) fn replay(&self, input: &Tensor) -> Result<&Tensor, Error> {
        rewrite(&self.input, input)?;
        if let Some(graph) = &self.graph {
            graph.launch().map_err(Error::wrap)?;
        }
        Ok(&self.answer)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let stream = self.device.cuda_stream();
        // What fails here is told by the next call, too.
        let _ = stream.synchronize();
        drop(self.graph.take());
        // SAFETY: the card is that of a context that was made; what still runs keeps its memory.
        unsafe { sys::cuDeviceGraphMemTrim(stream.context().cu_device()) };
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph({:?} to {:?})", self.input.shape(), self.answer.shape())
    }
}

/// Gives back what the driver's pool keeps although nobody uses it.
fn trim_pool(stream: &CudaStream) -> Result<(), DriverError> {
    // SAFETY: the card is that of a context that was made; memory in use stays where it is.
    unsafe {
        let pool = result::device::get_default_mem_pool(stream.context().cu_device())?;
        sys::cuMemPoolTrimTo(pool, 0).result()
    }
}

fn card(tensor: &Tensor) -> Result<CudaDevice, Error> {
    match tensor.device() {
        Device::Cuda(device) => Ok(device.clone()),
        other => bail!("a graph for {:?}", other.location()),
    }
}

/// Gives a tensor the values of another of its shape and type, where it lies.
fn rewrite(to: &Tensor, from: &Tensor) -> Result<(), Error> {
    if to.shape() != from.shape() || to.dtype() != from.dtype() {
        bail!("a recording of {:?} {:?} met {:?} {:?}", to.shape(), to.dtype(), from.shape(), from.dtype());
    }
    to.inplace_op2(from, &Rewrite)
}

struct Rewrite;

impl InplaceOp2 for Rewrite {
    fn name(&self) -> &'static str {
        "rewrite"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(), Error> {
        bail!("the CPU records nothing")
    }

    fn cuda_fwd(
        &self,
        to: &mut CudaStorage,
        to_layout: &Layout,
        from: &CudaStorage,
        layout: &Layout,
    ) -> Result<(), Error> {
        let (Some((first, end)), Some((0, to_end))) = (layout.contiguous_offsets(), to_layout.contiguous_offsets())
        else {
            bail!("a recording takes tensors in one piece")
        };
        let device = from.device();
        match (&mut to.slice, &from.slice) {
            (CudaStorageSlice::F32(to), CudaStorageSlice::F32(from)) if to.len() == to_end => {
                device.memcpy_dtod(&from.slice(first..end), to)
            }
            (CudaStorageSlice::BF16(to), CudaStorageSlice::BF16(from)) if to.len() == to_end => {
                device.memcpy_dtod(&from.slice(first..end), to)
            }
            _ => bail!("a recording takes f32 and bf16, not {:?}", from.dtype()),
        }
    }
}
