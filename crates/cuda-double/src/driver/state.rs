//! What the driver holds, behind one lock.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::function::{Function, Image};
use super::graph::{Capture, Graph, Instance};
use super::memory::Memory;
use super::{Answer, Code};
use crate::settings::{Lazy, settings};

/// A piece of a stream's work; a graph does its own again and again.
pub(crate) type Work = Arc<dyn Fn(&mut State) -> Answer + Send + Sync>;

/// Work that waits, and what is recorded of it.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) waiting: VecDeque<Work>,
    pub(crate) capture: Option<Capture>,
    /// Whether it waits for the default stream, and that for it.
    pub(crate) is_blocking: bool,
    /// Pieces of work that were put into it, and that were done.
    pub(crate) put: u64,
    pub(crate) done: u64,
    /// How many streams were created before.
    pub(crate) number: u64,
}

impl Stream {
    fn is_lazy(&self) -> bool {
        match settings().lazy {
            Lazy::No => false,
            Lazy::First => self.number == 0,
            Lazy::All => true,
        }
    }
}

/// A place in a stream.
#[derive(Clone, Copy, Default)]
pub(crate) struct Event {
    pub(crate) stream: u64,
    pub(crate) place: u64,
    /// Whether it was recorded into a graph.
    pub(crate) is_captured: bool,
}

pub(crate) struct State {
    /// One a visible device.
    pub(crate) memory: Vec<Memory>,
    pub(crate) images: HashMap<u64, Arc<Image>>,
    pub(crate) functions: HashMap<u64, Arc<Function>>,
    pub(crate) streams: HashMap<u64, Stream>,
    pub(crate) events: HashMap<u64, Event>,
    pub(crate) graphs: HashMap<u64, Arc<Graph>>,
    pub(crate) instances: HashMap<u64, Instance>,
    /// Launches of graphs that are still to run.
    pub(crate) launched_graphs: usize,
    /// Whether a graph runs.
    pub(crate) is_replaying: bool,
    pub(crate) pinned: HashMap<u64, Box<[u128]>>,
    /// The first fault of a kernel: every later call answers with it, as a card's context does.
    pub(crate) fault: Option<Code>,
    /// Waits of streams for events so far.
    pub(crate) waits: u64,
    /// Copies within the device that streams were given so far.
    pub(crate) copies: u64,
    streams_created: u64,
    last: u64,
}

/// The stream that calls without one use.
pub(crate) const DEFAULT: u64 = 0;
/// Its other name. All streams that block wait for it.
pub(crate) const LEGACY: u64 = 1;

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// The driver's state.
pub(crate) fn state() -> MutexGuard<'static, State> {
    static STATE: OnceLock<Mutex<State>> = OnceLock::new();
    let state = STATE.get_or_init(|| {
        let memory = settings().devices.iter().map(|_| Memory::new(settings().memory_bytes)).collect();
        Mutex::new(State {
            memory,
            images: HashMap::new(),
            functions: HashMap::new(),
            streams: HashMap::from([(DEFAULT, Stream { number: u64::MAX, ..Stream::default() })]),
            events: HashMap::new(),
            graphs: HashMap::new(),
            instances: HashMap::new(),
            launched_graphs: 0,
            is_replaying: false,
            pinned: HashMap::new(),
            fault: None,
            waits: 0,
            copies: 0,
            streams_created: 0,
            last: 0x1000,
        })
    });
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device that this thread's calls mean.
pub(crate) fn current() -> usize {
    CURRENT.get()
}

pub(crate) fn set_current(device: usize) {
    CURRENT.set(device);
}

impl State {
    /// A handle that was never given before.
    pub(crate) fn handle(&mut self) -> u64 {
        self.last += 16;
        self.last
    }

    /// A new stream's handle.
    pub(crate) fn create_stream(&mut self, is_blocking: bool) -> u64 {
        let new = self.handle();
        self.streams.insert(new, Stream { number: self.streams_created, is_blocking, ..Stream::default() });
        self.streams_created += 1;
        new
    }

    /// The device's memory, if the context is alive.
    pub(crate) fn memory(&mut self) -> Result<&mut Memory, Code> {
        self.alive()?;
        self.memory.get_mut(current()).ok_or(Code::InvalidContext)
    }

    pub(crate) fn alive(&self) -> Answer {
        self.fault.map_or(Ok(()), Err)
    }

    pub(crate) fn stream(&mut self, handle: u64) -> Result<&mut Stream, Code> {
        // Handles 1 and 2 name the default stream, too.
        let handle = if handle <= 2 { DEFAULT } else { handle };
        self.streams.get_mut(&handle).ok_or(Code::InvalidHandle)
    }

    /// Does what waits in a stream, up to a place.
    pub(crate) fn flush(&mut self, handle: u64, place: u64) -> Answer {
        loop {
            let stream = self.stream(handle)?;
            if stream.done >= place {
                break;
            }
            let Some(work) = stream.waiting.pop_front() else { break };
            stream.done += 1;
            if let Err(code) = work(self) {
                self.fault.get_or_insert(code);
            }
        }
        self.alive()
    }

    /// Does everything that waits anywhere.
    pub(crate) fn flush_all(&mut self) -> Answer {
        let handles: Vec<u64> = self.streams.keys().copied().collect();
        handles.into_iter().try_for_each(|handle| self.flush(handle, u64::MAX))
    }
}

/// Puts work into a stream: it is recorded, waits, or is done at once.
pub(crate) fn put(
    state: &mut State,
    handle: u64,
    work: impl Fn(&mut State) -> Answer + Send + Sync + 'static,
) -> Answer {
    state.alive()?;
    let work: Work = Arc::new(work);
    if handle <= LEGACY {
        state.not_implicit()?;
    }
    let stream = state.stream(handle)?;
    if let Some(capture) = &mut stream.capture {
        return capture.record(work);
    }
    stream.put += 1;
    stream.waiting.push_back(work);
    if stream.is_lazy() { Ok(()) } else { state.flush(handle, u64::MAX) }
}
