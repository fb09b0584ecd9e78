//! cuDNN's forward convolutions in bf16, where that library is installed: a candidate beside our own kernels. It is
//! called by hand, since cudarc's own panic where a library or a symbol is missing.
#![allow(unsafe_code)] // Calls into a library that is found at run time.

use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{DevicePtr, DevicePtrMut};
use candle_core::{DType, Error, Result, bail};

use super::{Pass, Work, whole};
use crate::cuda::{Kernel, Output, Size, embedded};
use crate::device::driver::load;

/// Linux and Windows.
const NAMES: [&str; 2] = ["libcudnn.so.9", "cudnn64_9.dll"];
/// 9.8 to 9.14 had bf16 convolutions in 3-D that were wrong or slow.
const OLDEST: usize = 91_500;

/// Numbers of cudnn.h.
const BF16: c_int = 9;
const F32: c_int = 0;
const CHANNELS_LAST: c_int = 1;
const CROSS_CORRELATION: c_int = 1;
const TENSOR_OPERATIONS: c_int = 1;
/// `IMPLICIT_PRECOMP_GEMM`: sums in an order that depends on sizes alone.
const ALGORITHM: c_int = 1;
/// A convolution that asks for more is left to our kernels, bytes: what a card has room for is foreseen without it.
const MOST_WORKSPACE: usize = 1 << 26;

/// A handle or a place of the library's.
type Handle = u64;

macro_rules! functions {
    ($($name:ident: $symbol:literal ($($type:ty),*);)*) => {
        /// The functions that are called, with NVIDIA's signatures.
        struct Functions {
            $($name: unsafe extern "C" fn($($type),*) -> c_int,)*
        }

        impl Functions {
            fn find(library: &libloading::Library) -> Option<Self> {
                // SAFETY: NVIDIA documents these signatures, from cuDNN 7 to 9.
                Some(Self { $($name: *unsafe { library.get($symbol.as_bytes()) }.ok()?,)* })
            }
        }
    };
}
functions! {
    create: "cudnnCreate" (*mut Handle);
    set_stream: "cudnnSetStream" (Handle, Handle);
    create_tensor: "cudnnCreateTensorDescriptor" (*mut Handle);
    set_tensor: "cudnnSetTensorNdDescriptor" (Handle, c_int, c_int, *const c_int, *const c_int);
    destroy_tensor: "cudnnDestroyTensorDescriptor" (Handle);
    create_filter: "cudnnCreateFilterDescriptor" (*mut Handle);
    set_filter: "cudnnSetFilterNdDescriptor" (Handle, c_int, c_int, c_int, *const c_int);
    destroy_filter: "cudnnDestroyFilterDescriptor" (Handle);
    create_convolution: "cudnnCreateConvolutionDescriptor" (*mut Handle);
    set_convolution: "cudnnSetConvolutionNdDescriptor"
        (Handle, c_int, *const c_int, *const c_int, *const c_int, c_int, c_int);
    set_math: "cudnnSetConvolutionMathType" (Handle, c_int);
    destroy_convolution: "cudnnDestroyConvolutionDescriptor" (Handle);
    workspace_bytes: "cudnnGetConvolutionForwardWorkspaceSize"
        (Handle, Handle, Handle, Handle, Handle, c_int, *mut usize);
    forward: "cudnnConvolutionForward"
        (Handle, *const f32, Handle, u64, Handle, u64, Handle, c_int, u64, usize, *const f32, Handle, u64);
}

/// The library and what it was asked to keep. One thread at a time may use a handle, so all of it stands behind a lock.
struct Cudnn {
    functions: Functions,
    /// Handles by device and stream.
    handles: HashMap<(usize, usize), Handle>,
}

/// The library, loaded once; `None` where there is none, or one that is too old.
fn library() -> Option<&'static Mutex<Cudnn>> {
    static LIBRARY: OnceLock<Option<Mutex<Cudnn>>> = OnceLock::new();
    LIBRARY.get_or_init(|| Cudnn::load().map(Mutex::new)).as_ref()
}

impl Cudnn {
    fn load() -> Option<Self> {
        let (_, library) = load(&NAMES.map(str::to_owned)).ok()?;
        // It stays for the life of the process: its own threads may run until then.
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        // SAFETY: NVIDIA documents this signature.
        let version = unsafe { library.get::<unsafe extern "C" fn() -> usize>(b"cudnnGetVersion").ok()?() };
        let functions = Functions::find(library).filter(|_| version >= OLDEST)?;
        Some(Self { functions, handles: HashMap::new() })
    }

    /// The handle that works in a device's stream.
    fn handle(&mut self, device: &CudaDevice) -> Result<Handle> {
        let stream = device.cuda_stream();
        let key = (stream.context().ordinal(), stream.cu_stream() as usize);
        if let Some(&handle) = self.handles.get(&key) {
            return Ok(handle);
        }
        stream.context().bind_to_thread().map_err(Error::wrap)?;
        let handle = made(self.functions.create)?;
        // SAFETY: both handles are live.
        told("cudnnSetStream", unsafe { (self.functions.set_stream)(handle, key.1 as Handle) })?;
        self.handles.insert(key, handle);
        Ok(handle)
    }
}

/// What a function that makes something made.
fn made(create: unsafe extern "C" fn(*mut Handle) -> c_int) -> Result<Handle> {
    let mut handle = 0;
    // SAFETY: the place is this function's own.
    told("making a descriptor", unsafe { create(&raw mut handle) })?;
    Ok(handle)
}

fn told(what: &str, status: c_int) -> Result<()> {
    if status != 0 {
        bail!("cuDNN: {what} failed with status {status}");
    }
    Ok(())
}

/// A descriptor that goes with its scope.
struct Descriptor {
    handle: Handle,
    destroy: unsafe extern "C" fn(Handle) -> c_int,
}

impl Descriptor {
    fn new(
        create: unsafe extern "C" fn(*mut Handle) -> c_int,
        destroy: unsafe extern "C" fn(Handle) -> c_int,
    ) -> Result<Self> {
        Ok(Self { handle: made(create)?, destroy })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made by the function that goes with `destroy`, and destroyed once.
        unsafe { (self.destroy)(self.handle) };
    }
}

/// Whether a pass is one that cuDNN can do: forward, of one input in bf16, with one weight for all samples and no bias.
pub(super) fn fits(work: &Work) -> bool {
    let Pass { input, output, grid, taps, step, origin, sign, spread, weight_of_sample, .. } = *work.pass;
    // It pads both ends of an axis alike.
    let reached = |k: usize| (input[k] - 2 * origin[k] - taps[k]) / step[k] + 1;
    let is_forward = sign == 1 && spread == [1; 3] && grid == output && work.pass.tap_step == [1; 3];
    is_forward
        && work.sources.a.dtype() == DType::BF16
        && work.sources.b.is_none()
        && work.parameters.bias.is_none()
        && weight_of_sample == 0
        && (0..3).all(|k| origin[k] <= 0 && taps[k] > 0 && reached(k) == grid[k])
        && library().is_some()
}

/// Starts a pass that [fits][fits]. What cuDNN does not do, or not in little room, our own kernel does.
pub(super) fn convolve(work: &Work, y: &mut Output) -> Result<()> {
    let Work { device, samples, pass, .. } = *work;
    let Some(library) = library() else { bail!("cuDNN: no library") };
    let filter = filter(work)?;
    let mut cudnn = library.lock().unwrap_or_else(PoisonError::into_inner);
    let handle = cudnn.handle(device)?;
    let f = &cudnn.functions;
    let (samples, inputs, results) = (whole(samples)?, pass.a_channels, pass.results);
    let x_of = tensor(f, samples, inputs, pass.input)?;
    let y_of = tensor(f, samples, results, pass.output)?;
    let weight_of = Descriptor::new(f.create_filter, f.destroy_filter)?;
    let sizes = [results, inputs, pass.taps[0], pass.taps[1], pass.taps[2]];
    // SAFETY: the handle is live, and the array has five numbers.
    told("cudnnSetFilterNdDescriptor", unsafe {
        (f.set_filter)(weight_of.handle, BF16, CHANNELS_LAST, 5, sizes.as_ptr())
    })?;
    let convolution = Descriptor::new(f.create_convolution, f.destroy_convolution)?;
    let (padding, dilation) = (pass.origin.map(|origin| -origin), [1; 3]);
    // SAFETY: the handle is live, and the arrays have three numbers.
    told("cudnnSetConvolutionNdDescriptor", unsafe {
        let [padding, stride, dilation] = [&padding, &pass.step, &dilation].map(|of| of.as_ptr());
        (f.set_convolution)(convolution.handle, 3, padding, stride, dilation, CROSS_CORRELATION, F32)
    })?;
    // SAFETY: the handle is live.
    told("cudnnSetConvolutionMathType", unsafe { (f.set_math)(convolution.handle, TENSOR_OPERATIONS) })?;
    let mut bytes = 0;
    // SAFETY: the handles are live, and the place is this function's own.
    let status = unsafe {
        let [x, w, c, y] = [&x_of, &weight_of, &convolution, &y_of].map(|descriptor| descriptor.handle);
        (f.workspace_bytes)(handle, x, w, c, y, ALGORITHM, &raw mut bytes)
    };
    if status != 0 || bytes > MOST_WORKSPACE {
        return super::tensor::convolve(work, y);
    }
    let stream = device.cuda_stream();
    // SAFETY: the library writes there what it reads again.
    let mut workspace = unsafe { device.alloc::<u8>(bytes.max(1)) }?;
    let filter = filter.values();
    let ((x, _reads), (weight, _reads_filter)) =
        (work.sources.a.bf16()?.device_ptr(&stream), filter.bf16()?.device_ptr(&stream));
    let (space, _writes_space) = workspace.device_ptr_mut(&stream);
    let (to, _writes) = y.bf16_mut()?.device_ptr_mut(&stream);
    let (one, zero) = (1f32, 0f32);
    // SAFETY: the places hold what their descriptors say, since the operator's shape checks have settled the sizes.
    told("cudnnConvolutionForward", unsafe {
        (f.forward)(
            handle,
            &raw const one,
            x_of.handle,
            x,
            weight_of.handle,
            weight,
            convolution.handle,
            ALGORITHM,
            space,
            bytes,
            &raw const zero,
            y_of.handle,
            to,
        )
    })
}

/// A tensor `[n, d, h, w, c]` as cuDNN names it: sizes and steps of `[n, c, d, h, w]`.
fn tensor(f: &Functions, n: c_int, c: c_int, [d, h, w]: [c_int; 3]) -> Result<Descriptor> {
    let descriptor = Descriptor::new(f.create_tensor, f.destroy_tensor)?;
    let row = whole(w as usize * c as usize)?;
    let plane = whole(h as usize * row as usize)?;
    let (sizes, steps) = ([n, c, d, h, w], [whole(d as usize * plane as usize)?, 1, plane, row, c]);
    // SAFETY: the handle is live and both arrays have five numbers.
    told("cudnnSetTensorNdDescriptor", unsafe {
        (f.set_tensor)(descriptor.handle, BF16, 5, sizes.as_ptr(), steps.as_ptr())
    })?;
    Ok(descriptor)
}

/// The pass's weight as `[result][tap][input]`.
fn filter(work: &Work) -> Result<Output> {
    let Pass { taps, a_channels: inputs, results, weight_of_input, weight_of_result, .. } = *work.pass;
    let taps: i32 = taps.iter().product();
    let count = taps as usize * inputs as usize * results as usize;
    let mut filter = Output::new(work.device, DType::BF16, count)?;
    let count = whole(count)?;
    let kernel = Kernel::of(work.device, &embedded::CONV3D, "filter_of_weight")?;
    let launch = kernel.launch().input(work.parameters.weight).output(&mut filter);
    let launch = launch.value(&count).value(&taps).value(&inputs).value(&weight_of_input).value(&weight_of_result);
    launch.run(Size::of_items(count as usize))?;
    Ok(filter)
}
