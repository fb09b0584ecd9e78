//! Device memory: host memory whose end abuts a page that faults. Fresh bytes are NaN; freed ones fault.

use std::collections::BTreeMap;

use super::state::{current, put, state};
use super::{Answer, Code, Out, State, api, refuse};
use crate::counts::{Count, count_copy, count_peak};
use crate::settings::settings;

const PAGE: usize = 4096;
/// Accesses of vectors need no more; whatever lies behind the last bytes is found by the interpreter.
const ALIGN: usize = 16;

/// What one device has.
pub(crate) struct Memory {
    total: u64,
    used: u64,
    allocations: BTreeMap<u64, Allocation>,
}

struct Allocation {
    bytes: usize,
    map: usize,
    mapped: usize,
    /// Made while a graph was recorded: it lives as long as the process.
    is_graphs: bool,
}

impl Memory {
    pub(crate) fn new(total: u64) -> Memory {
        Memory { total, used: 0, allocations: BTreeMap::new() }
    }

    pub(crate) fn allocate(&mut self, bytes: usize, is_graphs: bool) -> Result<u64, Code> {
        if bytes == 0 {
            return Err(Code::InvalidValue);
        }
        if self.used + bytes as u64 > self.total {
            return Err(Code::OutOfMemory);
        }
        if settings().uses_heap {
            let start = on_heap(bytes)?;
            self.allocations.insert(start, Allocation { bytes, map: start as usize, mapped: 0, is_graphs });
            self.used += bytes as u64;
            return Ok(start);
        }
        let rounded = bytes.next_multiple_of(ALIGN);
        let mapped = rounded.next_multiple_of(PAGE) + 2 * PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, wherever the kernel puts it.
        let map = unsafe { libc::mmap(std::ptr::null_mut(), mapped, access, flags, -1, 0) };
        if map == libc::MAP_FAILED {
            return Err(Code::OutOfMemory);
        }
        let end = map as usize + mapped - PAGE;
        let start = end - rounded;
        // SAFETY: the first and the last page and the bytes between lie in the new mapping.
        unsafe {
            libc::mprotect(map, PAGE, libc::PROT_NONE);
            libc::mprotect(end as *mut libc::c_void, PAGE, libc::PROT_NONE);
            (start as *mut u8).write_bytes(0xff, rounded);
        }
        self.allocations.insert(start as u64, Allocation { bytes, map: map as usize, mapped, is_graphs });
        self.used += bytes as u64;
        count_peak(self.used);
        Ok(start as u64)
    }

    fn release(&mut self, place: u64) -> Answer {
        match self.allocations.get(&place) {
            None => refuse(Code::InvalidValue, format_args!("free of {place:x}, which is no allocation")),
            Some(allocation) if allocation.is_graphs => Ok(()),
            Some(allocation) => {
                let map = allocation.map as *mut libc::c_void;
                // SAFETY: the memory is this allocation's own, and nobody else knows it any more.
                unsafe {
                    if allocation.mapped == 0 { libc::free(map) } else { _ = libc::munmap(map, allocation.mapped) }
                };
                self.used -= allocation.bytes as u64;
                self.allocations.remove(&place);
                Ok(())
            }
        }
    }

    /// Whether an allocation holds these bytes.
    pub(crate) fn holds(&self, place: u64, bytes: usize) -> bool {
        let before = self.allocations.range(..=place).next_back();
        before.is_some_and(|(start, allocation)| place + bytes as u64 <= start + allocation.bytes as u64)
    }

    /// Start and end of each allocation, in order.
    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        self.allocations.iter().map(|(start, allocation)| (*start, start + allocation.bytes as u64)).collect()
    }

    fn is_graphs(&self, place: u64) -> bool {
        self.allocations.get(&place).is_some_and(|allocation| allocation.is_graphs)
    }
}

/// Memory whose ends a sanitizer knows, filled with NaN.
fn on_heap(bytes: usize) -> Result<u64, Code> {
    let mut place = std::ptr::null_mut();
    // SAFETY: the place for the address is this function's own, and what comes holds `bytes` bytes.
    let failed = unsafe { libc::posix_memalign(&raw mut place, ALIGN, bytes) } != 0;
    if failed {
        return Err(Code::OutOfMemory);
    }
    // SAFETY: as above.
    unsafe { place.cast::<u8>().write_bytes(0xff, bytes) };
    Ok(place as u64)
}

/// Which ends of a copy are the device's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToDevice,
    ToHost,
    OnDevice,
}

/// Copies after it was checked; memory of any device may take part.
fn copy(state: &State, way: Way, to: u64, from: u64, bytes: usize) -> Answer {
    let holds = |place: u64| state.memory.iter().any(|memory| memory.holds(place, bytes));
    let is_inside = (way == Way::ToHost || holds(to)) && (way == Way::ToDevice || holds(from));
    if bytes > 0 && !is_inside {
        return refuse(Code::IllegalAddress, format_args!("a copy of {bytes} bytes from {from:x} to {to:x}"));
    }
    // SAFETY: the device's ends lie in allocations; the interface demands the same of the host's.
    unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes) };
    Ok(())
}

/// Bytes of the host, as they are now.
fn staged(from: Out<u8>, bytes: usize) -> Vec<u8> {
    // SAFETY: the interface demands that the host's end holds `bytes` bytes.
    if bytes == 0 { vec![] } else { unsafe { std::slice::from_raw_parts(from.address() as *const u8, bytes) }.to_vec() }
}

/// A page-locked place is read and written when the copy's turn comes.
fn is_pinned(state: &State, place: u64) -> bool {
    state.pinned.iter().any(|(start, memory)| (*start..start + memory.len() as u64 * 16).contains(&place))
}

/// Allocates for a stream; where memory is out, what waits to be freed is freed first.
fn allocate(bytes: usize, stream: u64) -> Result<u64, Code> {
    let mut state = state();
    let is_graphs = state.stream(stream)?.recording.is_some();
    match state.memory()?.allocate(bytes, is_graphs) {
        Err(Code::OutOfMemory) => {
            state.flush_all()?;
            let memory = state.memory()?;
            memory.allocate(bytes, is_graphs).or_else(|code| {
                refuse(code, format_args!("{bytes} bytes with {} of {} in use", memory.used, memory.total))
            })
        }
        other => other,
    }
}

/// Frees in any device's memory.
fn release(state: &mut State, place: u64) -> Answer {
    let holds = |memory: &&mut Memory| memory.allocations.contains_key(&place);
    match state.memory.iter_mut().find(holds) {
        Some(memory) => memory.release(place),
        None => state.memory()?.release(place),
    }
}

fn fill(state: &State, to: u64, value: &[u8], count: usize) -> Answer {
    let bytes = value.len() * count;
    if !state.memory.iter().any(|memory| memory.holds(to, bytes)) {
        return refuse(Code::IllegalAddress, format_args!("{bytes} bytes set at {to:x}"));
    }
    for at in 0..count {
        let place = (to as *mut u8).wrapping_add(at * value.len());
        // SAFETY: the allocation holds all of the bytes.
        unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), place, value.len()) };
    }
    Ok(())
}

api! {
    fn cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) {
        let mut state = state();
        let memory = state.memory()?;
        free.set((memory.total - memory.used) as usize)?;
        total.set(memory.total as usize)
    }
    fn cuMemAlloc_v2(place: Out<u64>, bytes: usize) { place.set(allocate(bytes, 0)?) }
    fn cuMemAllocAsync(place: Out<u64>, bytes: usize, stream: u64) { place.set(allocate(bytes, stream)?) }
    fn cuMemAllocFromPoolAsync(place: Out<u64>, bytes: usize, pool: u64, stream: u64) {
        if pool != POOL + current() as u64 {
            return Err(Code::InvalidValue);
        }
        place.set(allocate(bytes, stream)?)
    }
    fn cuMemFree_v2(place: u64) {
        let mut state = state();
        state.flush_all()?;
        release(&mut state, place)
    }
    fn cuMemFreeAsync(place: u64, stream: u64) {
        let mut state = state();
        if state.stream(stream)?.recording.is_some() {
            if state.memory()?.is_graphs(place) {
                return Ok(());
            }
            return refuse(Code::InvalidValue, "a graph frees memory that it did not allocate");
        }
        put(&mut state, stream, move |state| release(state, place))
    }
    fn cuMemHostAlloc(place: Out<u64>, bytes: usize, _flags: u32) {
        let memory = vec![u128::MAX; bytes.div_ceil(16)].into_boxed_slice();
        let address = memory.as_ptr() as u64;
        state().pinned.insert(address, memory);
        place.set(address)
    }
    fn cuMemFreeHost(place: u64) {
        let mut state = state();
        state.flush_all()?;
        state.pinned.remove(&place).map(|_| ()).ok_or(Code::InvalidValue)
    }
    fn cuMemcpyHtoDAsync_v2(to: u64, from: Out<u8>, bytes: usize, stream: u64) {
        count_copy(Count::ToDevice, bytes);
        let mut state = state();
        if is_pinned(&state, from.address()) {
            let from = from.address();
            return put(&mut state, stream, move |state| copy(state, Way::ToDevice, to, from, bytes));
        }
        let staged = staged(from, bytes);
        put(&mut state, stream, move |state| copy(state, Way::ToDevice, to, staged.as_ptr() as u64, bytes))
    }
    fn cuMemcpyHtoD_v2(to: u64, from: Out<u8>, bytes: usize) {
        count_copy(Count::ToDevice, bytes);
        let mut state = state();
        state.flush_all()?;
        copy(&state, Way::ToDevice, to, from.address(), bytes)
    }
    fn cuMemcpyDtoHAsync_v2(to: Out<u8>, from: u64, bytes: usize, stream: u64) {
        count_copy(Count::ToHost, bytes);
        let (mut state, to) = (state(), to.address());
        if is_pinned(&state, to) {
            return put(&mut state, stream, move |state| copy(state, Way::ToHost, to, from, bytes));
        }
        state.not_recording(stream)?;
        state.flush(stream, u64::MAX)?; // what is pageable is done when the call returns
        copy(&state, Way::ToHost, to, from, bytes)
    }
    fn cuMemcpyDtoH_v2(to: Out<u8>, from: u64, bytes: usize) {
        count_copy(Count::ToHost, bytes);
        let mut state = state();
        state.flush_all()?;
        copy(&state, Way::ToHost, to.address(), from, bytes)
    }
    fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: u64) {
        count_copy(Count::OnDevice, bytes);
        put(&mut state(), stream, move |state| copy(state, Way::OnDevice, to, from, bytes))
    }
    fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) {
        count_copy(Count::OnDevice, bytes);
        let mut state = state();
        state.flush_all()?;
        copy(&state, Way::OnDevice, to, from, bytes)
    }
    fn cuMemcpyPeerAsync(to: u64, _to_context: u64, from: u64, _from_context: u64, bytes: usize, stream: u64) {
        count_copy(Count::OnDevice, bytes);
        put(&mut state(), stream, move |state| copy(state, Way::OnDevice, to, from, bytes))
    }
    fn cuMemsetD8Async(to: u64, value: u8, count: usize, stream: u64) {
        put(&mut state(), stream, move |state| fill(state, to, &[value], count))
    }
    fn cuMemsetD16Async(to: u64, value: u16, count: usize, stream: u64) {
        put(&mut state(), stream, move |state| fill(state, to, &value.to_le_bytes(), count))
    }
    fn cuMemsetD32Async(to: u64, value: u32, count: usize, stream: u64) {
        put(&mut state(), stream, move |state| fill(state, to, &value.to_le_bytes(), count))
    }
    fn cuMemsetD8_v2(to: u64, value: u8, count: usize) {
        let mut state = state();
        state.flush_all()?;
        fill(&state, to, &[value], count)
    }
}

/// The one pool of a device; its number is added.
const POOL: u64 = 0x100;
/// How many attributes pools have, in `cuda.h` of 13.0.
const POOL_ATTRIBUTES: i32 = 8;

fn pool(handle: u64, attribute: i32) -> Answer {
    let is_pool = handle.checked_sub(POOL).is_some_and(|device| device < settings().devices.len() as u64);
    if is_pool && (1..=POOL_ATTRIBUTES).contains(&attribute) { Ok(()) } else { Err(Code::InvalidValue) }
}

api! {
    fn cuDeviceGetDefaultMemPool(handle: Out<u64>, device: i32) { handle.set(POOL + super::device::checked(device)? as u64) }
    fn cuDeviceGetMemPool(handle: Out<u64>, device: i32) { handle.set(POOL + super::device::checked(device)? as u64) }
    fn cuDeviceSetMemPool(device: i32, handle: u64) {
        super::device::checked(device)?;
        pool(handle, 1)
    }
    fn cuMemPoolSetAttribute(handle: u64, attribute: i32, _value: Out<u64>) { pool(handle, attribute) }
    fn cuMemPoolGetAttribute(handle: u64, attribute: i32, value: Out<u64>) {
        pool(handle, attribute)?;
        let used = state().memory()?.used;
        value.set(if attribute > 4 { used } else { 0 })
    }
    fn cuMemPoolTrimTo(handle: u64, _bytes: usize) { pool(handle, 1) }
}
