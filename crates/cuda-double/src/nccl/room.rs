//! A file that the ranks share: who is there, where they stand, and a place for each one's values.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::settings::settings;

pub(super) const MOST_RANKS: usize = 16;
/// Bytes that a rank shows at once.
pub(super) const SLOT_BYTES: usize = 1 << 20;

/// Why the ranks cannot meet.
#[derive(Debug)]
pub(super) struct Gone(pub(super) String);

/// The start of the file; zeros at first. The slots follow, from the next page on.
#[repr(C)]
struct Board {
    ranks: AtomicU32,
    /// Processes of the ranks; 0 before they join.
    processes: [AtomicU32; MOST_RANKS],
    /// 1 once a rank has left as it should.
    left: [AtomicU32; MOST_RANKS],
    aborted: AtomicU32,
    arrived: AtomicU32,
    /// Rises with each meeting.
    meetings: AtomicU32,
}

const SLOTS: usize = 4096;

pub(super) struct Room {
    map: *mut Board,
    bytes: usize,
    ranks: usize,
    path: PathBuf,
}

// SAFETY: what several threads touch is atomic, or a slot that only its rank writes, between meetings.
unsafe impl Send for Room {}
// SAFETY: as above.
unsafe impl Sync for Room {}

/// A name for a room, which the first rank to come opens: a path, and zeros.
pub(super) fn name() -> std::io::Result<[u8; 128]> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = if PathBuf::from("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = folder.join(format!("pulmoav-nccl-{process}-{count}"));
    File::create(&path)?.set_len((SLOTS + MOST_RANKS * SLOT_BYTES) as u64)?;
    let text = path.to_string_lossy().into_owned();
    let mut name = [0; 128];
    let place = name.get_mut(..text.len()).ok_or(std::io::ErrorKind::InvalidInput)?;
    place.copy_from_slice(text.as_bytes());
    Ok(name)
}

impl Room {
    /// Comes in as a rank, and waits until all are there.
    pub(super) fn join(name: &[u8; 128], ranks: usize, rank: usize) -> Result<Room, Gone> {
        let text = String::from_utf8_lossy(name);
        let path = PathBuf::from(text.trim_end_matches('\0'));
        let bytes = SLOTS + MOST_RANKS * SLOT_BYTES;
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|why| Gone(format!("{}: {why}", path.display())))?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: `name` gave the file this length; the kernel chooses the place.
        let map = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if map == libc::MAP_FAILED {
            return Err(Gone(format!("{}: {}", path.display(), std::io::Error::last_os_error())));
        }
        let room = Room { map: map.cast::<Board>(), bytes, ranks, path };
        let board = room.board();
        let before = board.ranks.swap(ranks as u32, Ordering::SeqCst);
        if before != 0 && before as usize != ranks {
            return Err(Gone(format!("it is told of {ranks} ranks, another one of {before}")));
        }
        let process = std::process::id();
        if board.processes[rank].compare_exchange(0, process, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return Err(Gone("there is such a rank already".to_owned()));
        }
        if board.processes.iter().filter(|other| other.load(Ordering::SeqCst) == process).count() > 1 {
            return Err(Gone("two ranks in one process".to_owned()));
        }
        room.meet()?;
        Ok(room)
    }

    pub(super) fn ranks(&self) -> usize {
        self.ranks
    }

    fn board(&self) -> &Board {
        // SAFETY: the mapping starts with a board of atomics and is longer than it; it lives as long as the room.
        unsafe { &*self.map }
    }

    fn slot(&self, rank: usize) -> *mut u8 {
        self.map.cast::<u8>().wrapping_add(SLOTS + rank * SLOT_BYTES)
    }

    /// Puts a rank's own values where all see them; at most `SLOT_BYTES`.
    pub(super) fn show(&self, rank: usize, bytes: &[u8]) {
        let count = bytes.len().min(SLOT_BYTES);
        // SAFETY: the slot has the room, and between two meetings only its rank writes it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.slot(rank), count) };
    }

    /// What a rank shows; not written before the next meeting.
    pub(super) fn shown(&self, rank: usize, bytes: usize) -> &[u8] {
        // SAFETY: the slot has the room, and nobody writes it until the reader comes to the next meeting.
        unsafe { std::slice::from_raw_parts(self.slot(rank), bytes.min(SLOT_BYTES)) }
    }

    /// Waits until every rank has come here; an error where one never will.
    pub(super) fn meet(&self) -> Result<(), Gone> {
        let board = self.board();
        let meeting = board.meetings.load(Ordering::SeqCst);
        if board.arrived.fetch_add(1, Ordering::SeqCst) + 1 == self.ranks as u32 {
            board.arrived.store(0, Ordering::SeqCst);
            board.meetings.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        let start = Instant::now();
        let mut looked = start;
        while board.meetings.load(Ordering::SeqCst) == meeting {
            if looked.elapsed() > Duration::from_millis(50) {
                looked = Instant::now();
                self.look_around(meeting)?;
                if start.elapsed().as_secs() >= settings().nccl_seconds {
                    return Err(Gone(format!("the others did not come within {} s", settings().nccl_seconds)));
                }
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }

    /// An error where the communicator was aborted, or a rank has left or died before this meeting.
    fn look_around(&self, meeting: u32) -> Result<(), Gone> {
        let board = self.board();
        let gone = if board.aborted.load(Ordering::SeqCst) != 0 {
            Some("the communicator was aborted".to_owned())
        } else {
            (0..self.ranks).find_map(|rank| {
                let process = board.processes[rank].load(Ordering::SeqCst);
                let has_left = board.left[rank].load(Ordering::SeqCst) != 0;
                (process != 0 && (has_left || !is_alive(process))).then(|| format!("rank {rank} is gone"))
            })
        };
        // Whoever has gone may have come to the meeting first.
        match gone {
            Some(why) if board.meetings.load(Ordering::SeqCst) == meeting => Err(Gone(why)),
            _ => Ok(()),
        }
    }

    pub(super) fn leave(&self, rank: usize) {
        self.board().left[rank].store(1, Ordering::SeqCst);
    }

    pub(super) fn abort(&self) {
        self.board().aborted.store(1, Ordering::SeqCst);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // the last one finds nothing any more
        // SAFETY: the mapping is this room's own, and nothing of it outlives the room.
        unsafe { libc::munmap(self.map.cast(), self.bytes) };
    }
}

/// Writes another process down as a rank, as if it had come in.
#[cfg(test)]
pub(super) fn pretend(name: &[u8; 128], rank: usize, process: u32) {
    use std::os::unix::fs::FileExt;
    let path = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    let file = OpenOptions::new().write(true).open(path).expect("the room is there");
    let place = std::mem::offset_of!(Board, processes) + rank * 4;
    file.write_all_at(&process.to_le_bytes(), place as u64).expect("it can be written");
}

/// Whether a process runs; one that ended and was not yet fetched by its parent does not.
fn is_alive(process: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(line) => !line.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
        Err(_) => false,
    }
}
