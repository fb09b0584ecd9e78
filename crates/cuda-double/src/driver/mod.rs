//! libcuda.so.1: every function of it that cudarc and candle call. Handles are numbers that are looked up, so that a
//! wrong one is an answer and never a crash.
#![expect(unsafe_code, reason = "a C interface: names that are not mangled, and places that the caller gives")]

mod code;
mod copy;
mod device;
mod function;
mod graph;
mod launch;
mod memory;
mod pool;
mod state;
mod stream;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use code::Code;
pub(crate) use state::{State, put, state};

use crate::settings::{Mode, settings};

pub(crate) type Answer = Result<(), Code>;

/// A place that the caller gives for a result.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Writes the result; a null pointer is refused.
    pub(crate) fn set(self, value: T) -> Answer {
        if self.0.is_null() {
            return Err(Code::InvalidValue);
        }
        // SAFETY: the interface demands that what is not null is a place for a `T`.
        unsafe { self.0.write(value) };
        Ok(())
    }

    /// Writes a list that the caller has room for.
    pub(crate) fn set_all(self, values: impl IntoIterator<Item = T>) -> Answer {
        values.into_iter().enumerate().try_for_each(|(at, value)| Out(self.0.wrapping_add(at)).set(value))
    }

    /// What the caller wrote there; `None` for a null pointer.
    pub(crate) fn get(self) -> Option<T>
    where
        T: Copy,
    {
        // SAFETY: the interface demands that what is not null is a place for a `T`.
        (!self.0.is_null()).then(|| unsafe { self.0.read() })
    }

    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }
}

/// Text that the caller gives; empty for a null pointer.
pub(crate) fn text<'a>(pointer: *const std::ffi::c_char) -> &'a str {
    if pointer.is_null() {
        return "";
    }
    // SAFETY: the interface demands text that ends with a zero.
    unsafe { std::ffi::CStr::from_ptr(pointer) }.to_str().unwrap_or("")
}

/// Runs a call: a driver that is broken fails, and a fault of the double is an answer too.
pub(crate) fn answer(name: &str, call: impl FnOnce() -> Answer) -> i32 {
    if settings().mode == Mode::Crashing {
        std::process::abort();
    }
    if settings().mode == Mode::Broken && !name.starts_with("cuGetError") {
        return number(name, if name == "cuInit" { Code::DriverMismatch } else { Code::Unknown });
    }
    let outcome = catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(Code::Unknown));
    if settings().traces && (outcome.is_err() || !name.starts_with("cuCtx")) {
        eprintln!("[cuda double] {name}: {outcome:?}");
    }
    outcome.err().map_or(0, |code| number(name, code))
}

/// What a library answers: others than the driver have failures of their own.
fn number(name: &str, code: Code) -> i32 {
    const CUBLAS_STATUS_EXECUTION_FAILED: i32 = 13;
    const CUDNN_STATUS_EXECUTION_FAILED: i32 = 5000;
    const CURAND_STATUS_INTERNAL_ERROR: i32 = 999;
    match name {
        _ if name.starts_with("cublas") => CUBLAS_STATUS_EXECUTION_FAILED,
        _ if name.starts_with("cudnn") => CUDNN_STATUS_EXECUTION_FAILED,
        _ if name.starts_with("curand") => CURAND_STATUS_INTERNAL_ERROR,
        _ if name.starts_with("nccl") => nccl(code),
        _ => code as i32,
    }
}

/// NCCL's answers: a call that was wrong, another rank that is gone, a system that fails.
fn nccl(code: Code) -> i32 {
    match code {
        Code::InvalidValue | Code::InvalidHandle => 4,
        Code::NotSupported => 5,
        Code::Unknown => 6,
        _ => 2,
    }
}

/// Says on standard error why a call is refused, and gives its answer.
pub(crate) fn refuse<T>(code: Code, why: impl std::fmt::Display) -> Result<T, Code> {
    eprintln!("[cuda double] refused: {why}");
    Err(code)
}

/// Functions of a C interface: their bodies end with an `Answer`.
macro_rules! api {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $type),*) -> i32 {
            $crate::driver::answer(stringify!($name), move || -> $crate::driver::Answer { $body })
        }
    )*};
}
pub(crate) use api;
