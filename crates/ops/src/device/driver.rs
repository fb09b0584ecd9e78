//! The few calls of the CUDA driver that [`probe`](super::probe) makes, by hand: cudarc's own panic where a library or
//! a symbol is missing, and take a driver's word for its answers.
#![allow(unsafe_code)] // Calls into a library that is found at run time.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::{c_char, c_int, c_void};

use libloading::Library;

/// Names under which a library is looked for, as cudarc does, the first that loads is the one that will be used.
pub(super) fn names(stem: &str) -> Vec<String> {
    candle_core::cuda_backend::cudarc::get_lib_name_candidates(stem)
}

/// Loads the first of `names` that can be loaded; else the system's word on the last, most telling ones.
pub(crate) fn load(names: &[String]) -> Result<(String, Library), String> {
    let mut problems = Vec::new();
    for name in names {
        // SAFETY: loading runs the initialisers of a library of NVIDIA's, which have no precondition.
        match unsafe { Library::new(name) } {
            Ok(library) => return Ok((name.clone(), library)),
            Err(error) => problems.push((name, reason(&error))),
        }
    }
    // A file that is there but does not load says more than one that is not.
    let is_there = |(_, problem): &&(&String, String)| !problem.contains("cannot open shared object file");
    let told = problems.iter().find(is_there).map(|(_, problem)| problem.clone());
    Err(told.unwrap_or_else(|| missing(names)))
}

/// That there is none; one name stands for all, of which there are dozens.
fn missing(names: &[String]) -> String {
    let others: BTreeSet<&String> = names.iter().skip(1).collect();
    let first = names.first().map_or("", String::as_str);
    format!("no such library; tried {first} and {} other names of it", others.len())
}

/// What the system says of a library that does not load.
fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The major version that cuBLAS or cuRAND states through a function of the given name; `None` where it states none.
pub(super) fn major_version(library: &Library, function: &str) -> Option<i32> {
    type Property = unsafe extern "C" fn(c_int, *mut c_int) -> c_int;
    /// `MAJOR_VERSION` of `libraryPropertyType`.
    const MAJOR: c_int = 0;
    let mut version = 0;
    // SAFETY: NVIDIA documents this signature for both functions; the place is this function's own.
    let status = unsafe { library.get::<Property>(function.as_bytes()).ok()?(MAJOR, &raw mut version) };
    (status == 0).then_some(version)
}

/// The driver's library.
pub(super) struct Driver(pub(super) Library);

/// A card's handle.
type Handle = c_int;
type Context = *mut c_void;

impl Driver {
    /// The newest CUDA version that it knows, `1000 · major + 10 · minor`; may be asked before [`Driver::init`].
    pub(super) fn version(&self) -> Result<i32, String> {
        self.number("cuDriverGetVersion")
    }

    /// Starts the driver.
    pub(super) fn init(&self) -> Result<(), i32> {
        type Init = unsafe extern "C" fn(u32) -> c_int;
        let Ok(init) = self.find::<Init>("cuInit") else { return Err(MISSING) };
        // SAFETY: NVIDIA documents this signature; 0 is the only flag.
        match unsafe { init(0) } {
            0 => Ok(()),
            code => Err(code),
        }
    }

    /// How many cards there are, as the driver says.
    pub(super) fn count(&self) -> Result<i32, String> {
        self.number("cuDeviceGetCount")
    }

    /// The handle of card `number`.
    pub(super) fn card(&self, number: i32) -> Result<Handle, String> {
        type Get = unsafe extern "C" fn(*mut Handle, c_int) -> c_int;
        let mut handle = 0;
        // SAFETY: NVIDIA documents this signature; the place is this function's own.
        told("cuDeviceGet", unsafe { self.find::<Get>("cuDeviceGet")?(&raw mut handle, number) })?;
        Ok(handle)
    }

    /// A card's name, without what cannot be printed.
    pub(super) fn name(&self, card: Handle) -> Result<String, String> {
        type Name = unsafe extern "C" fn(*mut c_char, c_int, Handle) -> c_int;
        let mut text = [0_u8; 256];
        let room = text.len() as c_int - 1;
        let name = self.find::<Name>("cuDeviceGetName")?;
        // SAFETY: NVIDIA documents this signature; the driver is told of one byte less than there is, so that a name
        // ends in any case.
        told("cuDeviceGetName", unsafe { name(text.as_mut_ptr().cast(), room, card) })?;
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(0);
        let name: String = String::from_utf8_lossy(&text[..end]).chars().filter(|c| !c.is_control()).collect();
        Ok(if name.trim().is_empty() { "a card without a name".to_owned() } else { name })
    }

    /// One of a card's numbers.
    pub(super) fn attribute(&self, attribute: i32, card: Handle) -> Result<i32, String> {
        type Attribute = unsafe extern "C" fn(*mut c_int, c_int, Handle) -> c_int;
        let mut value = 0;
        let ask = self.find::<Attribute>("cuDeviceGetAttribute")?;
        // SAFETY: NVIDIA documents this signature; the place is this function's own.
        told("cuDeviceGetAttribute", unsafe { ask(&raw mut value, attribute, card) })?;
        Ok(value)
    }

    /// A card's memory in bytes.
    pub(super) fn total_bytes(&self, card: Handle) -> Result<u64, String> {
        type Total = unsafe extern "C" fn(*mut usize, Handle) -> c_int;
        let mut bytes = 0;
        let ask = self.find::<Total>("cuDeviceTotalMem_v2")?;
        // SAFETY: NVIDIA documents this signature; the place is this function's own.
        told("cuDeviceTotalMem", unsafe { ask(&raw mut bytes, card) })?;
        Ok(bytes as u64)
    }

    /// What of a card's memory is free, in bytes; starts its primary context for that, and lets it go.
    pub(super) fn free_bytes(&self, card: Handle) -> Result<u64, String> {
        type Retain = unsafe extern "C" fn(*mut Context, Handle) -> c_int;
        type Release = unsafe extern "C" fn(Handle) -> c_int;
        type Current = unsafe extern "C" fn(Context) -> c_int;
        type Info = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;
        let retain = self.find::<Retain>("cuDevicePrimaryCtxRetain")?;
        let release = self.find::<Release>("cuDevicePrimaryCtxRelease_v2")?;
        let make_current = self.find::<Current>("cuCtxSetCurrent")?;
        let info = self.find::<Info>("cuMemGetInfo_v2")?;
        let (mut context, mut free, mut total) = (std::ptr::null_mut(), 0, 0);
        // SAFETY: NVIDIA documents these signatures; places are this function's own, and the context is current only
        // while it is held.
        unsafe {
            told("cuDevicePrimaryCtxRetain", retain(&raw mut context, card))?;
            let answer = told("cuCtxSetCurrent", make_current(context))
                .and_then(|()| told("cuMemGetInfo", info(&raw mut free, &raw mut total)));
            make_current(std::ptr::null_mut());
            release(card);
            answer?;
        }
        Ok(free as u64)
    }

    /// A function that writes one number.
    fn number(&self, name: &str) -> Result<i32, String> {
        type Number = unsafe extern "C" fn(*mut c_int) -> c_int;
        let mut value = 0;
        // SAFETY: only called for functions that NVIDIA documents with this signature; the place is this function's own.
        told(name, unsafe { self.find::<Number>(name)?(&raw mut value) })?;
        Ok(value)
    }

    fn find<T>(&self, name: &str) -> Result<libloading::Symbol<'_, T>, String> {
        // SAFETY: callers name the type that NVIDIA documents; it is a function's, so nothing is read here.
        unsafe { self.0.get(name.as_bytes()) }.map_err(|_| format!("the driver's library has no function {name}"))
    }
}

/// In place of a driver's code: it lacks the function.
const MISSING: i32 = -1;

fn told(function: &str, code: c_int) -> Result<(), String> {
    if code == 0 { Ok(()) } else { Err(format!("the driver's {function} failed: {}", meaning(code))) }
}

/// What a code of the driver says, in words.
pub(super) fn meaning(code: i32) -> String {
    let known = match code {
        MISSING => "its library lacks a function that every driver has; install the driver again",
        2 => "the card has no memory left",
        34 => "the library is a stub for building, not the driver; take its folder out of LD_LIBRARY_PATH",
        46 => "another process has the card for itself",
        100 => "the driver sees no card",
        101 => "there is no card of that number",
        800 => "this user may not use the card",
        802 => "the system is not ready; start the fabric manager",
        803 => "the driver's module and its library are of different versions; restart the machine",
        804 => "this card does not take the compatibility library; install a driver of version 580 or newer",
        999 => "the driver gave no reason; `nvidia-smi` may tell more",
        _ => return format!("error {code} of the CUDA driver"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_nowhere_is_told_with_the_names_tried() {
        let names = ["libnowhere.so.1", "libnowhere.so"].map(str::to_owned);
        let problem = load(&names).err().unwrap();
        assert!(problem.contains("libnowhere.so.1, libnowhere.so"), "{problem}");
    }

    #[test]
    fn codes_are_told_in_words() {
        assert!(meaning(100).contains("no card"));
        assert_eq!(meaning(12_345), "error 12345 of the CUDA driver");
    }
}
