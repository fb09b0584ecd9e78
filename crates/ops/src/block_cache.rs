//! A global allocator that keeps large freed blocks for the next tensor of their size.
//!
//! Every operator returns a new tensor, and the system gives each large block back to the kernel at once: the next one
//! is paged in and cleared again, which costs a memory-bound operator more than its arithmetic. The cache never raises
//! the process's peak: what lives and what is kept stay within the most that has lived at one time. Within that a
//! larger block may serve a smaller request, since the sizes of a network's encoder are not those of its decoder.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// Blocks below this go to the system.
const SMALLEST: usize = 1 << 20;
/// Sizes are rounded up to this, so that nearly equal tensors share blocks.
const GRAIN: usize = 1 << 16;
/// Alignment of every large block: a cache line.
const ALIGN: usize = 64;
const SLOTS: usize = 512;
/// A block may be so many times as large as what it serves.
const MAX_TIMES: usize = 4;
/// Most live blocks that are larger than what they serve.
const LENT_SLOTS: usize = 64;

/// The allocator: `#[global_allocator] static ALLOCATOR: BlockCache = BlockCache::new();` in the binary or addon.
pub struct BlockCache {
    state: Mutex<State>,
}

struct State {
    /// Freed blocks, oldest first; no allocation happens in here.
    kept: [Block; SLOTS],
    count: usize,
    /// Live blocks larger than their owners know.
    lent: [Block; LENT_SLOTS],
    lent_count: usize,
    kept_bytes: usize,
    live_bytes: usize,
    peak_bytes: usize,
    /// Whether freed blocks go to the system at once.
    is_resting: bool,
}

#[derive(Clone, Copy)]
struct Block {
    address: usize,
    bytes: usize,
}

impl BlockCache {
    /// An empty cache.
    #[allow(clippy::new_without_default, clippy::large_stack_arrays)]
    pub const fn new() -> Self {
        let none = Block { address: 0, bytes: 0 };
        let state = State {
            kept: [none; SLOTS],
            count: 0,
            lent: [none; LENT_SLOTS],
            lent_count: 0,
            kept_bytes: 0,
            live_bytes: 0,
            peak_bytes: 0,
            is_resting: false,
        };
        Self { state: Mutex::new(state) }
    }

    /// Gives every kept block back to the system and forgets the peak; call it when a job has ended.
    pub fn release(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.evict(usize::MAX);
        state.peak_bytes = state.live_bytes;
    }

    /// As [`BlockCache::release`], and until [`BlockCache::work`] nothing is kept: what a job handed out is freed after
    /// its end.
    pub fn rest(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_resting = true;
        self.release();
    }

    /// Keeps freed blocks from now on, as a new cache does.
    pub fn work(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_resting = false;
    }

    /// Bytes of the large blocks that are kept but not in use.
    pub fn kept_bytes(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).kept_bytes
    }

    /// A kept block for this size, or none; either way its bytes count as live.
    fn take(&self, bytes: usize) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The youngest block of the size: the likeliest to be in a cache.
        let same = (0..state.count).rev().find(|&slot| state.kept[slot].bytes == bytes);
        let taken = same.or_else(|| state.larger(bytes)).map(|slot| state.remove(slot));
        state.live_bytes += taken.map_or(bytes, |block| block.bytes);
        match taken {
            Some(block) if block.bytes > bytes => state.lend(block),
            Some(_) => {}
            None => {
                let surplus = (state.live_bytes + state.kept_bytes).saturating_sub(state.peak_bytes);
                state.evict(surplus);
                return None;
            }
        }
        state.peak_bytes = state.peak_bytes.max(state.live_bytes);
        taken.map(|block| block.address)
    }

    fn keep(&self, address: usize, bytes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = state.take_back(address).unwrap_or(bytes);
        state.live_bytes -= bytes;
        if state.count == SLOTS {
            state.evict(1);
        }
        let slot = state.count;
        state.kept[slot] = Block { address, bytes };
        state.count += 1;
        state.kept_bytes += bytes;
        if state.is_resting {
            state.evict(usize::MAX);
        }
    }
}

impl State {
    fn remove(&mut self, slot: usize) -> Block {
        let block = self.kept[slot];
        self.kept.copy_within(slot + 1..self.count, slot);
        self.count -= 1;
        self.kept_bytes -= block.bytes;
        block
    }

    /// The smallest kept block that serves a smaller request, if that leaves the peak where it is.
    fn larger(&self, bytes: usize) -> Option<usize> {
        let room = self.peak_bytes.saturating_sub(self.live_bytes).min(bytes.saturating_mul(MAX_TIMES));
        let fits = |&slot: &usize| (bytes..=room).contains(&self.kept[slot].bytes);
        let found = (0..self.count).filter(fits).min_by_key(|&slot| self.kept[slot].bytes);
        found.filter(|_| self.lent_count < LENT_SLOTS)
    }

    fn lend(&mut self, block: Block) {
        self.lent[self.lent_count] = block;
        self.lent_count += 1;
    }

    /// The true size of a block that was lent, which is so no more.
    fn take_back(&mut self, address: usize) -> Option<usize> {
        let slot = (0..self.lent_count).find(|&slot| self.lent[slot].address == address)?;
        let bytes = self.lent[slot].bytes;
        self.lent_count -= 1;
        self.lent[slot] = self.lent[self.lent_count];
        Some(bytes)
    }

    /// Frees the oldest blocks until at least `bytes` are gone, or all are.
    #[allow(unsafe_code)]
    fn evict(&mut self, bytes: usize) {
        let mut freed = 0;
        while freed < bytes && self.count > 0 {
            let block = self.remove(0);
            freed += block.bytes;
            // SAFETY: only `keep` puts blocks here, each got from `zeroed` with these bytes, and `remove` has just made
            // us its only owner.
            unsafe { give_back(block.address as *mut u8, block.bytes) };
        }
    }
}

/// The size that a large request is rounded up to, or none for what goes to the system.
fn large_bytes(layout: Layout) -> Option<usize> {
    (layout.size() >= SMALLEST && layout.align() <= ALIGN).then(|| layout.size().next_multiple_of(GRAIN))
}

/// A fresh block of zeros, or null. The system's allocator would clear a block of this alignment itself, page by page,
/// before any large page could be asked for; memory just mapped is zero already, and is touched first by whoever uses
/// it.
#[cfg(unix)]
#[allow(unsafe_code)]
fn zeroed(bytes: usize) -> *mut u8 {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
    // SAFETY: a new private mapping of its own touches no other memory.
    let address = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
    if address == libc::MAP_FAILED { ptr::null_mut() } else { address.cast() }
}

/// Gives a block back to the system.
///
/// # Safety
/// It came from [`zeroed`] with as many bytes, and nobody uses it.
#[cfg(unix)]
#[allow(unsafe_code)]
unsafe fn give_back(address: *mut u8, bytes: usize) {
    // SAFETY: by this function's contract the range is exactly one mapping that `zeroed` made, and nobody uses it.
    unsafe { libc::munmap(address.cast(), bytes) };
}

#[cfg(not(unix))]
#[allow(unsafe_code)]
fn zeroed(bytes: usize) -> *mut u8 {
    // SAFETY: `large_bytes` gives sizes from SMALLEST on, so the size is not 0.
    unsafe { System.alloc_zeroed(large_layout(bytes)) }
}

/// Gives a block back to the system.
///
/// # Safety
/// It came from [`zeroed`] with as many bytes, and nobody uses it.
#[cfg(not(unix))]
#[allow(unsafe_code)]
unsafe fn give_back(address: *mut u8, bytes: usize) {
    // SAFETY: by this function's contract the block is one that `zeroed` got with this layout, and nobody uses it.
    unsafe { System.dealloc(address, large_layout(bytes)) };
}

#[cfg(not(unix))]
#[allow(unsafe_code)]
fn large_layout(bytes: usize) -> Layout {
    // SAFETY: ALIGN is a power of two, and `bytes` is a Layout's size (at most isize::MAX) rounded up to GRAIN; sizes
    // so near isize::MAX that rounding passes it fail in the system's allocator long before.
    unsafe { Layout::from_size_align_unchecked(bytes, ALIGN) }
}

// SAFETY: small requests are the system's; large ones are blocks of the system, at least as large and as aligned as
// asked, each either live (owned by the caller) or kept (owned by the cache), never both: `take` and `keep` move it
// under a lock.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for BlockCache {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(bytes) = large_bytes(layout) else {
            // SAFETY: the contract of `GlobalAlloc::alloc`, which is the system's too: the size is not 0.
            return unsafe { System.alloc(layout) };
        };
        match self.take(bytes) {
            Some(address) => address as *mut u8,
            None => self.fresh(bytes, zeroed(bytes)),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(bytes) = large_bytes(layout) else {
            // SAFETY: the contract of `GlobalAlloc::alloc_zeroed`, which is the system's too: the size is not 0.
            return unsafe { System.alloc_zeroed(layout) };
        };
        match self.take(bytes) {
            Some(address) => {
                // SAFETY: `take` gives a block of at least `bytes` bytes, which `large_bytes` rounded up from the
                // layout's size, and has made it ours alone.
                unsafe { ptr::write_bytes(address as *mut u8, 0, layout.size()) };
                address as *mut u8
            }
            None => self.fresh(bytes, zeroed(bytes)),
        }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        match large_bytes(layout) {
            Some(bytes) => self.keep(address as usize, bytes),
            // SAFETY: `large_bytes` is none, so `alloc` got the block from the system with this layout.
            None => unsafe { System.dealloc(address, layout) },
        }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the contract of `GlobalAlloc::realloc`: the new size, rounded up to this alignment, fits an isize.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (large_bytes(layout), large_bytes(new_layout)) {
            // SAFETY: `large_bytes` is none, so `alloc` got the block from the system with this layout; the contract of
            // `GlobalAlloc::realloc` has the new size fit one.
            (None, None) => unsafe { System.realloc(address, layout, new_size) },
            (Some(old), Some(new)) if old == new => address,
            // SAFETY: two live blocks do not overlap, and each holds at least the smaller of the two sizes; `address`
            // is freed with the layout that it was got with, after its last use.
            _ => unsafe {
                let moved = self.alloc(new_layout);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(address, moved, layout.size().min(new_size));
                    self.dealloc(address, layout);
                }
                moved
            },
        }
    }
}

impl BlockCache {
    /// A block that the system has just given; if it gave none, its bytes do not count as live any more.
    fn fresh(&self, bytes: usize, address: *mut u8) -> *mut u8 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if address.is_null() {
            state.live_bytes -= bytes;
        } else {
            state.peak_bytes = state.peak_bytes.max(state.live_bytes);
            drop(state);
            ask_for_large_pages(address as usize, bytes);
        }
        address
    }
}

/// Fresh blocks come 4 KiB at a time, each cleared on first touch; with 2 MiB at a time an operator that fills one
/// spends a fifth to three quarters less.
#[allow(unsafe_code)]
fn ask_for_large_pages(address: usize, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 2 << 20;
        let start = address.next_multiple_of(PAGE);
        let end = (address + bytes) / PAGE * PAGE;
        if start < end {
            // SAFETY: `start` and `end` are rounded towards each other, so the range lies within the block; the call is
            // a hint that changes no byte, and its failure changes nothing.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (address, bytes);
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 4).expect("a layout")
    }

    #[test]
    fn a_freed_block_serves_the_next_request_of_its_size() {
        let cache = BlockCache::new();
        // SAFETY: blocks are used within their size and freed once, with their layout.
        unsafe {
            let first = cache.alloc(layout(2 * MIB));
            first.write_bytes(7, 2 * MIB);
            cache.dealloc(first, layout(2 * MIB));
            assert_eq!(cache.kept_bytes(), 2 * MIB);
            let second = cache.alloc_zeroed(layout(2 * MIB - 100));
            assert_eq!(first, second);
            assert!((0..2 * MIB - 100).all(|i| *second.add(i) == 0));
            let moved = cache.realloc(second, layout(2 * MIB - 100), 3 * MIB);
            assert!((0..2 * MIB - 100).all(|i| *moved.add(i) == 0));
            let small = cache.realloc(moved, layout(3 * MIB), 10);
            cache.dealloc(small, layout(10));
            cache.release();
            assert_eq!(cache.kept_bytes(), 0);
        }
    }

    #[test]
    fn fresh_zeros_are_zeros_and_too_much_is_no_block() {
        let cache = BlockCache::new();
        // SAFETY: blocks are used within their size and freed once, with their layout.
        unsafe {
            let zeros = cache.alloc_zeroed(layout(3 * MIB + 5));
            assert!((0..3 * MIB + 5).all(|i| *zeros.add(i) == 0));
            assert!((zeros as usize).is_multiple_of(ALIGN));
            cache.dealloc(zeros, layout(3 * MIB + 5));
            assert!(cache.alloc_zeroed(layout(isize::MAX as usize / 2)).is_null());
            cache.release();
            assert_eq!(cache.kept_bytes(), 0);
        }
    }

    #[test]
    fn a_larger_block_serves_a_smaller_request_within_the_peak() {
        let cache = BlockCache::new();
        // SAFETY: blocks are used within their size and freed once, with their layout.
        unsafe {
            let pair = [(); 2].map(|()| cache.alloc(layout(8 * MIB)));
            for block in pair {
                cache.dealloc(block, layout(8 * MIB));
            }
            let small = cache.alloc(layout(3 * MIB));
            assert!(pair.contains(&small));
            assert_eq!(cache.kept_bytes(), 8 * MIB);
            // With both at work there is no room for a third within the peak of 16 MiB.
            let whole = cache.alloc(layout(8 * MIB));
            assert!(pair.contains(&whole) && whole != small);
            cache.dealloc(small, layout(3 * MIB));
            assert_eq!(cache.kept_bytes(), 8 * MIB);
            let again = cache.alloc(layout(8 * MIB));
            assert_eq!(again, small);
            for block in [whole, again] {
                cache.dealloc(block, layout(8 * MIB));
            }
            cache.release();
            assert_eq!(cache.kept_bytes(), 0);
        }
    }

    #[test]
    fn a_resting_cache_keeps_nothing() {
        let cache = BlockCache::new();
        // SAFETY: blocks are used within their size and freed once, with their layout.
        unsafe {
            let blocks = [(); 3].map(|()| cache.alloc(layout(2 * MIB)));
            cache.dealloc(blocks[0], layout(2 * MIB));
            cache.rest();
            assert_eq!(cache.kept_bytes(), 0);
            cache.dealloc(blocks[1], layout(2 * MIB));
            assert_eq!(cache.kept_bytes(), 0);
            cache.work();
            cache.dealloc(blocks[2], layout(2 * MIB));
            assert_eq!(cache.kept_bytes(), 2 * MIB);
            cache.release();
        }
    }

    #[test]
    fn kept_blocks_never_raise_the_peak() {
        let cache = BlockCache::new();
        // SAFETY: blocks are used within their size and freed once, with their layout.
        unsafe {
            for mib in 1..40 {
                let block = cache.alloc(layout(mib * MIB));
                cache.dealloc(block, layout(mib * MIB));
                assert!(cache.kept_bytes() <= mib * MIB, "kept {} after {mib} MiB", cache.kept_bytes());
            }
            cache.release();
        }
    }
}
