//! Device memory: host memory whose end abuts a page that faults. Fresh bytes are NaN; freed ones fault.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::{State, state};
use super::{Answer, Code, refuse};
use crate::counts::count_peak;
use crate::settings::settings;

const PAGE: usize = 4096;
/// Accesses of vectors need no more; whatever lies behind the last bytes is found by the interpreter.
const ALIGN: usize = 16;

/// Host memory in the place of a device's.
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) bytes: usize,
    map: usize,
    /// With the pages that fault; 0 where it comes from `malloc`.
    mapped: usize,
}

impl Mapping {
    pub(crate) fn new(bytes: usize) -> Result<Mapping, Code> {
        if bytes == 0 {
            return Err(Code::InvalidValue);
        }
        let rounded = bytes.next_multiple_of(ALIGN);
        let mapping = if settings().uses_heap {
            let start = on_heap(bytes)?;
            Mapping { start, bytes, map: start as usize, mapped: 0 }
        } else {
            let mapped = rounded.next_multiple_of(PAGE) + 2 * PAGE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a new mapping, wherever the kernel puts it.
            let map = unsafe { libc::mmap(std::ptr::null_mut(), mapped, libc::PROT_NONE, flags, -1, 0) };
            if map == libc::MAP_FAILED {
                return Err(Code::OutOfMemory);
            }
            let start = map as usize + mapped - PAGE - rounded;
            Mapping { start: start as u64, bytes, map: map as usize, mapped }
        };
        mapping.open();
        Ok(mapping)
    }

    /// Makes it fresh: it can be read, and is NaN.
    pub(crate) fn open(&self) {
        let mut bytes = self.bytes;
        if self.mapped > 0 {
            let (inner, access) = (self.map + PAGE, libc::PROT_READ | libc::PROT_WRITE);
            // SAFETY: all of this mapping's pages but the first and the last.
            unsafe { libc::mprotect(inner as *mut libc::c_void, self.mapped - 2 * PAGE, access) };
            bytes = bytes.next_multiple_of(ALIGN);
        }
        // SAFETY: the pages above hold the bytes, rounded up; what comes from `malloc` has just as many.
        unsafe { (self.start as *mut u8).write_bytes(0xff, bytes) };
    }

    /// Lets every access fault, and keeps the place.
    pub(crate) fn close(&self) {
        if self.mapped > 0 {
            let map = self.map as *mut libc::c_void;
            // SAFETY: this mapping's own pages; who still knows the place has no right to it any more.
            unsafe {
                libc::mprotect(map, self.mapped, libc::PROT_NONE);
                libc::madvise(map, self.mapped, libc::MADV_DONTNEED);
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let map = self.map as *mut libc::c_void;
        // SAFETY: the memory is this mapping's own, and nobody has a right to it any more.
        unsafe { if self.mapped == 0 { libc::free(map) } else { _ = libc::munmap(map, self.mapped) } };
    }
}

/// Memory whose ends a sanitizer knows.
fn on_heap(bytes: usize) -> Result<u64, Code> {
    let mut place = std::ptr::null_mut();
    // SAFETY: the place for the address is this function's own.
    let failed = unsafe { libc::posix_memalign(&raw mut place, ALIGN, bytes) } != 0;
    if failed { Err(Code::OutOfMemory) } else { Ok(place as u64) }
}

/// Who an allocation belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Program,
    /// The device's pool, which keeps what is freed.
    Pool,
    /// A graph that runs, or ran and did not free it.
    Graph,
}

struct Allocation {
    mapping: Arc<Mapping>,
    owner: Owner,
}

/// What one device has.
pub(crate) struct Memory {
    pub(crate) total: u64,
    /// Bytes of allocations, those of graphs apart.
    pub(crate) used: u64,
    /// What the pool keeps although nobody uses it.
    pub(crate) kept: u64,
    /// What of it stays when something synchronises.
    pub(crate) keeps: u64,
    /// What graphs use, and what is theirs until it is trimmed, whether they run or not.
    graphs_used: u64,
    pub(crate) graphs: u64,
    allocations: BTreeMap<u64, Allocation>,
    /// Freed while there were graphs, which may know them still: their places are given to nobody.
    barred: Vec<Arc<Mapping>>,
}

impl Memory {
    pub(crate) fn new(total: u64) -> Memory {
        let (allocations, barred) = (BTreeMap::new(), vec![]);
        Memory { total, used: 0, kept: 0, keeps: 0, graphs_used: 0, graphs: 0, allocations, barred }
    }

    fn allocate(&mut self, bytes: usize, owner: Owner) -> Result<u64, Code> {
        let wanted = self.used + bytes as u64;
        if wanted + self.graphs > self.total {
            return Err(Code::OutOfMemory);
        }
        let mapping = Arc::new(Mapping::new(bytes)?);
        let start = mapping.start;
        self.allocations.insert(start, Allocation { mapping, owner });
        self.used = wanted;
        if owner == Owner::Pool {
            self.kept = self.kept.saturating_sub(bytes as u64);
        }
        // Where there is no room otherwise, the pool gives back what it keeps.
        self.kept = self.kept.min(self.total - self.used - self.graphs);
        count_peak(self.used + self.graphs);
        Ok(start)
    }

    fn release(&mut self, place: u64, has_graphs: bool) -> Answer {
        let Some(Allocation { mapping, owner }) = self.allocations.remove(&place) else {
            return refuse(Code::InvalidValue, format_args!("free of {place:x}, which is no allocation"));
        };
        let bytes = mapping.bytes as u64;
        match owner {
            Owner::Graph => self.graphs_used -= bytes,
            _ => self.used -= bytes,
        }
        if owner == Owner::Pool {
            self.kept += bytes;
        }
        if has_graphs || owner == Owner::Graph {
            mapping.close();
            // The heap's is freed at once: a sanitizer sees who uses it then.
            self.barred.extend((mapping.mapped > 0 && has_graphs).then_some(mapping));
        }
        Ok(())
    }

    /// Sets memory aside for a graph that takes so much at most; what the pool keeps is not taken from it.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Answer {
        let graphs = self.graphs.max(bytes);
        if self.used + self.kept + graphs > self.total {
            return Err(Code::OutOfMemory);
        }
        self.graphs = graphs;
        count_peak(self.used + self.graphs);
        Ok(())
    }

    /// An allocation of a graph begins: its place is known since it was recorded.
    pub(crate) fn begin(&mut self, mapping: &Arc<Mapping>) {
        mapping.open();
        self.graphs_used += mapping.bytes as u64;
        let mapping = Arc::clone(mapping);
        self.allocations.insert(mapping.start, Allocation { mapping, owner: Owner::Graph });
    }

    /// Gives back what graphs do not use.
    pub(crate) fn trim_graphs(&mut self) {
        self.graphs = self.graphs_used;
    }

    /// Whether an allocation holds these bytes.
    pub(crate) fn holds(&self, place: u64, bytes: usize) -> bool {
        let before = self.allocations.range(..=place).next_back();
        before.is_some_and(|(start, found)| place + bytes as u64 <= start + found.mapping.bytes as u64)
    }

    /// Start and end of each allocation, in order.
    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        self.allocations.iter().map(|(start, found)| (*start, start + found.mapping.bytes as u64)).collect()
    }

    fn knows(&self, place: u64) -> bool {
        self.allocations.contains_key(&place)
    }
}

/// Allocates; where memory is out, what waits to be freed is freed first.
pub(crate) fn allocate(bytes: usize, owner: Owner) -> Result<u64, Code> {
    let mut state = state();
    match state.memory()?.allocate(bytes, owner) {
        Err(Code::OutOfMemory) => {
            state.flush_all()?;
            let memory = state.memory()?;
            memory.allocate(bytes, owner).or_else(|code| {
                let Memory { used, graphs, total, .. } = memory;
                refuse(code, format_args!("{bytes} bytes with {used} and {graphs} of graphs of {total} in use"))
            })
        }
        other => other,
    }
}

/// Frees in any device's memory.
pub(crate) fn release(state: &mut State, place: u64) -> Answer {
    let has_graphs = state.has_graphs();
    match state.memory.iter_mut().find(|memory| memory.knows(place)) {
        Some(memory) => memory.release(place, has_graphs),
        None => state.memory()?.release(place, has_graphs),
    }
}

impl State {
    /// Whether any device has such an allocation now.
    pub(crate) fn knows(&self, place: u64) -> bool {
        self.memory.iter().any(|memory| memory.knows(place))
    }

    /// Places that were kept from new allocations are free for them once no graph can know them.
    pub(crate) fn unbar(&mut self) {
        if !self.has_graphs() {
            self.memory.iter_mut().for_each(|memory| memory.barred.clear());
        }
    }

    /// What pools do when something synchronises.
    pub(crate) fn settle_pools(&mut self) {
        self.memory.iter_mut().for_each(|memory| memory.kept = memory.kept.min(memory.keeps));
    }
}
