//! The library's functions, and processes of their own to call them in.
#![allow(clippy::unwrap_used, dead_code)]

use std::ffi::CString;
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
    pub(crate) safe fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> i32;
    pub(crate) safe fn cuMemAllocAsync(place: *mut u64, bytes: usize, stream: u64) -> i32;
    pub(crate) safe fn cuMemFreeAsync(place: u64, stream: u64) -> i32;
    pub(crate) safe fn cuMemHostAlloc(place: *mut u64, bytes: usize, flags: u32) -> i32;
    pub(crate) safe fn cuMemcpyHtoDAsync_v2(to: u64, from: *const f32, bytes: usize, stream: u64) -> i32;
    pub(crate) safe fn cuMemcpyDtoHAsync_v2(to: *mut f32, from: u64, bytes: usize, stream: u64) -> i32;
    pub(crate) safe fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: u64) -> i32;
    pub(crate) safe fn cuMemsetD8Async(to: u64, value: u8, count: usize, stream: u64) -> i32;
    pub(crate) safe fn cuMemsetD8_v2(to: u64, value: u8, count: usize) -> i32;
    pub(crate) safe fn cuDeviceGetDefaultMemPool(pool: *mut u64, device: i32) -> i32;
    pub(crate) safe fn cuMemPoolSetAttribute(pool: u64, attribute: i32, value: *mut u64) -> i32;
    pub(crate) safe fn cuMemPoolTrimTo(pool: u64, bytes: usize) -> i32;
    pub(crate) safe fn cuDeviceGraphMemTrim(device: i32) -> i32;
    pub(crate) safe fn cuStreamCreate(stream: *mut u64, flags: u32) -> i32;
    pub(crate) safe fn cuStreamSynchronize(stream: u64) -> i32;
    pub(crate) safe fn cuStreamQuery(stream: u64) -> i32;
    pub(crate) safe fn cuStreamWaitEvent(stream: u64, event: u64, flags: u32) -> i32;
    pub(crate) safe fn cuStreamIsCapturing(stream: u64, status: *mut i32) -> i32;
    pub(crate) safe fn cuThreadExchangeStreamCaptureMode(mode: *mut i32) -> i32;
    pub(crate) safe fn cuEventCreate(event: *mut u64, flags: u32) -> i32;
    pub(crate) safe fn cuEventRecord(event: u64, stream: u64) -> i32;
    pub(crate) safe fn cuEventQuery(event: u64) -> i32;
    pub(crate) safe fn cuEventSynchronize(event: u64) -> i32;
    pub(crate) safe fn cuGraphDestroy(graph: u64) -> i32;
    pub(crate) safe fn cuGraphExecDestroy(instance: u64) -> i32;
    pub(crate) safe fn cuGraphUpload(instance: u64, stream: u64) -> i32;
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

/// Doubles `n` values, a block of 32; `room` bytes behind the declared shared memory are touched.
const DOUBLING: &str = ".version 9.0\n.target sm_80\n.address_size 64
.extern .shared .align 16 .b8 room[];
.visible .entry twice(.param .u64 p, .param .u32 n) .maxntid 32, 1, 1 {
    .reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<5>; .reg .f32 %f<3>;
    ld.param.u64 %rd1, [p]; ld.param.u32 %r1, [n];
    mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x; mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p1, %r5, %r1; @%p1 bra $E;
    mul.wide.u32 %rd2, %r5, 4; add.s64 %rd3, %rd1, %rd2;
    ld.global.f32 %f1, [%rd3]; add.f32 %f2, %f1, %f1; st.global.f32 [%rd3], %f2;
    $E: ret; }";

pub(crate) fn function(name: &str) -> Result<u64, i32> {
    let (text, name) = (CString::new(DOUBLING).unwrap(), CString::new(name).unwrap());
    let (mut module, mut function) = (0u64, 0u64);
    assert_eq!(cuModuleLoadData(&raw mut module, text.as_ptr()), 0);
    match cuModuleGetFunction(&raw mut function, module, name.as_ptr()) {
        0 => Ok(function),
        code => Err(code),
    }
}

/// A launch of `twice` in a stream: blocks, threads, bytes of shared memory.
pub(crate) fn launch(stream: u64, function: u64, [blocks, threads, shared]: [u32; 3], place: u64, count: u32) -> i32 {
    let arguments = [(&raw const place).cast::<u8>(), (&raw const count).cast::<u8>()];
    cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, shared, stream, arguments.as_ptr(), 0)
}

/// A counter, see `counts`.
pub(crate) fn count(at: usize) -> u64 {
    pulmoav_double_counts(at)
}

/// A new stream.
pub(crate) fn stream(flags: u32) -> u64 {
    let mut stream = 0u64;
    assert_eq!(cuStreamCreate(&raw mut stream, flags), 0);
    stream
}
