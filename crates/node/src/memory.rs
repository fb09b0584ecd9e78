//! The process's memory: freed tensors kept for the next one, and the peak that was reached.

use std::sync::{Mutex, PoisonError};

use pulmoav_ops::block_cache::BlockCache;

#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

/// Jobs at work. Held while the allocator is told, so that one that begins is never left with a resting one.
static JOBS: Mutex<usize> = Mutex::new(0);

/// What becomes of the blocks that a job freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// They go back to the system, once no other job needs them, and so does what is freed between jobs.
    Release,
    /// They wait for the next job, which is of the same kind.
    Keep,
}

/// A job at work, from its beginning until it is dropped.
pub struct Job(Afterwards);

impl Job {
    /// One that begins now.
    pub fn begin(afterwards: Afterwards) -> Self {
        let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
        *jobs += 1;
        ALLOCATOR.work();
        Self(afterwards)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
        *jobs -= 1;
        if *jobs == 0 && self.0 == Afterwards::Release {
            ALLOCATOR.rest();
        }
    }
}

/// The most memory this process has had resident, bytes; 0 where the system does not tell.
pub fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}
