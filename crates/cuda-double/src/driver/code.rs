//! The driver's answers.

use std::ffi::CStr;

macro_rules! codes {
    ($($name:ident = $number:literal $text:literal),* $(,)?) => {
        /// A `CUresult` other than success, by the numbers of `cuda.h`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Code {
            $($name = $number),*
        }

        /// The name of an answer.
        pub(crate) fn name(number: i32) -> Option<&'static CStr> {
            match number {
                0 => Some(c"CUDA_SUCCESS"),
                $($number => Some($text),)*
                _ => None,
            }
        }
    };
}

codes! {
    InvalidValue = 1 c"CUDA_ERROR_INVALID_VALUE",
    OutOfMemory = 2 c"CUDA_ERROR_OUT_OF_MEMORY",
    NoDevice = 100 c"CUDA_ERROR_NO_DEVICE",
    InvalidDevice = 101 c"CUDA_ERROR_INVALID_DEVICE",
    InvalidImage = 200 c"CUDA_ERROR_INVALID_IMAGE",
    InvalidContext = 201 c"CUDA_ERROR_INVALID_CONTEXT",
    NoBinaryForGpu = 209 c"CUDA_ERROR_NO_BINARY_FOR_GPU",
    InvalidPtx = 218 c"CUDA_ERROR_INVALID_PTX",
    InvalidHandle = 400 c"CUDA_ERROR_INVALID_HANDLE",
    IllegalState = 401 c"CUDA_ERROR_ILLEGAL_STATE",
    NotFound = 500 c"CUDA_ERROR_NOT_FOUND",
    NotReady = 600 c"CUDA_ERROR_NOT_READY",
    IllegalAddress = 700 c"CUDA_ERROR_ILLEGAL_ADDRESS",
    LaunchFailed = 719 c"CUDA_ERROR_LAUNCH_FAILED",
    NotSupported = 801 c"CUDA_ERROR_NOT_SUPPORTED",
    DriverMismatch = 803 c"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    CaptureUnsupported = 900 c"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
    CaptureInvalidated = 901 c"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
    CaptureIsolation = 905 c"CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
    CaptureImplicit = 906 c"CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
    CapturedEvent = 907 c"CUDA_ERROR_CAPTURED_EVENT",
    CaptureWrongThread = 908 c"CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
    Unknown = 999 c"CUDA_ERROR_UNKNOWN",
}
