//! What was counted, in a file that other processes may read at any time, or in memory.
//!
//! Ten little-endian u64: copies from host to device and their bytes, copies from device to host and their bytes,
//! copies on the device and their bytes, launches of single kernels, the most bytes that were allocated at once,
//! launches of graphs, and kernels that these ran.
#![expect(unsafe_code, reason = "the counters are mapped memory, and one function leaves the library")]

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::settings::settings;

/// Places of the counters.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    ToDevice = 0,
    ToHost = 2,
    OnDevice = 4,
    Launches = 6,
    PeakBytes = 7,
    GraphLaunches = 8,
    Replayed = 9,
}

type Counters = [AtomicU64; 10];

fn counters() -> &'static Counters {
    static COUNTERS: OnceLock<&'static Counters> = OnceLock::new();
    COUNTERS.get_or_init(|| match settings().counts.as_deref().map(map) {
        Some(Ok(counters)) => counters,
        Some(Err(why)) => {
            eprintln!("[cuda double] EMU_COUNTS: {why}");
            Box::leak(Box::default())
        }
        None => Box::leak(Box::default()),
    })
}

/// Maps the file, made anew.
fn map(path: &str) -> std::io::Result<&'static Counters> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(size_of::<Counters>() as u64)?;
    let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: the file has the length that is mapped; the kernel chooses the place.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Counters>(), access, shared, file.as_raw_fd(), 0) };
    if place == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the mapping is as long as the counters, aligned to a page, and never undone.
    Ok(unsafe { &*place.cast::<Counters>() })
}

/// Counts a copy and its bytes.
pub(crate) fn count_copy(kind: Count, bytes: usize) {
    counters()[kind as usize].fetch_add(1, Ordering::Relaxed);
    counters()[kind as usize + 1].fetch_add(bytes as u64, Ordering::Relaxed);
}

/// Counts a launch.
pub(crate) fn count(kind: Count) {
    counters()[kind as usize].fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn count_peak(bytes: u64) {
    counters()[Count::PeakBytes as usize].fetch_max(bytes, Ordering::Relaxed);
}

/// The counters, for a test in the same process.
#[unsafe(no_mangle)]
extern "C" fn pulmoav_double_counts(at: usize) -> u64 {
    counters().get(at).map_or(0, |counter| counter.load(Ordering::Relaxed))
}
