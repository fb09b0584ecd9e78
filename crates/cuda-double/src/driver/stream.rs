//! Streams, events and graphs. A stream that is lazy shows who reads a result that nothing made sure of.

use std::sync::Arc;

use super::state::{Event, put, state};
use super::{Answer, Code, Out, State, Work, api};
use crate::settings::settings;

fn create(handle: Out<u64>) -> Answer {
    handle.set(state().create_stream())
}

/// Does what came before an event.
fn reach(state: &mut State, event: Event) -> Answer {
    if state.streams.contains_key(&event.stream) { state.flush(event.stream, event.place) } else { state.alive() }
}

fn graph(state: &State, handle: u64) -> Result<Arc<Vec<Work>>, Code> {
    state.graphs.get(&handle).map(Arc::clone).ok_or(Code::InvalidHandle)
}

api! {
    fn cuStreamCreate(handle: Out<u64>, _flags: u32) { create(handle) }
    fn cuStreamCreateWithPriority(handle: Out<u64>, _flags: u32, _priority: i32) { create(handle) }
    fn cuStreamDestroy_v2(handle: u64) {
        let mut state = state();
        state.flush(handle, u64::MAX)?;
        state.streams.remove(&handle).map(|_| ()).ok_or(Code::InvalidHandle)
    }
    fn cuStreamSynchronize(handle: u64) {
        let mut state = state();
        state.not_recording(handle)?;
        state.flush(handle, u64::MAX)
    }
    fn cuStreamQuery(handle: u64) {
        let mut state = state();
        state.alive()?;
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
        // What the event marks now; it may be recorded anew, or be gone, before the stream comes here.
        put(&mut state, handle, move |state| reach(state, event))
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
        let place = state.stream(stream)?.put;
        *state.events.get_mut(&handle).ok_or(Code::InvalidHandle)? = Event { stream, place };
        Ok(())
    }
    fn cuEventQuery(handle: u64) {
        let mut state = state();
        let event = *state.events.get(&handle).ok_or(Code::InvalidHandle)?;
        if state.stream(event.stream)?.done >= event.place { Ok(()) } else { Err(Code::NotReady) }
    }
    fn cuEventSynchronize(handle: u64) {
        let mut state = state();
        let event = *state.events.get(&handle).ok_or(Code::InvalidHandle)?;
        reach(&mut state, event)
    }
    fn cuEventElapsedTime(milliseconds: Out<f32>, _start: u64, _end: u64) { milliseconds.set(0.0) }
    fn cuEventElapsedTime_v2(milliseconds: Out<f32>, _start: u64, _end: u64) { milliseconds.set(0.0) }
}

api! {
    fn cuStreamBeginCapture_v2(handle: u64, _mode: i32) {
        let mut state = state();
        state.not_recording(handle)?;
        state.stream(handle)?.recording = Some(vec![]);
        Ok(())
    }
    fn cuStreamEndCapture(handle: u64, graph: Out<u64>) {
        let mut state = state();
        let recorded = state.stream(handle)?.recording.take().ok_or(Code::CaptureUnsupported)?;
        let new = state.handle();
        state.graphs.insert(new, Arc::new(recorded));
        graph.set(new)
    }
    fn cuStreamIsCapturing(handle: u64, status: Out<i32>) {
        status.set(i32::from(state().stream(handle)?.recording.is_some()))
    }
    fn cuThreadExchangeStreamCaptureMode(mode: Out<i32>) { mode.set(0) }
    fn cuGraphInstantiateWithFlags(instance: Out<u64>, handle: u64, _flags: u64) {
        let mut state = state();
        let recorded = graph(&state, handle)?;
        let new = state.handle();
        state.graphs.insert(new, recorded);
        instance.set(new)
    }
    fn cuGraphUpload(instance: u64, _stream: u64) { graph(&state(), instance).map(|_| ()) }
    fn cuGraphLaunch(instance: u64, stream: u64) {
        let mut state = state();
        let recorded = graph(&state, instance)?;
        put(&mut state, stream, move |state| recorded.iter().try_for_each(|work| work(state)))
    }
    fn cuGraphGetNodes(handle: u64, _nodes: Out<u64>, count: Out<usize>) {
        count.set(graph(&state(), handle)?.len())
    }
    fn cuGraphDestroy(handle: u64) { state().graphs.remove(&handle).map(|_| ()).ok_or(Code::InvalidHandle) }
    fn cuGraphExecDestroy(handle: u64) { state().graphs.remove(&handle).map(|_| ()).ok_or(Code::InvalidHandle) }
}
