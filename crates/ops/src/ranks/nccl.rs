//! The few functions of NCCL that are used, found in its library at run time.
#![allow(unsafe_code)] // A C interface.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use candle_core::{Error, Result};
use libloading::{Library, Symbol};

use super::ID_BYTES;

/// `ncclInt32`, `ncclFloat32` and `ncclSum` of nccl.h.
const INT32: c_int = 2;
const FLOAT32: c_int = 7;
const SUM: c_int = 0;

/// Numbers that are summed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Element {
    I32,
    F32,
}

/// `ncclUniqueId`, which is passed by value.
#[derive(Clone, Copy)]
#[repr(C)]
struct Identity([c_char; ID_BYTES]);

type Handle = *mut c_void;

/// A communicator; given up with the value.
pub(super) struct Communicator(Handle);

// SAFETY: NCCL lets any one thread at a time use a communicator, and `Ranks`, which owns it, is not `Sync`.
unsafe impl Send for Communicator {}

/// A new identity.
pub(super) fn identity() -> Result<Vec<u8>> {
    let mut id = Identity([0; ID_BYTES]);
    let make: Symbol<unsafe extern "C" fn(*mut Identity) -> c_int> = function(b"ncclGetUniqueId")?;
    // SAFETY: the place is this function's own, of the size that nccl.h gives it.
    told("an identity", unsafe { make(&raw mut id) })?;
    Ok(id.0.iter().map(|&byte| byte as u8).collect())
}

impl Communicator {
    /// Waits for all ranks. The device's context is current on this thread.
    pub(super) fn join(identity: &[u8], rank: usize, count: usize) -> Result<Self> {
        let mut id = Identity([0; ID_BYTES]);
        id.0.iter_mut().zip(identity).for_each(|(to, &from)| *to = from as c_char);
        let (count, rank) = (count as c_int, rank as c_int);
        let join: Symbol<unsafe extern "C" fn(*mut Handle, c_int, Identity, c_int) -> c_int> =
            function(b"ncclCommInitRank")?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the place is this function's own; the other arguments are plain numbers.
        told("joining", unsafe { join(&raw mut handle, count, id, rank) })?;
        Ok(Self(handle))
    }

    /// Starts a sum over all ranks on a stream.
    ///
    /// # Safety
    /// `from` and `to` are memory of the device of the stream for `count` elements, which lives until the stream has
    /// done the work.
    pub(super) unsafe fn sum(&self, from: u64, to: u64, count: usize, element: Element, stream: Handle) -> Result<()> {
        type Reduce = unsafe extern "C" fn(u64, u64, usize, c_int, c_int, Handle, Handle) -> c_int;
        let reduce: Symbol<Reduce> = function(b"ncclAllReduce")?;
        let element = match element {
            Element::I32 => INT32,
            Element::F32 => FLOAT32,
        };
        // SAFETY: what the caller promises; the handle is that of a communicator that was made.
        told("a sum", unsafe { reduce(from, to, count, element, SUM, self.0, stream) })
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        if let Ok(abort) = function::<unsafe extern "C" fn(Handle) -> c_int>(b"ncclCommAbort") {
            // SAFETY: the handle is that of a communicator that was made, and is not used again.
            unsafe { abort(self.0) };
        }
    }
}

fn function<T>(name: &'static [u8]) -> Result<Symbol<'static, T>> {
    static LIBRARY: OnceLock<std::result::Result<Library, String>> = OnceLock::new();
    let load = || {
        // SAFETY: NCCL's library has no code that must not run when it is loaded.
        unsafe { Library::new("libnccl.so.2") }.map_err(|error| error.to_string())
    };
    let missing = |why: &str| Error::msg(format!("NCCL, which joins several cards, cannot be used: {why}"));
    let library = LIBRARY.get_or_init(load).as_ref().map_err(|why| missing(why))?;
    // SAFETY: callers name the type that nccl.h gives the function.
    unsafe { library.get(name) }.map_err(|error| missing(&error.to_string()))
}

fn told(what: &str, code: c_int) -> Result<()> {
    if code == 0 {
        return Ok(());
    }
    let words = function::<unsafe extern "C" fn(c_int) -> *const c_char>(b"ncclGetErrorString").map(|words| {
        // SAFETY: NCCL gives a text of its own, ended by a zero, for every number.
        unsafe { CStr::from_ptr(words(code)) }.to_string_lossy().into_owned()
    });
    let words = words.unwrap_or_else(|_| format!("code {code}"));
    Err(Error::msg(format!("NCCL refused {what}: {words}; NCCL_DEBUG=INFO tells more")))
}
