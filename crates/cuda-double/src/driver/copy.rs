//! Copies and fills.

use super::state::{put, state};
use super::{Answer, Code, Out, State, api, refuse};
use crate::counts::{Count, count_copy};
use crate::settings::settings;

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

/// A copy that is done when the call returns.
fn copy_now(name: &str, way: Way, to: u64, from: u64, bytes: usize) -> Answer {
    let mut state = state();
    state.not_beside_capture(name)?;
    state.flush_all()?;
    copy(&state, way, to, from, bytes)
}

api! {
    fn cuMemcpyHtoDAsync_v2(to: u64, from: Out<u8>, bytes: usize, stream: u64) {
        count_copy(Count::ToDevice, bytes);
        let mut state = state();
        if is_pinned(&state, from.address()) {
            let from = from.address();
            return put(&mut state, stream, move |state| copy(state, Way::ToDevice, to, from, bytes));
        }
        state.not_capturing(stream, "a copy from pageable memory")?;
        let staged = staged(from, bytes);
        put(&mut state, stream, move |state| copy(state, Way::ToDevice, to, staged.as_ptr() as u64, bytes))
    }
    fn cuMemcpyHtoD_v2(to: u64, from: Out<u8>, bytes: usize) {
        count_copy(Count::ToDevice, bytes);
        copy_now("cuMemcpyHtoD", Way::ToDevice, to, from.address(), bytes)
    }
    fn cuMemcpyDtoHAsync_v2(to: Out<u8>, from: u64, bytes: usize, stream: u64) {
        count_copy(Count::ToHost, bytes);
        let (mut state, to) = (state(), to.address());
        if is_pinned(&state, to) {
            return put(&mut state, stream, move |state| copy(state, Way::ToHost, to, from, bytes));
        }
        state.not_capturing(stream, "a copy to pageable memory")?;
        state.flush(stream, u64::MAX)?; // what is pageable is done when the call returns
        copy(&state, Way::ToHost, to, from, bytes)
    }
    fn cuMemcpyDtoH_v2(to: Out<u8>, from: u64, bytes: usize) {
        count_copy(Count::ToHost, bytes);
        copy_now("cuMemcpyDtoH", Way::ToHost, to.address(), from, bytes)
    }
    fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: u64) {
        count_copy(Count::OnDevice, bytes);
        let mut state = state();
        state.copies += 1;
        if settings().forgotten_copy == Some(state.copies) {
            return state.stream(stream).map(|_| ());
        }
        put(&mut state, stream, move |state| copy(state, Way::OnDevice, to, from, bytes))
    }
    fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) {
        count_copy(Count::OnDevice, bytes);
        copy_now("cuMemcpyDtoD", Way::OnDevice, to, from, bytes)
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
        state.not_beside_capture("cuMemsetD8")?;
        state.flush_all()?;
        fill(&state, to, &[value], count)
    }
}
