//! Launches whose arguments are held against what the driver says of the kernel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, CudaView, CudaViewMut, DeviceRepr, LaunchArgs, LaunchConfig, PushKernelArg,
    sys,
};
use candle_core::{Error, Result, bail};

use super::Kernels;
use super::values::{Output, Values, View};

/// Defines a struct that kernels take by value: plain numbers, in the order of the kernels' own struct.
macro_rules! kernel_parameter {
    ($(#[$about:meta])* $visible:vis struct $name:ident { $($field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Default)]
        #[repr(C)]
        $visible struct $name {
            $($field: $kind,)*
        }

        // SAFETY: `repr(C)`, of numbers of four bytes: the layout of the kernels' struct. Its size is held against the
        // kernel's parameter at each launch.
        #[allow(unsafe_code)]
        unsafe impl candle_core::cuda_backend::cudarc::driver::DeviceRepr for $name {}
    };
}
pub(crate) use kernel_parameter;

/// Shared memory that a block has without being asked for more.
const DEFAULT_SHARED_BYTES: u32 = 48 * 1024;

/// A kernel on a device.
pub(crate) struct Kernel {
    name: String,
    function: CudaFunction,
    stream: Arc<CudaStream>,
    /// Bytes of each parameter.
    parameters: Vec<usize>,
}

/// Blocks, threads of a block, and bytes of dynamic shared memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) blocks: [usize; 3],
    pub(crate) threads: usize,
    pub(crate) shared_bytes: usize,
}

impl Size {
    /// One thread an item, 256 a block.
    pub(crate) fn of_items(count: usize) -> Self {
        Self { blocks: [count.div_ceil(256), 1, 1], threads: 256, shared_bytes: 0 }
    }

    /// Blocks of so many threads.
    pub(crate) fn of_blocks(blocks: [usize; 3], threads: usize) -> Self {
        Self { blocks, threads, shared_bytes: 0 }
    }
}

/// A count as kernels take it.
///
/// # Errors
/// It is beyond 2³¹ − 1.
pub(crate) fn whole(count: usize) -> Result<i32> {
    i32::try_from(count).map_err(|_| Error::msg(format!("cuda: {count} items are more than a kernel counts")))
}

type Known = Mutex<HashMap<(usize, usize, String), Arc<Kernel>>>;

impl Kernel {
    /// The kernel of that name, found once a stream.
    pub(crate) fn of(device: &CudaDevice, kernels: &'static Kernels, name: &str) -> Result<Arc<Self>> {
        static KNOWN: OnceLock<Known> = OnceLock::new();
        let stream = device.cuda_stream();
        let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let key = (stream.context().ordinal(), stream.cu_stream() as usize, name.to_owned());
        if let Some(kernel) = known.get(&key) {
            return Ok(Arc::clone(kernel));
        }
        let function = kernels.module(stream.context())?.load_function(name).map_err(Error::wrap)?;
        let parameters = parameter_sizes(&function);
        let kernel = Arc::new(Self { name: name.to_owned(), function, stream, parameters });
        known.insert(key, Arc::clone(&kernel));
        Ok(kernel)
    }

    /// A launch without arguments so far.
    pub(crate) fn launch(&self) -> Launch<'_> {
        Launch { kernel: self, arguments: self.stream.launch_builder(&self.function), sizes: vec![] }
    }
}

/// Bytes of each parameter, as the driver knows them.
fn parameter_sizes(function: &CudaFunction) -> Vec<usize> {
    let size = |index: usize| {
        let (mut offset, mut size) = (0, 0);
        // SAFETY: the handle is that of a loaded function, and both places are this function's own.
        let answer = unsafe { sys::cuFuncGetParamInfo(function.cu_function(), index, &mut offset, &mut size) };
        (answer == sys::CUresult::CUDA_SUCCESS).then_some(size)
    };
    (0..).map_while(size).collect()
}

/// A launch that is being put together; arguments in the kernel's order.
pub(crate) struct Launch<'a> {
    kernel: &'a Kernel,
    arguments: LaunchArgs<'a>,
    sizes: Vec<usize>,
}

impl<'a> Launch<'a> {
    /// Values that the kernel reads.
    pub(crate) fn input(mut self, values: &'a Values<'_>) -> Self {
        match &values.view {
            View::F32(view) => self.arguments.arg(view),
            View::Bf16(view) => self.arguments.arg(view),
            View::I16(view) => self.arguments.arg(view),
            View::I32(view) => self.arguments.arg(view),
            View::U8(view) => self.arguments.arg(view),
        };
        self.sizes.push(size_of::<u64>());
        self
    }

    /// Values that the kernel reads, or a null pointer.
    pub(crate) fn optional(self, values: Option<&'a Values<'_>>) -> Self {
        match values {
            Some(values) => self.input(values),
            None => self.value(&0_u64),
        }
    }

    /// Whole numbers that the kernel reads, or a null pointer.
    pub(crate) fn numbers(mut self, numbers: Option<&'a CudaSlice<i32>>) -> Self {
        match numbers {
            Some(numbers) => self.arguments.arg(numbers),
            None => return self.value(&0_u64),
        };
        self.sizes.push(size_of::<u64>());
        self
    }

    /// Bytes that the kernel reads.
    pub(crate) fn bytes(mut self, bytes: &'a CudaView<'_, u8>) -> Self {
        self.arguments.arg(bytes);
        self.sizes.push(size_of::<u64>());
        self
    }

    /// Bytes that the kernel writes.
    pub(crate) fn new_bytes(mut self, bytes: &'a mut CudaSlice<u8>) -> Self {
        self.arguments.arg(bytes);
        self.sizes.push(size_of::<u64>());
        self
    }

    /// Numbers that the kernel changes where they lie.
    pub(crate) fn in_place(mut self, values: &'a mut CudaViewMut<'_, f32>) -> Self {
        self.arguments.arg(values);
        self.sizes.push(size_of::<u64>());
        self
    }

    /// Values that the kernel writes (and perhaps reads).
    pub(crate) fn output(mut self, values: &'a mut Output) -> Self {
        match values {
            Output::F32(slice) => self.arguments.arg(slice),
            Output::Bf16(slice) => self.arguments.arg(slice),
            Output::U8(slice) => self.arguments.arg(slice),
        };
        self.sizes.push(size_of::<u64>());
        self
    }

    /// A number or a struct.
    pub(crate) fn value<T: DeviceRepr>(mut self, value: &'a T) -> Self {
        self.arguments.arg(value);
        self.sizes.push(size_of::<T>());
        self
    }

    /// Starts the kernel; it may still run when this returns.
    ///
    /// # Errors
    /// Arguments that are not the kernel's; a size that the card refuses; an earlier kernel's fault.
    pub(crate) fn run(mut self, size: Size) -> Result<()> {
        let Size { blocks, threads, shared_bytes } = size;
        if blocks.contains(&0) {
            return Ok(());
        }
        let name = &self.kernel.name;
        if self.sizes != self.kernel.parameters {
            bail!("cuda: {name} takes parameters of {:?} bytes, got {:?}", self.kernel.parameters, self.sizes);
        }
        let shared_mem_bytes = u32::try_from(shared_bytes).map_err(Error::wrap)?;
        if shared_mem_bytes > DEFAULT_SHARED_BYTES {
            let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            self.kernel.function.set_attribute(attribute, shared_mem_bytes as i32).map_err(Error::wrap)?;
        }
        let [x, y, z] = blocks.map(u32::try_from);
        let grid_dim = (x.map_err(Error::wrap)?, y.map_err(Error::wrap)?, z.map_err(Error::wrap)?);
        let config = LaunchConfig { grid_dim, block_dim: (threads as u32, 1, 1), shared_mem_bytes };
        // SAFETY: count and sizes of the arguments are the kernel's, checked above; each op's `cuda.rs` gives it memory
        // of the extents that it passes along, which the op's shape checks have settled.
        let launched = unsafe { self.arguments.launch(config) };
        launched.map_err(|error| Error::msg(format!("cuda: {name} with {size:?} was refused: {error}")))?;
        Ok(())
    }
}
