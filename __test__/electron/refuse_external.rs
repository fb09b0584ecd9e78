//! Node-API as Electron has it since V8's memory cage: no memory of others becomes an `ArrayBuffer` or a `Buffer`.
//! Loaded before Node; the addon asks for these names in a copy in which the real ones were replaced.
use std::ffi::c_void;

/// `napi_no_external_buffers_allowed` of `js_native_api_types.h`.
const NO_EXTERNAL_BUFFERS_ALLOWED: i32 = 22;

#[unsafe(no_mangle)]
pub extern "C" fn cage_create_external_arraybuffer(
    _env: *mut c_void,
    _data: *mut c_void,
    bytes: usize,
    _finalize: *mut c_void,
    _hint: *mut c_void,
    _result: *mut c_void,
) -> i32 {
    refuse(bytes)
}

#[unsafe(no_mangle)]
pub extern "C" fn cage_create_external_buffer(
    _env: *mut c_void,
    bytes: usize,
    _data: *mut c_void,
    _finalize: *mut c_void,
    _hint: *mut c_void,
    _result: *mut c_void,
) -> i32 {
    refuse(bytes)
}

fn refuse(bytes: usize) -> i32 {
    eprintln!("refused {bytes}");
    NO_EXTERNAL_BUFFERS_ALLOWED
}
