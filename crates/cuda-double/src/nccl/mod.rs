//! libnccl.so.2 between processes of one machine, each on a double of its own: collectives over a shared file. Sums are
//! taken in the order of the ranks, in f32, so that every rank gets the same bits.
#![expect(unsafe_code, reason = "a C interface on memory of the device")]

mod room;

use std::collections::HashMap;
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use half::{bf16, f16};

use crate::driver::{Answer, Code, Out, State, api, put, refuse, state};
use room::{Gone, Room};

/// A communicator of this process.
struct Member {
    room: Room,
    rank: usize,
    /// Set once the others cannot be reached any more.
    is_broken: AtomicU32,
}

fn members() -> MutexGuard<'static, HashMap<u64, Arc<Member>>> {
    static MEMBERS: OnceLock<Mutex<HashMap<u64, Arc<Member>>>> = OnceLock::new();
    MEMBERS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn member(handle: u64) -> Result<Arc<Member>, Code> {
    members().get(&handle).map(Arc::clone).ok_or(Code::InvalidValue)
}

/// Element types, as `ncclDataType_t` numbers them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    I32,
    U32,
    F16,
    F32,
    F64,
    Bf16,
}

impl Element {
    fn of(number: i32) -> Result<Element, Code> {
        Ok(match number {
            2 => Element::I32,
            3 => Element::U32,
            6 => Element::F16,
            7 => Element::F32,
            8 => Element::F64,
            9 => Element::Bf16,
            _ => return refuse(Code::NotSupported, format_args!("NCCL: values of type {number}")),
        })
    }

    /// Whether sums of them are taken in f32.
    fn is_single(self) -> bool {
        matches!(self, Element::F16 | Element::Bf16 | Element::F32)
    }

    fn bytes(self) -> usize {
        match self {
            Element::F16 | Element::Bf16 => 2,
            Element::F64 => 8,
            _ => 4,
        }
    }

    fn read(self, bytes: &[u8]) -> f64 {
        let four = || [bytes[0], bytes[1], bytes[2], bytes[3]];
        let two = || [bytes[0], bytes[1]];
        match self {
            Element::I32 => i32::from_le_bytes(four()).into(),
            Element::U32 => u32::from_le_bytes(four()).into(),
            Element::F16 => f16::from_le_bytes(two()).into(),
            Element::Bf16 => bf16::from_le_bytes(two()).into(),
            Element::F32 => f32::from_le_bytes(four()).into(),
            Element::F64 => f64::from_le_bytes(std::array::from_fn(|at| bytes[at])),
        }
    }

    fn write(self, value: f64, to: &mut [u8]) {
        match self {
            Element::I32 => to.copy_from_slice(&(value as i32).to_le_bytes()),
            Element::U32 => to.copy_from_slice(&(value as u32).to_le_bytes()),
            Element::F16 => to.copy_from_slice(&f16::from_f64(value).to_le_bytes()),
            Element::Bf16 => to.copy_from_slice(&bf16::from_f64(value).to_le_bytes()),
            Element::F32 => to.copy_from_slice(&(value as f32).to_le_bytes()),
            Element::F64 => to.copy_from_slice(&value.to_le_bytes()),
        }
    }
}

/// What becomes of the ranks' values; `ncclRedOp_t` numbers them.
#[derive(Clone, Copy)]
enum Reduction {
    Sum,
    Maximum,
    Minimum,
    Mean,
}

impl Reduction {
    fn of(number: i32) -> Result<Reduction, Code> {
        Ok(match number {
            0 => Reduction::Sum,
            2 => Reduction::Maximum,
            3 => Reduction::Minimum,
            4 => Reduction::Mean,
            _ => return refuse(Code::NotSupported, format_args!("NCCL: reduction {number}")),
        })
    }

    fn of_values(self, values: impl ExactSizeIterator<Item = f64>, is_exact: bool) -> f64 {
        let count = values.len() as f64;
        let join = |a: f64, b: f64| match self {
            Reduction::Maximum => a.max(b),
            Reduction::Minimum => a.min(b),
            _ if is_exact => a + b,
            _ => f64::from((a + b) as f32),
        };
        let joined = values.reduce(join).unwrap_or(0.0);
        if matches!(self, Reduction::Mean) { joined / count } else { joined }
    }
}

#[derive(Clone, Copy)]
enum Collective {
    Reduce(Reduction),
    /// Everybody gets this rank's values.
    Broadcast(usize),
}

/// Where a collective's values come from and go to.
#[derive(Clone, Copy)]
struct Buffers {
    from: u64,
    to: u64,
    count: usize,
    element: Element,
}

impl Member {
    /// Piece by piece: each rank shows its values, takes everybody's, and waits until everybody has.
    fn run(&self, collective: Collective, buffers: Buffers) -> Result<(), Gone> {
        let (each, element) = (buffers.element.bytes(), buffers.element);
        let most = room::SLOT_BYTES / each;
        for first in (0..buffers.count).step_by(most) {
            let count = most.min(buffers.count - first);
            let bytes = count * each;
            let gives = !matches!(collective, Collective::Broadcast(root) if root != self.rank);
            if gives {
                self.room.show(self.rank, bytes_at(buffers.from + (first * each) as u64, bytes));
            }
            self.room.meet()?;
            let mut result = vec![0; bytes];
            match collective {
                Collective::Broadcast(root) => result.copy_from_slice(self.room.shown(root, bytes)),
                Collective::Reduce(reduction) => {
                    let shown: Vec<_> = (0..self.room.ranks()).map(|rank| self.room.shown(rank, bytes)).collect();
                    for (at, to) in result.chunks_mut(each).enumerate() {
                        let values = shown.iter().map(|shown| element.read(&shown[at * each..]));
                        element.write(reduction.of_values(values, !element.is_single()), to);
                    }
                }
            }
            let to = (buffers.to + (first * each) as u64) as *mut u8;
            // SAFETY: `enqueue` found the buffer in an allocation.
            unsafe { std::ptr::copy_nonoverlapping(result.as_ptr(), to, bytes) };
            self.room.meet()?;
        }
        Ok(())
    }
}

fn bytes_at<'a>(place: u64, bytes: usize) -> &'a [u8] {
    // SAFETY: `enqueue` found the buffer in an allocation, which stays as it is while the double's lock is held.
    unsafe { std::slice::from_raw_parts(place as *const u8, bytes) }
}

fn enqueue(handle: u64, collective: Collective, buffers: Buffers, stream: u64) -> Answer {
    let member = member(handle)?;
    let working = Arc::clone(&member);
    put(&mut state(), stream, move |state: &mut State| {
        let bytes = buffers.count * buffers.element.bytes();
        let holds = |place: u64| state.memory.iter().any(|memory| memory.holds(place, bytes));
        if bytes == 0 {
            return Ok(());
        }
        if !holds(buffers.from) || !holds(buffers.to) {
            return refuse(Code::IllegalAddress, format_args!("NCCL: {bytes} bytes outside of an allocation"));
        }
        if working.is_broken.load(Ordering::Relaxed) == 0
            && let Err(Gone(why)) = working.run(collective, buffers)
        {
            eprintln!("[cuda double] NCCL, rank {}: {why}", working.rank);
            working.is_broken.store(1, Ordering::Relaxed);
        }
        Ok(()) // the device itself is well: its memory can still be read
    })?;
    broken(&member)
}

fn broken(member: &Member) -> Answer {
    if member.is_broken.load(Ordering::Relaxed) == 0 { Ok(()) } else { Err(Code::Unknown) }
}

/// `ncclUniqueId`: the name of the shared file.
#[repr(C)]
#[derive(Clone, Copy)]
struct UniqueId([u8; 128]);

fn words(number: i32) -> &'static CStr {
    match number {
        0 => c"no error",
        2 => c"unhandled system error",
        4 => c"invalid argument",
        5 => c"invalid usage",
        6 => c"remote process exited or there was a network error",
        _ => c"internal error",
    }
}

#[unsafe(no_mangle)]
extern "C" fn ncclGetErrorString(number: i32) -> *const c_char {
    words(number).as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn ncclGetLastError(_member: u64) -> *const c_char {
    c"see standard error".as_ptr()
}

api! {
    fn ncclGetVersion(version: Out<i32>) { version.set(22809) }
    fn ncclGetUniqueId(id: Out<UniqueId>) { id.set(UniqueId(room::name().or(Err(Code::NotFound))?)) }
    fn ncclCommInitRank(handle: Out<u64>, ranks: i32, id: UniqueId, rank: i32) {
        let (ranks, rank) = (usize::try_from(ranks).unwrap_or(0), usize::try_from(rank).unwrap_or(usize::MAX));
        if rank >= ranks || ranks > room::MOST_RANKS {
            return refuse(Code::InvalidValue, format_args!("NCCL: rank {rank} of {ranks}"));
        }
        let room = match Room::join(&id.0, ranks, rank) {
            Ok(room) => room,
            Err(Gone(why)) => return refuse(Code::Unknown, format_args!("NCCL, rank {rank}: {why}")),
        };
        let new = state().handle();
        members().insert(new, Arc::new(Member { room, rank, is_broken: AtomicU32::new(0) }));
        handle.set(new)
    }
    fn ncclCommCount(handle: u64, count: Out<i32>) { count.set(member(handle)?.room.ranks() as i32) }
    fn ncclCommUserRank(handle: u64, rank: Out<i32>) { rank.set(member(handle)?.rank as i32) }
    fn ncclCommGetAsyncError(handle: u64, error: Out<i32>) {
        error.set(if broken(&*member(handle)?).is_ok() { 0 } else { 6 })
    }
    fn ncclCommFinalize(handle: u64) { member(handle).map(|_| ()) }
    fn ncclCommDestroy(handle: u64) {
        let member = members().remove(&handle).ok_or(Code::InvalidValue)?;
        member.room.leave(member.rank);
        Ok(())
    }
    fn ncclCommAbort(handle: u64) {
        let member = members().remove(&handle).ok_or(Code::InvalidValue)?;
        member.room.abort();
        Ok(())
    }
    fn ncclGroupStart() { Ok(()) }
    fn ncclGroupEnd() { Ok(()) }
    fn ncclAllReduce(from: u64, to: u64, count: usize, kind: i32, reduction: i32, handle: u64, stream: u64) {
        let buffers = Buffers { from, to, count, element: Element::of(kind)? };
        enqueue(handle, Collective::Reduce(Reduction::of(reduction)?), buffers, stream)
    }
    fn ncclBroadcast(from: u64, to: u64, count: usize, kind: i32, root: i32, handle: u64, stream: u64) {
        let buffers = Buffers { from, to, count, element: Element::of(kind)? };
        enqueue(handle, Collective::Broadcast(root as usize), buffers, stream)
    }
    fn ncclBcast(buffer: u64, count: usize, kind: i32, root: i32, handle: u64, stream: u64) {
        let buffers = Buffers { from: buffer, to: buffer, count, element: Element::of(kind)? };
        enqueue(handle, Collective::Broadcast(root as usize), buffers, stream)
    }
}

#[cfg(test)]
mod tests;
