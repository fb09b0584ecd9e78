//! Calls that allocate and free, and the pool of each device.

use super::graph;
use super::memory::{Owner, allocate, release};
use super::state::{current, put, state};
use super::{Answer, Code, Out, api};
use crate::settings::settings;

fn allocate_async(bytes: usize, stream: u64) -> Result<u64, Code> {
    if state().stream(stream)?.capture.is_some() {
        graph::allocate(bytes, stream)
    } else {
        allocate(bytes, Owner::Pool)
    }
}

api! {
    fn cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) {
        let mut state = state();
        let memory = state.memory()?;
        free.set((memory.total - memory.used - memory.kept - memory.graphs) as usize)?;
        total.set(memory.total as usize)
    }
    fn cuMemAlloc_v2(place: Out<u64>, bytes: usize) {
        state().not_beside_capture("cuMemAlloc")?;
        place.set(allocate(bytes, Owner::Program)?)
    }
    fn cuMemAllocAsync(place: Out<u64>, bytes: usize, stream: u64) { place.set(allocate_async(bytes, stream)?) }
    fn cuMemAllocFromPoolAsync(place: Out<u64>, bytes: usize, pool: u64, stream: u64) {
        if pool != POOL + current() as u64 {
            return Err(Code::InvalidValue);
        }
        place.set(allocate_async(bytes, stream)?)
    }
    fn cuMemFree_v2(place: u64) {
        let mut state = state();
        state.not_beside_capture("cuMemFree")?;
        state.flush_all()?;
        release(&mut state, place)
    }
    fn cuMemFreeAsync(place: u64, stream: u64) {
        let mut state = state();
        if state.stream(stream)?.capture.is_some() {
            return graph::free(&mut state, place, stream);
        }
        put(&mut state, stream, move |state| release(state, place))
    }
    fn cuMemHostAlloc(place: Out<u64>, bytes: usize, _flags: u32) {
        state().not_beside_capture("cuMemHostAlloc")?;
        let memory = vec![u128::MAX; bytes.div_ceil(16)].into_boxed_slice();
        let address = memory.as_ptr() as u64;
        state().pinned.insert(address, memory);
        place.set(address)
    }
    fn cuMemFreeHost(place: u64) {
        let mut state = state();
        state.not_beside_capture("cuMemFreeHost")?;
        state.flush_all()?;
        state.pinned.remove(&place).map(|_| ()).ok_or(Code::InvalidValue)
    }
}

/// The one pool of a device; its number is added.
const POOL: u64 = 0x100;
/// How many attributes pools have, in `cuda.h` of 13.0.
const POOL_ATTRIBUTES: i32 = 8;
/// What stays when something synchronises: `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`.
const RELEASE_THRESHOLD: i32 = 4;
/// What is the pool's now, and was at most; behind them, what of it is used.
const RESERVED: i32 = 5;
const RESERVED_HIGH: i32 = 6;

/// The pool's device.
fn pool(handle: u64, attribute: i32) -> Result<usize, Code> {
    let device = handle.checked_sub(POOL).filter(|device| *device < settings().devices.len() as u64);
    let device = device.filter(|_| (1..=POOL_ATTRIBUTES).contains(&attribute));
    device.map(|device| device as usize).ok_or(Code::InvalidValue)
}

fn set(handle: u64, attribute: i32, value: Out<u64>) -> Answer {
    let device = pool(handle, attribute)?;
    if attribute == RELEASE_THRESHOLD {
        state().memory[device].keeps = value.get().ok_or(Code::InvalidValue)?;
    }
    Ok(())
}

api! {
    fn cuDeviceGetDefaultMemPool(handle: Out<u64>, device: i32) { handle.set(POOL + super::device::checked(device)? as u64) }
    fn cuDeviceGetMemPool(handle: Out<u64>, device: i32) { handle.set(POOL + super::device::checked(device)? as u64) }
    fn cuDeviceSetMemPool(device: i32, handle: u64) {
        super::device::checked(device)?;
        pool(handle, 1).map(|_| ())
    }
    fn cuMemPoolSetAttribute(handle: u64, attribute: i32, value: Out<u64>) { set(handle, attribute, value) }
    fn cuMemPoolGetAttribute(handle: u64, attribute: i32, value: Out<u64>) {
        let state = state();
        let memory = &state.memory[pool(handle, attribute)?];
        value.set(match attribute {
            RELEASE_THRESHOLD => memory.keeps,
            RESERVED | RESERVED_HIGH => memory.used + memory.kept,
            _ if attribute > RESERVED_HIGH => memory.used,
            _ => 0,
        })
    }
    fn cuMemPoolTrimTo(handle: u64, bytes: usize) {
        let mut state = state();
        let memory = &mut state.memory[pool(handle, 1)?];
        memory.kept = memory.kept.min((bytes as u64).saturating_sub(memory.used));
        Ok(())
    }
    fn cuDeviceGraphMemTrim(device: i32) {
        let mut state = state();
        // What is still to run keeps its memory.
        if state.launched_graphs == 0 {
            state.memory[super::device::checked(device)?].trim_graphs();
        }
        Ok(())
    }
}
