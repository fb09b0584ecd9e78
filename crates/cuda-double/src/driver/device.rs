//! Devices and contexts, and what a driver says of itself.

use std::ffi::c_char;

use super::state::{current, set_current, state};
use super::{Answer, Code, Out, api, code};
use crate::settings::{Mode, settings};

/// The version of CUDA that the driver is for: 13.0, since what compiles the kernels is.
const VERSION: i32 = 13000;
/// Handles of contexts, by the device.
const CONTEXT: u64 = 0x10;

/// A visible device's number.
pub(crate) fn checked(device: i32) -> Result<usize, Code> {
    let number = usize::try_from(device).map_err(|_| Code::InvalidDevice)?;
    if number < settings().devices.len() { Ok(number) } else { Err(Code::InvalidDevice) }
}

/// The most shared memory of a block, after `cuFuncSetAttribute` (CUDA C++ Programming Guide, compute capabilities).
pub(crate) fn most_shared() -> i32 {
    match settings().capability {
        (8, 0 | 7) => 163 << 10,
        (8 | 12, _) => 99 << 10,
        _ => 227 << 10,
    }
}

/// A device's attribute; `cuda.h` numbers them.
#[allow(clippy::match_same_arms, reason = "numbers that happen to be equal")]
fn attribute(number: i32) -> i32 {
    let (major, minor) = settings().capability;
    match number {
        1..=3 => 1024,   // threads of a block, and along its first two axes
        4 => 64,         // along the third
        5 => i32::MAX,   // blocks along the first axis of a grid
        6 | 7 => 65535,  // along the others
        8 => 48 << 10,   // shared memory of a block
        9 => 64 << 10,   // constant memory
        10 => 32,        // threads of a warp
        12 => 65536,     // registers of a block
        13 => 1_980_000, // clock, kHz
        16 => 132,       // multiprocessors
        39 => 2048,      // threads of a multiprocessor
        75 => major,
        76 => minor,
        81 => most_shared() + 1024, // shared memory of a multiprocessor
        97 => most_shared(),        // of a block, where it asks for it
        106 => 32,                  // blocks of a multiprocessor
        41 | 78 | 79 | 115 => 1,    // unified addressing, stream priorities, L1 for global memory, memory pools
        _ => 0,
    }
}

fn put_name(place: Out<u8>, room: i32, number: usize) -> Answer {
    if settings().mode == Mode::Lying {
        return place.set_all((0..room.max(0)).map(|_| 0xff)); // no text, and no end
    }
    let (major, minor) = settings().capability;
    let name = format!("Emulated sm_{major}{minor}, number {}", settings().devices[number]);
    let room = usize::try_from(room).ok().and_then(|room| room.checked_sub(1)).ok_or(Code::InvalidValue)?;
    place.set_all(name.bytes().take(room).chain([0]))
}

api! {
    fn cuInit(flags: u32) {
        match settings().mode {
            Mode::None => Err(Code::NoDevice),
            _ if settings().devices.is_empty() => Err(Code::NoDevice),
            _ if flags != 0 => Err(Code::InvalidValue),
            _ => Ok(()),
        }
    }
    fn cuDriverGetVersion(version: Out<i32>) {
        version.set(match settings().mode {
            Mode::Old => 12040,
            Mode::Lying => i32::MAX,
            _ => VERSION,
        })
    }
    fn cuDeviceGetCount(count: Out<i32>) {
        count.set(match settings().mode {
            Mode::None => 0,
            Mode::Lying => i32::MAX,
            _ => settings().devices.len() as i32,
        })
    }
    fn cuDeviceGet(device: Out<i32>, ordinal: i32) {
        if settings().mode == Mode::Lying {
            return device.set(-7);
        }
        device.set(checked(ordinal)? as i32)
    }
    fn cuDeviceGetName(place: Out<u8>, room: i32, device: i32) {
        let number = if settings().mode == Mode::Lying { 0 } else { checked(device)? };
        put_name(place, room, number)
    }
    fn cuDeviceTotalMem_v2(bytes: Out<usize>, device: i32) {
        if settings().mode == Mode::Lying {
            return bytes.set(usize::MAX);
        }
        checked(device)?;
        bytes.set(settings().memory_bytes as usize)
    }
    fn cuDeviceGetUuid(place: Out<u8>, device: i32) { place.set_all([0x5a + checked(device)? as u8; 16]) }
    fn cuDeviceGetUuid_v2(place: Out<u8>, device: i32) { place.set_all([0x5a + checked(device)? as u8; 16]) }
    fn cuDeviceGetAttribute(value: Out<i32>, number: i32, device: i32) {
        if settings().mode == Mode::Lying {
            return value.set(-1);
        }
        checked(device)?;
        value.set(attribute(number))
    }
    fn cuDeviceGetPCIBusId(place: Out<u8>, room: i32, device: i32) {
        let name = format!("0000:{:02x}:00.0", checked(device)? + 1);
        place.set_all(name.bytes().take(room.max(1) as usize - 1).chain([0]))
    }
    fn cuDeviceCanAccessPeer(value: Out<i32>, _device: i32, _peer: i32) { value.set(1) }
    fn cuDevicePrimaryCtxRetain(context: Out<u64>, device: i32) {
        if settings().mode == Mode::Lying {
            return context.set(0);
        }
        context.set(CONTEXT + checked(device)? as u64)
    }
    fn cuDevicePrimaryCtxRelease_v2(device: i32) { checked(device).map(|_| ()) }
    fn cuDevicePrimaryCtxGetState(device: i32, flags: Out<u32>, is_active: Out<i32>) {
        checked(device)?;
        flags.set(0)?;
        is_active.set(1)
    }
    fn cuCtxDestroy_v2(context: u64) { checked((context - CONTEXT) as i32).map(|_| ()) }
    fn cuCtxGetCurrent(context: Out<u64>) { context.set(CONTEXT + current() as u64) }
    fn cuCtxSetCurrent(context: u64) {
        if context == 0 {
            return Ok(());
        }
        let device = context.checked_sub(CONTEXT).ok_or(Code::InvalidContext)?;
        set_current(checked(device as i32).map_err(|_| Code::InvalidContext)?);
        Ok(())
    }
    fn cuCtxGetDevice(device: Out<i32>) { device.set(current() as i32) }
    fn cuCtxSetFlags(_flags: u32) { Ok(()) }
    fn cuCtxSetLimit(_limit: i32, _value: usize) { Ok(()) }
    fn cuCtxGetLimit(value: Out<usize>, _limit: i32) { value.set(1 << 10) }
    fn cuCtxSetCacheConfig(_config: i32) { Ok(()) }
    fn cuCtxGetCacheConfig(config: Out<i32>) { config.set(0) }
    fn cuCtxGetStreamPriorityRange(least: Out<i32>, greatest: Out<i32>) {
        least.set(0)?;
        greatest.set(-5)
    }
    fn cuCtxSynchronize() {
        let mut state = state();
        state.not_capturing_anywhere()?;
        state.flush_all()?;
        state.settle_pools();
        Ok(())
    }
    fn cuGetErrorName(number: i32, place: Out<*const c_char>) {
        place.set(code::name(number).ok_or(Code::InvalidValue)?.as_ptr())
    }
    fn cuGetErrorString(number: i32, place: Out<*const c_char>) {
        place.set(code::name(number).ok_or(Code::InvalidValue)?.as_ptr())
    }
    fn cuProfilerStart() { Ok(()) }
    fn cuProfilerStop() { Ok(()) }
}
