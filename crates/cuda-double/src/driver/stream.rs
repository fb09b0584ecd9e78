//! Streams and events. A stream that is lazy shows who reads a result that nothing made sure of.

use super::state::{Event, Stream, put, state};
use super::{Answer, Code, Out, State, api, refuse};
use crate::settings::settings;

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;

fn create(handle: Out<u64>, flags: u32) -> Answer {
    handle.set(state().create_stream(flags & NON_BLOCKING == 0))
}

/// Does what came before an event.
fn reach(state: &mut State, event: Event) -> Answer {
    if state.streams.contains_key(&event.stream) { state.flush(event.stream, event.place) } else { state.alive() }
}

/// An event that the host may ask for.
fn told(state: &mut State, handle: u64) -> Result<Event, Code> {
    let event = *state.events.get(&handle).ok_or(Code::InvalidHandle)?;
    if event.is_captured {
        state.invalidate(event.stream);
        return refuse(Code::CapturedEvent, "an event that was recorded into a graph is never reached");
    }
    Ok(event)
}

/// Has a stream wait for an event.
fn wait(state: &mut State, handle: u64, event: Event) -> Answer {
    let is_own = event.is_captured && event.stream == handle;
    match (state.stream(handle)?.capture.is_some(), event.is_captured) {
        (true, true) if is_own => Ok(()), // what comes before is done before in any case
        (true, false) => {
            state.invalidate(handle);
            refuse(Code::CaptureIsolation, "a stream that is recorded waits for an event of before")
        }
        (_, true) => refuse(Code::NotSupported, "a stream that waits for another that is recorded"),
        // What the event marks now; it may be recorded anew, or be gone, before the stream comes here.
        (false, false) => put(state, handle, move |state| reach(state, event)),
    }
}

api! {
    fn cuStreamCreate(handle: Out<u64>, flags: u32) { create(handle, flags) }
    fn cuStreamCreateWithPriority(handle: Out<u64>, flags: u32, _priority: i32) { create(handle, flags) }
    fn cuStreamDestroy_v2(handle: u64) {
        let mut state = state();
        state.flush(handle, u64::MAX)?;
        state.streams.remove(&handle).map(|_| ()).ok_or(Code::InvalidHandle)
    }
    fn cuStreamSynchronize(handle: u64) {
        let mut state = state();
        state.not_capturing(handle, "cuStreamSynchronize")?;
        state.flush(handle, u64::MAX)?;
        state.settle_pools();
        Ok(())
    }
    fn cuStreamQuery(handle: u64) {
        let mut state = state();
        state.alive()?;
        state.not_capturing(handle, "cuStreamQuery")?;
        if state.stream(handle)?.waiting.is_empty() { Ok(()) } else { Err(Code::NotReady) }
    }
    fn cuStreamGetPriority(handle: u64, priority: Out<i32>) {
        state().stream(handle)?;
        priority.set(0)
    }
    fn cuStreamWaitEvent(handle: u64, event: u64, _flags: u32) {
        let mut state = state();
        let event = *state.events.get(&event).ok_or(Code::InvalidHandle)?;
        state.waits += 1;
        if settings().forgotten_wait == Some(state.waits) {
            return state.stream(handle).map(|_| ());
        }
        wait(&mut state, handle, event)
    }
    fn cuStreamAttachMemAsync(handle: u64, _place: u64, _bytes: usize, _flags: u32) {
        state().stream(handle).map(|_| ())
    }
    fn cuLaunchHostFunc(handle: u64, function: Option<unsafe extern "C" fn(u64)>, argument: u64) {
        let function = function.ok_or(Code::InvalidValue)?;
        put(&mut state(), handle, move |_| {
            // SAFETY: the interface demands a function that takes this argument.
            unsafe { function(argument) };
            Ok(())
        })
    }
    fn cuEventCreate(handle: Out<u64>, _flags: u32) {
        let mut state = state();
        let new = state.handle();
        state.events.insert(new, Event::default());
        handle.set(new)
    }
    fn cuEventDestroy_v2(handle: u64) {
        state().events.remove(&handle).map(|_| ()).ok_or(Code::InvalidHandle)
    }
    fn cuEventRecord(handle: u64, stream: u64) {
        let mut state = state();
        state.alive()?;
        let Stream { put: place, capture, .. } = state.stream(stream)?;
        let (place, is_captured) = (*place, capture.is_some());
        *state.events.get_mut(&handle).ok_or(Code::InvalidHandle)? = Event { stream, place, is_captured };
        Ok(())
    }
    fn cuEventQuery(handle: u64) {
        let mut state = state();
        let event = told(&mut state, handle)?;
        if state.stream(event.stream)?.done >= event.place { Ok(()) } else { Err(Code::NotReady) }
    }
    fn cuEventSynchronize(handle: u64) {
        let mut state = state();
        let event = told(&mut state, handle)?;
        reach(&mut state, event)?;
        state.settle_pools();
        Ok(())
    }
    fn cuEventElapsedTime(milliseconds: Out<f32>, _start: u64, _end: u64) { milliseconds.set(0.0) }
    fn cuEventElapsedTime_v2(milliseconds: Out<f32>, _start: u64, _end: u64) { milliseconds.set(0.0) }
}
