//! The process's memory: freed tensors kept for the next one, and the peak that was reached.

use pulmoav_ops::block_cache::BlockCache;

#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

/// Gives kept blocks back to the system when a job ends, however it ends.
pub struct Released;

impl Drop for Released {
    fn drop(&mut self) {
        ALLOCATOR.release();
    }
}

/// The most memory this process has had resident, bytes; 0 where the system does not tell.
pub fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}
