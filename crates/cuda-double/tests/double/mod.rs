//! The library's functions, and processes of their own to call them in.
#![allow(clippy::unwrap_used, dead_code)]

use std::process::{Command, Output};

use cuda_double as _;

/// Identity of a communicator.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct UniqueId(pub(crate) [u8; 128]);

// SAFETY: the library defines these functions, and takes wrong handles and null pointers for answers. What it writes to
// has the type that the signature tells.
#[allow(unsafe_code)]
unsafe extern "C" {
    pub(crate) safe fn cuInit(flags: u32) -> i32;
    pub(crate) safe fn cuDriverGetVersion(version: *mut i32) -> i32;
    pub(crate) safe fn cuDeviceGetCount(count: *mut i32) -> i32;
    pub(crate) safe fn cuDeviceGetName(name: *mut u8, room: i32, device: i32) -> i32;
    pub(crate) safe fn cuDeviceTotalMem_v2(bytes: *mut usize, device: i32) -> i32;
    pub(crate) safe fn cuCtxSynchronize() -> i32;
    pub(crate) safe fn cuMemAlloc_v2(place: *mut u64, bytes: usize) -> i32;
    pub(crate) safe fn cuMemFree_v2(place: u64) -> i32;
    pub(crate) safe fn cuMemcpyHtoD_v2(to: u64, from: *const f32, bytes: usize) -> i32;
    pub(crate) safe fn cuMemcpyDtoH_v2(to: *mut f32, from: u64, bytes: usize) -> i32;
    pub(crate) safe fn cuModuleLoadData(module: *mut u64, image: *const libc::c_char) -> i32;
    pub(crate) safe fn cuModuleGetFunction(function: *mut u64, module: u64, name: *const libc::c_char) -> i32;
    pub(crate) safe fn cuFuncSetAttribute(function: u64, attribute: i32, value: i32) -> i32;
    pub(crate) safe fn cuFuncGetParamInfo(function: u64, at: usize, offset: *mut usize, bytes: *mut usize) -> i32;
    pub(crate) safe fn cuLaunchKernel(
        function: u64,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        shared_bytes: u32,
        stream: u64,
        parameters: *const *const u8,
        extra: u64,
    ) -> i32;
    pub(crate) safe fn cuStreamBeginCapture_v2(stream: u64, mode: i32) -> i32;
    pub(crate) safe fn cuStreamEndCapture(stream: u64, graph: *mut u64) -> i32;
    pub(crate) safe fn cuGraphInstantiateWithFlags(instance: *mut u64, graph: u64, flags: u64) -> i32;
    pub(crate) safe fn cuGraphLaunch(instance: u64, stream: u64) -> i32;
    pub(crate) safe fn cublasCreate_v2(handle: *mut u64) -> i32;
    pub(crate) safe fn pulmoav_double_counts(at: usize) -> u64;
    pub(crate) safe fn ncclGetUniqueId(id: *mut UniqueId) -> i32;
    pub(crate) safe fn ncclCommInitRank(communicator: *mut u64, ranks: i32, id: UniqueId, rank: i32) -> i32;
    pub(crate) safe fn ncclAllReduce(
        from: u64,
        to: u64,
        count: usize,
        kind: i32,
        reduction: i32,
        communicator: u64,
        stream: u64,
    ) -> i32;
    pub(crate) safe fn ncclBroadcast(
        from: u64,
        to: u64,
        count: usize,
        kind: i32,
        root: i32,
        communicator: u64,
        stream: u64,
    ) -> i32;
    pub(crate) safe fn ncclCommAbort(communicator: u64) -> i32;
    pub(crate) safe fn ncclCommDestroy(communicator: u64) -> i32;
}

/// Runs one test of this binary in a process of its own, since the library reads its settings once.
pub(crate) fn process(test: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).envs(settings.iter().copied());
    command
}

pub(crate) fn passed(output: &Output) {
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "no such test: {said}");
}

/// Memory of the device with these bytes.
pub(crate) fn upload(values: &[f32]) -> u64 {
    let mut place = 0u64;
    assert_eq!(cuMemAlloc_v2(&raw mut place, size_of_val(values)), 0);
    let code = cuMemcpyHtoD_v2(place, values.as_ptr(), size_of_val(values));
    assert_eq!(code, 0);
    place
}

pub(crate) fn download(place: u64, count: usize) -> Vec<f32> {
    let mut values = vec![0f32; count];
    let code = cuMemcpyDtoH_v2(values.as_mut_ptr(), place, count * 4);
    assert_eq!(code, 0);
    values
}
