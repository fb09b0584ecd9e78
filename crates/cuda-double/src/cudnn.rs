//! libcudnn.so.9, as far as `conv3d` calls it: forward convolutions of bf16 with neighbouring channels, summed in f32.
#![expect(unsafe_code, reason = "a C interface on memory of the device")]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use half::bf16;

use crate::driver::{Answer, Code, Out, State, api, put, refuse, state};
use crate::settings::settings;

/// What a handle stands for.
#[derive(Clone, Debug)]
enum Object {
    /// A library's handle, with its stream.
    Library(u64),
    /// Sizes and steps, `[n, c, d, h, w]`.
    Tensor([usize; 5], [usize; 5]),
    /// `[k, c, d, h, w]`, with neighbouring channels.
    Filter([usize; 5]),
    /// Padding and strides, `[d, h, w]`.
    Convolution([usize; 3], [usize; 3]),
    /// Made, but not described yet.
    New,
}

fn objects() -> MutexGuard<'static, HashMap<u64, Object>> {
    static OBJECTS: OnceLock<Mutex<HashMap<u64, Object>>> = OnceLock::new();
    OBJECTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn object(handle: u64) -> Result<Object, Code> {
    objects().get(&handle).cloned().ok_or(Code::InvalidValue)
}

fn make(handle: Out<u64>, new: Object) -> Answer {
    let number = state().handle();
    objects().insert(number, new);
    handle.set(number)
}

fn describe(handle: u64, as_what: Object) -> Answer {
    *objects().get_mut(&handle).ok_or(Code::InvalidValue)? = as_what;
    Ok(())
}

fn remove(handle: u64) -> Answer {
    objects().remove(&handle).map(|_| ()).ok_or(Code::InvalidValue)
}

/// `N` sizes from the caller's array of `count`.
fn sizes<const N: usize>(count: i32, from: *const i32) -> Result<[usize; N], Code> {
    if count as usize != N || from.is_null() {
        return refuse(Code::InvalidValue, format_args!("cuDNN: {count} sizes, expected {N}"));
    }
    let mut sizes = [0; N];
    for (at, size) in sizes.iter_mut().enumerate() {
        // SAFETY: the interface demands that the array has `count` numbers, which are N.
        let value = unsafe { from.add(at).read() };
        *size = usize::try_from(value).or(Err(Code::InvalidValue))?;
    }
    Ok(sizes)
}

/// `CUDNN_DATA_BFLOAT16`, `CUDNN_TENSOR_NHWC`, `CUDNN_CROSS_CORRELATION`, `CUDNN_DATA_FLOAT`, and the algorithm that
/// sums in one order, `CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM`.
const BF16: i32 = 9;
const CHANNELS_LAST: i32 = 1;
const CROSS_CORRELATION: i32 = 1;
const F32: i32 = 0;
const PRECOMPUTED_GEMM: i32 = 1;

fn demand(is_so: bool, what: &str) -> Answer {
    if is_so { Ok(()) } else { refuse(Code::NotSupported, format_args!("cuDNN: {what}")) }
}

/// A convolution that waits in a stream.
struct Work {
    x: (u64, [usize; 5], [usize; 5]),
    filter: (u64, [usize; 5]),
    y: (u64, [usize; 5], [usize; 5]),
    padding: [usize; 3],
    stride: [usize; 3],
}

impl Work {
    fn check(&self, state: &State) -> Answer {
        let bytes = |sizes: &[usize; 5]| 2 * sizes.iter().product::<usize>();
        for (place, bytes) in
            [(self.x.0, bytes(&self.x.1)), (self.filter.0, bytes(&self.filter.1)), (self.y.0, bytes(&self.y.1))]
        {
            if !state.memory.iter().any(|memory| memory.holds(place, bytes)) {
                return refuse(Code::IllegalAddress, format_args!("cuDNN: {bytes} bytes at {place:x}"));
            }
        }
        Ok(())
    }

    fn run(&self, state: &State) -> Answer {
        self.check(state)?;
        let (x, x_sizes, x_steps) = self.x;
        let (filter, [_, channels, kd, kh, kw]) = self.filter;
        let (y, [n, results, d, h, w], y_steps) = self.y;
        // SAFETY: `check` found all of the array in an allocation.
        let read = |start: u64, at: usize| unsafe { (start as *const bf16).add(at).read_unaligned() }.to_f32();
        let factor = if settings().cudnn_is_wrong { 1.25 } else { 1.0 };
        let places = |sizes: [usize; 3]| {
            (0..sizes.iter().product::<usize>())
                .map(move |at| [at / (sizes[1] * sizes[2]), at / sizes[2] % sizes[1], at % sizes[2]])
        };
        for sample in 0..n {
            for at in places([d, h, w]) {
                for result in 0..results {
                    let mut sum = 0.0;
                    for (tap, place) in places([kd, kh, kw]).enumerate() {
                        let from: [usize; 3] =
                            std::array::from_fn(|k| (at[k] * self.stride[k] + place[k]).wrapping_sub(self.padding[k]));
                        if (0..3).any(|k| from[k] >= x_sizes[2 + k]) {
                            continue;
                        }
                        let first = sample * x_steps[0] + (0..3).map(|k| from[k] * x_steps[2 + k]).sum::<usize>();
                        let row = (result * kd * kh * kw + tap) * channels;
                        for channel in 0..channels {
                            sum += read(x, first + channel * x_steps[1]) * read(filter, row + channel);
                        }
                    }
                    let place = sample * y_steps[0]
                        + result * y_steps[1]
                        + (0..3).map(|k| at[k] * y_steps[2 + k]).sum::<usize>();
                    // SAFETY: as above.
                    unsafe { (y as *mut bf16).add(place).write_unaligned(bf16::from_f32(sum * factor)) };
                }
            }
        }
        Ok(())
    }
}

/// The version that is answered, `10000 · major + 100 · minor + patch`.
#[unsafe(no_mangle)]
extern "C" fn cudnnGetVersion() -> usize {
    settings().cudnn_version
}

api! {
    fn cudnnCreate(handle: Out<u64>) { make(handle, Object::Library(0)) }
    fn cudnnDestroy(handle: u64) { remove(handle) }
    fn cudnnSetStream(handle: u64, stream: u64) {
        state().stream(stream)?;
        describe(handle, Object::Library(stream))
    }
    fn cudnnCreateTensorDescriptor(handle: Out<u64>) { make(handle, Object::New) }
    fn cudnnDestroyTensorDescriptor(handle: u64) { remove(handle) }
    fn cudnnSetTensorNdDescriptor(handle: u64, element: i32, count: i32, dims: *const i32, steps: *const i32) {
        demand(element == BF16, "tensors of another type than bf16")?;
        describe(handle, Object::Tensor(sizes(count, dims)?, sizes(count, steps)?))
    }
    fn cudnnCreateFilterDescriptor(handle: Out<u64>) { make(handle, Object::New) }
    fn cudnnDestroyFilterDescriptor(handle: u64) { remove(handle) }
    fn cudnnSetFilterNdDescriptor(handle: u64, element: i32, format: i32, count: i32, dims: *const i32) {
        demand(element == BF16 && format == CHANNELS_LAST, "filters of another type or order")?;
        describe(handle, Object::Filter(sizes(count, dims)?))
    }
    fn cudnnCreateConvolutionDescriptor(handle: Out<u64>) { make(handle, Object::New) }
    fn cudnnDestroyConvolutionDescriptor(handle: u64) { remove(handle) }
    fn cudnnSetConvolutionNdDescriptor(
        handle: u64, count: i32, padding: *const i32, stride: *const i32, dilation: *const i32, mode: i32, sums: i32,
    ) {
        demand(mode == CROSS_CORRELATION && sums == F32, "a convolution that is flipped, or summed in another type")?;
        demand(sizes::<3>(count, dilation)? == [1; 3], "dilation")?;
        describe(handle, Object::Convolution(sizes(count, padding)?, sizes(count, stride)?))
    }
    fn cudnnSetConvolutionMathType(handle: u64, _math: i32) { object(handle).map(|_| ()) }
    fn cudnnGetConvolutionForwardWorkspaceSize(
        _library: u64, x: u64, filter: u64, convolution: u64, y: u64, algorithm: i32, bytes: Out<usize>,
    ) {
        for handle in [x, filter, convolution, y] {
            object(handle)?;
        }
        demand(algorithm == PRECOMPUTED_GEMM, "another algorithm")?;
        bytes.set(WORKSPACE_BYTES)
    }
    fn cudnnConvolutionForward(
        library: u64, alpha: *const f32, x: u64, x_place: u64, filter: u64, filter_place: u64, convolution: u64,
        algorithm: i32, workspace: u64, bytes: usize, beta: *const f32, y: u64, y_place: u64,
    ) {
        let Object::Library(stream) = object(library)? else { return Err(Code::InvalidValue) };
        // SAFETY: the interface demands two numbers of the host.
        let scalars = unsafe { [*alpha, *beta] };
        demand(scalars == [1.0, 0.0] && algorithm == PRECOMPUTED_GEMM, "a sum with what was there")?;
        demand(workspace != 0 && bytes >= WORKSPACE_BYTES, "a workspace that is too small")?;
        let (Object::Tensor(x_sizes, x_steps), Object::Filter(filter_sizes)) = (object(x)?, object(filter)?) else {
            return Err(Code::InvalidValue);
        };
        let (Object::Convolution(padding, stride), Object::Tensor(y_sizes, y_steps)) = (object(convolution)?, object(y)?)
        else {
            return Err(Code::InvalidValue);
        };
        let reached = |k: usize| (x_sizes[2 + k] + 2 * padding[k] - filter_sizes[2 + k]) / stride[k] + 1;
        let fits = x_sizes[1] == filter_sizes[1] && y_sizes[..2] == [x_sizes[0], filter_sizes[0]];
        demand(fits && (0..3).all(|k| y_sizes[2 + k] == reached(k)), "sizes that do not fit")?;
        let work = Work {
            x: (x_place, x_sizes, x_steps),
            filter: (filter_place, filter_sizes),
            y: (y_place, y_sizes, y_steps),
            padding,
            stride,
        };
        put(&mut state(), stream, move |state| work.run(state))
    }
}

/// What each convolution asks for.
const WORKSPACE_BYTES: usize = 4096;
