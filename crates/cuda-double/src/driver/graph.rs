//! Graphs: what a stream was given while it was recorded, done again at each launch, with the arguments of then. Memory
//! that was allocated meanwhile is there from its allocation to its release in each launch, and nowhere else; its places
//! stay the same.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use super::memory::{Mapping, release};
use super::state::Work;
use super::state::{LEGACY, current, put, state};
use super::{Answer, Code, Out, State, api, refuse};
use crate::counts::{Count, count};

/// Modes of captures and threads, `CUstreamCaptureMode`; that between is of the thread alone.
const GLOBAL: i32 = 0;
const RELAXED: i32 = 2;
/// `CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH`.
const AUTO_FREE: u64 = 1;
/// All flags of `cuGraphInstantiateWithFlags`.
const ALL_FLAGS: u64 = 15;

thread_local! {
    static MODE: Cell<i32> = const { Cell::new(GLOBAL) };
}

/// Memory that a graph's nodes allocate, by place.
#[derive(Default)]
struct Blocks {
    all: HashMap<u64, Arc<Mapping>>,
    /// Those that no node has freed.
    live: Vec<u64>,
    used: u64,
    peak: u64,
}

/// What is recorded of a stream.
pub(crate) struct Capture {
    work: Vec<Work>,
    blocks: Blocks,
    device: usize,
    mode: i32,
    thread: ThreadId,
    is_valid: bool,
}

/// What was recorded.
pub(crate) struct Graph {
    work: Vec<Work>,
    blocks: Blocks,
    device: usize,
}

/// A graph that can be launched.
pub(crate) struct Instance {
    graph: Arc<Graph>,
    auto_free: bool,
}

impl Capture {
    pub(crate) fn record(&mut self, work: Work) -> Answer {
        if !self.is_valid {
            return Err(Code::CaptureInvalidated);
        }
        self.work.push(work);
        Ok(())
    }
}

/// Allocates for a stream that is recorded.
pub(crate) fn allocate(bytes: usize, stream: u64) -> Result<u64, Code> {
    let mut state = state();
    let mapping = Arc::new(Mapping::new(bytes)?);
    mapping.close();
    let Some(capture) = &mut state.stream(stream)?.capture else { return Err(Code::IllegalState) };
    let (place, device, node) = (mapping.start, capture.device, Arc::clone(&mapping));
    capture.record(Arc::new(move |state| {
        state.memory[device].begin(&node);
        Ok(())
    }))?;
    let blocks = &mut capture.blocks;
    blocks.all.insert(place, mapping);
    blocks.live.push(place);
    blocks.used += bytes as u64;
    blocks.peak = blocks.peak.max(blocks.used);
    Ok(place)
}

/// Frees in a stream that is recorded.
pub(crate) fn free(state: &mut State, place: u64, stream: u64) -> Answer {
    let Some(capture) = &mut state.stream(stream)?.capture else { return Err(Code::IllegalState) };
    let Some(at) = capture.blocks.live.iter().position(|live| *live == place) else {
        return refuse(Code::InvalidValue, format_args!("a graph frees {place:x}, which it did not allocate"));
    };
    capture.record(Arc::new(move |state| release(state, place)))?;
    let blocks = &mut capture.blocks;
    blocks.live.swap_remove(at);
    blocks.used -= blocks.all[&place].bytes as u64;
    Ok(())
}

impl State {
    /// Whether a graph may know places of memory.
    pub(crate) fn has_graphs(&self) -> bool {
        !self.graphs.is_empty() || !self.instances.is_empty() || self.streams.values().any(|one| one.capture.is_some())
    }

    /// What is recorded of a stream is worth nothing any more.
    pub(crate) fn invalidate(&mut self, handle: u64) {
        if let Ok(stream) = self.stream(handle) {
            stream.capture.iter_mut().for_each(|capture| capture.is_valid = false);
        }
    }

    fn invalidate_where(&mut self, matches: impl Fn(&Capture, bool) -> bool) -> bool {
        let mut any = false;
        for stream in self.streams.values_mut() {
            let is_blocking = stream.is_blocking;
            for capture in stream.capture.iter_mut().filter(|capture| capture.is_valid && matches(capture, is_blocking))
            {
                (capture.is_valid, any) = (false, true);
            }
        }
        any
    }

    /// Refuses what a stream cannot do while it is recorded.
    pub(crate) fn not_capturing(&mut self, handle: u64, what: &str) -> Answer {
        if self.stream(handle)?.capture.is_none() {
            return Ok(());
        }
        self.invalidate(handle);
        refuse(Code::CaptureUnsupported, format_args!("{what} on a stream that is recorded"))
    }

    /// Refuses what asks for all streams.
    pub(crate) fn not_capturing_anywhere(&mut self) -> Answer {
        if self.invalidate_where(|_, _| true) {
            return refuse(Code::CaptureUnsupported, "a context is synchronised while a stream of it is recorded");
        }
        Ok(())
    }

    /// Refuses calls that are no work of a stream, as the thread's mode and that of captures say
    /// (`cuThreadExchangeStreamCaptureMode`).
    pub(crate) fn not_beside_capture(&mut self, what: &str) -> Answer {
        let (mode, own) = (MODE.get(), thread::current().id());
        let forbids = |capture: &Capture, _: bool| match mode {
            RELAXED => false,
            _ if capture.thread == own => capture.mode != RELAXED,
            _ => mode == GLOBAL && capture.mode == GLOBAL,
        };
        if self.invalidate_where(forbids) {
            return refuse(Code::CaptureUnsupported, format_args!("{what} while a stream is recorded"));
        }
        Ok(())
    }

    /// Refuses work for the default stream, which would wait for a stream that is recorded.
    pub(crate) fn not_implicit(&mut self) -> Answer {
        if self.invalidate_where(|_, is_blocking| is_blocking) {
            return refuse(Code::CaptureImplicit, "work for the default stream waits for one that is recorded");
        }
        Ok(())
    }
}

fn begin(handle: u64, mode: i32) -> Answer {
    let mut state = state();
    state.alive()?;
    if !(GLOBAL..=RELAXED).contains(&mode) {
        return Err(Code::InvalidValue);
    }
    if handle <= LEGACY {
        return refuse(Code::CaptureUnsupported, "the default stream cannot be recorded");
    }
    let (device, thread) = (current(), thread::current().id());
    let stream = state.stream(handle)?;
    if stream.capture.is_some() {
        return Err(Code::IllegalState);
    }
    let (work, blocks) = (vec![], Blocks::default());
    stream.capture = Some(Capture { work, blocks, device, mode, thread, is_valid: true });
    Ok(())
}

fn end(handle: u64, graph: Out<u64>) -> Answer {
    graph.set(0)?;
    let mut state = state();
    let stream = state.stream(handle)?;
    let capture = stream.capture.as_ref().ok_or(Code::IllegalState)?;
    if capture.mode != RELAXED && capture.thread != thread::current().id() {
        return Err(Code::CaptureWrongThread);
    }
    let Some(Capture { work, blocks, device, is_valid, .. }) = stream.capture.take() else { return Ok(()) };
    if !is_valid {
        state.unbar();
        return Err(Code::CaptureInvalidated);
    }
    let new = state.handle();
    state.graphs.insert(new, Arc::new(Graph { work, blocks, device }));
    graph.set(new)
}

fn find(state: &State, handle: u64) -> Result<&Arc<Graph>, Code> {
    state.graphs.get(&handle).ok_or(Code::InvalidHandle)
}

fn instantiate(handle: u64, flags: u64) -> Result<u64, Code> {
    let mut state = state();
    state.alive()?;
    let graph = Arc::clone(find(&state, handle)?);
    if flags & !ALL_FLAGS != 0 {
        return Err(Code::InvalidValue);
    }
    let is_known = state.instances.values().any(|instance| Arc::ptr_eq(&instance.graph, &graph));
    if is_known && !graph.blocks.all.is_empty() {
        return refuse(Code::InvalidValue, "a graph that allocates is instantiated twice");
    }
    let new = state.handle();
    state.instances.insert(new, Instance { graph, auto_free: flags & AUTO_FREE != 0 });
    Ok(new)
}

/// Sets a graph's memory aside, which the first launch would do else.
fn reserve(state: &mut State, graph: &Graph) -> Answer {
    let peak = graph.blocks.peak;
    if state.memory[graph.device].reserve(peak).is_ok() {
        return Ok(());
    }
    state.flush_all()?; // what waits to be freed
    let memory = &mut state.memory[graph.device];
    memory.reserve(peak).or_else(|code| {
        let (used, kept, total) = (memory.used, memory.kept, memory.total);
        refuse(code, format_args!("a graph of {peak} bytes with {used} in use and {kept} kept of {total}"))
    })
}

fn launch(state: &mut State, handle: u64, stream: u64) -> Answer {
    state.alive()?;
    let instance = state.instances.get(&handle).ok_or(Code::InvalidHandle)?;
    let (graph, auto_free) = (Arc::clone(&instance.graph), instance.auto_free);
    if state.stream(stream)?.capture.is_some() {
        return refuse(Code::NotSupported, "a graph in a graph");
    }
    if !graph.blocks.live.is_empty() {
        state.flush(stream, u64::MAX)?;
        let left: Vec<u64> = graph.blocks.live.iter().copied().filter(|place| state.knows(*place)).collect();
        if !left.is_empty() && !auto_free {
            return refuse(Code::InvalidValue, "a graph is launched again before what it left allocated is freed");
        }
        left.into_iter().try_for_each(|place| release(state, place))?;
    }
    reserve(state, &graph)?;
    state.launched_graphs += 1;
    put(state, stream, move |state| {
        count(Count::GraphLaunches);
        state.launched_graphs -= 1;
        state.is_replaying = true;
        let outcome = graph.work.iter().try_for_each(|work| work(state));
        state.is_replaying = false;
        outcome
    })
}

api! {
    fn cuStreamBeginCapture_v2(handle: u64, mode: i32) { begin(handle, mode) }
    fn cuStreamEndCapture(handle: u64, graph: Out<u64>) { end(handle, graph) }
    fn cuStreamIsCapturing(handle: u64, status: Out<i32>) {
        status.set(match &state().stream(handle)?.capture {
            None => 0,
            Some(Capture { is_valid, .. }) => if *is_valid { 1 } else { 2 },
        })
    }
    fn cuThreadExchangeStreamCaptureMode(mode: Out<i32>) {
        let new = mode.get().filter(|mode| (GLOBAL..=RELAXED).contains(mode)).ok_or(Code::InvalidValue)?;
        mode.set(MODE.replace(new))
    }
    fn cuGraphInstantiateWithFlags(instance: Out<u64>, handle: u64, flags: u64) {
        instance.set(instantiate(handle, flags)?)
    }
    fn cuGraphUpload(handle: u64, stream: u64) {
        let mut state = state();
        state.alive()?;
        state.stream(stream)?;
        let graph = Arc::clone(&state.instances.get(&handle).ok_or(Code::InvalidHandle)?.graph);
        reserve(&mut state, &graph)
    }
    fn cuGraphLaunch(instance: u64, stream: u64) { launch(&mut state(), instance, stream) }
    fn cuGraphGetNodes(handle: u64, _nodes: Out<u64>, count: Out<usize>) {
        count.set(find(&state(), handle)?.work.len())
    }
    fn cuGraphDestroy(handle: u64) {
        let mut state = state();
        state.graphs.remove(&handle).ok_or(Code::InvalidHandle)?;
        state.unbar();
        Ok(())
    }
    fn cuGraphExecDestroy(handle: u64) {
        let mut state = state();
        state.instances.remove(&handle).ok_or(Code::InvalidHandle)?;
        state.unbar();
        Ok(())
    }
}
