//! A block's memory: what it may touch, and who touched its shared memory since the last barrier.

use super::fault::Fault;
use super::kernel::Kernel;
use super::names::{LOCAL, PARAMETERS, SHARED};
use super::run::Warp;
use super::value::WARP;

/// Memory that lies in no allocation but is a kernel's to use, and what a launch gives.
pub(crate) struct Launch<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) parameters: &'a [u8],
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    /// Bytes of shared memory beyond those that the kernel declares.
    pub(crate) dynamic_bytes: usize,
    /// Start and end of each allocation, in order.
    pub(crate) allocations: &'a [(u64, u64)],
    pub(crate) order: Order,
    pub(crate) copies: Copies,
}

/// Which of the warps, and of the blocks, that can go on goes first. A right kernel gives the same bits in both orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    First,
    Last,
}

/// When `cp.async` copies: late shows buffers that are overwritten too early, early shows waits that are missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Copies {
    Late,
    Early,
}

/// A state space, as instructions name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Space {
    Generic,
    Global,
    Shared,
    Local,
    Parameter,
}

/// An access: by which lane of which warp, and whether it writes. `Atomic` may meet its own kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Read,
    Write,
    Atomic,
}

/// Who wrote and who read four bytes of shared memory in an epoch: warps, `NOBODY`, or `MANY`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    epoch: u32,
    writer: u8,
    reader: u8,
}
const NOBODY: u8 = u8::MAX;
const MANY: u8 = u8::MAX - 1;

/// What one block has at hand.
pub(crate) struct Block<'a> {
    pub(crate) launch: &'a Launch<'a>,
    pub(crate) index: [u32; 3],
    /// In words, so that it is aligned as any access needs.
    shared: Vec<u128>,
    pub(crate) shared_bytes: usize,
    seen: Vec<Seen>,
    /// For each four bytes of shared memory the warp that wrote them and has not published them for `wgmma`, or `NOBODY`;
    /// empty where the kernel has none.
    unpublished: Vec<u8>,
    /// Rises with each barrier of the whole block.
    epoch: u32,
    /// Races are looked for; not where parts of a block meet at barriers of their own.
    watches: bool,
    /// For each instruction the allocation that it touched last.
    hints: Vec<(u64, u64)>,
    /// Shared memory of `ldmatrix` that several rows wanted from one bank at once.
    pub(crate) bank_conflicts: u64,
}

impl<'a> Block<'a> {
    pub(crate) fn new(launch: &'a Launch<'a>) -> Self {
        let shared_bytes = launch.kernel.shared_bytes + launch.dynamic_bytes;
        let is_whole =
            |action: &super::kernel::Action| !matches!(action, super::kernel::Action::Barrier { threads: Some(_), .. });
        Block {
            launch,
            index: [0; 3],
            shared: vec![u128::MAX; shared_bytes.div_ceil(16) + 1],
            shared_bytes,
            seen: vec![Seen { epoch: 0, writer: NOBODY, reader: NOBODY }; shared_bytes / 4 + 4],
            unpublished: vec![NOBODY; if launch.kernel.has_groups { shared_bytes / 4 + 4 } else { 0 }],
            epoch: 0,
            watches: launch.kernel.body.iter().all(|instruction| is_whole(&instruction.action)),
            hints: vec![(0, 0); launch.kernel.body.len()],
            bank_conflicts: 0,
        }
    }

    /// Starts another block: its shared memory holds NaN.
    pub(crate) fn start(&mut self, index: [u32; 3]) {
        self.index = index;
        self.shared.fill(u128::MAX);
        self.unpublished.fill(NOBODY);
        self.meet();
    }

    /// What the warp has written to shared memory so far may be read by `wgmma`.
    pub(crate) fn publish(&mut self, warp: u8) {
        for writer in &mut self.unpublished {
            if *writer == warp {
                *writer = NOBODY;
            }
        }
    }

    /// Whether `wgmma` may read so many bytes of shared memory.
    pub(crate) fn check_published(&self, offset: usize, bytes: usize) -> Result<(), Fault> {
        let words = self.unpublished.get(offset / 4..(offset + bytes).div_ceil(4)).unwrap_or_default();
        match words.iter().find(|writer| **writer != NOBODY) {
            Some(writer) => Err(Fault::new(format!(
                "wgmma reads shared byte {offset}, which warp {writer} wrote without a fence.proxy.async since"
            ))),
            None => Ok(()),
        }
    }

    fn note_written(&mut self, words: std::ops::Range<usize>, warp: u8) {
        if let Some(writers) = self.unpublished.get_mut(words) {
            writers.fill(warp);
        }
    }

    /// A barrier of the whole block: what was written before it may be read behind it.
    pub(crate) fn meet(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Where each lane of a mask finds its `bytes`, a power of two; the other lanes have the place of the first.
    #[inline]
    pub(crate) fn places(
        &mut self,
        warp: &mut Warp,
        kind: (Space, Access),
        (addresses, mask): (&[u64; WARP], u32),
        bytes: usize,
        instruction: usize,
    ) -> Result<[*mut u8; WARP], Fault> {
        let first = addresses[mask.trailing_zeros() as usize];
        let all: [u64; WARP] = std::array::from_fn(|lane| if mask >> lane & 1 == 1 { addresses[lane] } else { first });
        let (low, high) = all.iter().fold((first, first), |(low, high), at| (low.min(*at), high.max(*at)));
        let bits = all.iter().fold(0, |bits, at| bits | at);
        let is_aligned = bits & (bytes as u64 - 1) == 0;
        match kind.0 {
            Space::Global | Space::Generic if is_aligned && high < PARAMETERS => {
                let (start, end) = self.hints[instruction];
                if low >= start && high + bytes as u64 <= end {
                    return Ok(all.map(|address| address as *mut u8));
                }
            }
            Space::Shared if is_aligned && low < SHARED && high as usize + bytes <= self.shared_bytes => {
                let lanes = if low == high { 1 } else { WARP };
                self.watch_all(&all[..lanes], bytes, warp.number, kind.1)?;
                let base = self.shared.as_mut_ptr().cast::<u8>();
                return Ok(all.map(|offset| base.wrapping_add(offset as usize)));
            }
            _ => {}
        }
        let mut places = [std::ptr::null_mut(); WARP];
        for lane in (0..WARP).filter(|lane| mask >> lane & 1 == 1) {
            places[lane] = self.place(warp, kind, addresses[lane], bytes, (lane, instruction))?;
        }
        let first = places[mask.trailing_zeros() as usize];
        Ok(std::array::from_fn(|lane| if mask >> lane & 1 == 1 { places[lane] } else { first }))
    }

    /// Notes accesses of a warp to shared memory that lie inside it.
    #[inline]
    fn watch_all(&mut self, offsets: &[u64], bytes: usize, warp: u8, access: Access) -> Result<(), Fault> {
        if access != Access::Read && !self.unpublished.is_empty() {
            for offset in offsets {
                let first = *offset as usize / 4;
                self.note_written(first..first + bytes.div_ceil(4), warp);
            }
        }
        if !self.watches || access == Access::Atomic {
            return Ok(());
        }
        // What most words are found to be already, so that nothing is to be done.
        let usual = match access {
            Access::Write => Seen { epoch: self.epoch, writer: warp, reader: NOBODY },
            _ => Seen { epoch: self.epoch, writer: NOBODY, reader: warp },
        };
        for offset in offsets {
            let first = *offset as usize / 4;
            for word in first..first + bytes.div_ceil(4) {
                if self.seen[word] != usual {
                    self.watch(word, warp, access)?;
                }
            }
        }
        Ok(())
    }

    /// Where `bytes` at an address of a space lie, if the thread may touch them.
    pub(crate) fn place(
        &mut self,
        warp: &mut Warp,
        (space, access): (Space, Access),
        address: u64,
        bytes: usize,
        (lane, instruction): (usize, usize),
    ) -> Result<*mut u8, Fault> {
        if address & (bytes as u64 - 1) != 0 {
            return Err(Fault::new(format!("address {address:x} is not a multiple of {bytes}")));
        }
        match space {
            Space::Shared => self.in_shared(address & (SHARED - 1), bytes, warp.number, access),
            Space::Local => local(warp, address & !LOCAL, bytes, lane),
            Space::Parameter => self.parameter(address & !PARAMETERS, bytes),
            Space::Generic if address >= SHARED => self.in_shared(address - SHARED, bytes, warp.number, access),
            Space::Generic if address >= LOCAL => local(warp, address - LOCAL, bytes, lane),
            Space::Generic if address >= PARAMETERS => self.parameter(address - PARAMETERS, bytes),
            Space::Global | Space::Generic => self.global(address, bytes, instruction),
        }
    }

    #[inline]
    fn global(&mut self, address: u64, bytes: usize, instruction: usize) -> Result<*mut u8, Fault> {
        let (start, end) = self.hints[instruction];
        if address < start || address + bytes as u64 > end {
            self.hints[instruction] = self.allocation(address, bytes)?;
        }
        Ok(address as *mut u8)
    }

    fn allocation(&self, address: u64, bytes: usize) -> Result<(u64, u64), Fault> {
        let list = self.launch.allocations;
        let behind = list.partition_point(|(start, _)| *start <= address);
        match behind.checked_sub(1).map(|at| list[at]) {
            Some((start, end)) if address + bytes as u64 <= end => Ok((start, end)),
            _ => Err(Fault::new(format!("global address {address:x} ({bytes} bytes) is outside of every allocation"))),
        }
    }

    fn parameter(&self, offset: u64, bytes: usize) -> Result<*mut u8, Fault> {
        if offset as usize + bytes > self.launch.parameters.len() {
            return Err(Fault::new(format!("parameter bytes {offset} to {}", offset as usize + bytes)));
        }
        Ok(self.launch.parameters[offset as usize..].as_ptr().cast_mut())
    }

    #[inline]
    fn in_shared(&mut self, offset: u64, bytes: usize, warp: u8, access: Access) -> Result<*mut u8, Fault> {
        let at = offset as usize;
        if at >= self.shared_bytes || at + bytes > self.shared_bytes {
            return Err(Fault::new(format!("shared bytes {offset} to {} of {}", at + bytes, self.shared_bytes)));
        }
        if access != Access::Read {
            self.note_written(at / 4..(at + bytes).div_ceil(4), warp);
        }
        if self.watches && access != Access::Atomic {
            for word in at / 4..(at + bytes).div_ceil(4) {
                self.watch(word, warp, access)?;
            }
        }
        // SAFETY: `shared` has at least `shared_bytes` bytes, and `at` is less.
        #[allow(unsafe_code)]
        Ok(unsafe { self.shared.as_mut_ptr().cast::<u8>().add(at) })
    }

    /// Two warps may not touch four bytes between two barriers, unless both read.
    #[inline]
    fn watch(&mut self, word: usize, warp: u8, access: Access) -> Result<(), Fault> {
        let seen = &mut self.seen[word];
        if seen.epoch != self.epoch {
            *seen = Seen { epoch: self.epoch, writer: NOBODY, reader: NOBODY };
        }
        if seen.writer != NOBODY && seen.writer != warp {
            return Err(race(word, (seen.writer, "wrote"), warp, access));
        }
        if access == Access::Write {
            if seen.reader != NOBODY && seen.reader != warp {
                return Err(race(word, (seen.reader, "read"), warp, access));
            }
            seen.writer = warp;
        } else if seen.reader == NOBODY {
            seen.reader = warp;
        } else if seen.reader != warp {
            seen.reader = MANY;
        }
        Ok(())
    }
}

#[cold]
fn race(word: usize, (other, did): (u8, &str), warp: u8, access: Access) -> Fault {
    let does = if access == Access::Write { "writes" } else { "reads" };
    let other = if other == MANY { "others".to_owned() } else { format!("warp {other}") };
    Fault::new(format!(
        "race on shared byte {}: {other} {did} it since the last barrier, warp {warp} {does} it",
        word * 4
    ))
}

fn local(warp: &mut Warp, offset: u64, bytes: usize, lane: usize) -> Result<*mut u8, Fault> {
    let each = warp.local.len() * 16 / super::value::WARP;
    if offset as usize + bytes > each {
        return Err(Fault::new(format!("local bytes {offset} to {} of {each}", offset as usize + bytes)));
    }
    let at = lane * each + offset as usize;
    // SAFETY: a warp has `each` bytes a lane, and the offset lies in its own.
    #[allow(unsafe_code)]
    Ok(unsafe { warp.local.as_mut_ptr().cast::<u8>().add(at) })
}
