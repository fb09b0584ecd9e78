//! Loads, stores and copies.

use super::block::{Access, Block, Copies, Space};
use super::decode::Decoded;
use super::kernel::{Action, Outcome, Touching};
use super::names::Names;
use super::run::Warp;
use super::source::Statement;
use super::value::{ALL, Bank, Cell, Register, Type, WARP};

/// An address operand: base register and offset.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    base: Register,
    offset: i64,
}

impl Address {
    pub(crate) fn decode(names: &mut Names, text: &str) -> Result<Address, String> {
        let (base, offset) = names.address(text)?;
        Ok(Address { base, offset })
    }

    /// The address of each lane.
    #[inline]
    pub(crate) fn of(self, warp: &Warp) -> [u64; WARP] {
        let offset = self.offset as u64;
        match self.base.bank {
            Bank::Long => warp.registers.longs[self.base.index].map(|base| base.wrapping_add(offset)),
            _ => warp.registers.words[self.base.index].map(|base| u64::from(base.wrapping_add(offset as u32))),
        }
    }
}

/// The state space that an opcode names.
pub(crate) fn space(statement: &Statement) -> Space {
    let words = &statement.words;
    let is = |space: &str| words.iter().any(|word| word.split("::").next() == Some(space));
    match () {
        () if is("shared") => Space::Shared,
        () if is("global") || is("const") => Space::Global,
        () if is("local") => Space::Local,
        () if is("param") => Space::Parameter,
        () => Space::Generic,
    }
}

/// `bytes` (1 to 8) from a place that was checked, extended with zeros.
#[inline(always)]
pub(crate) fn get(place: *const u8, bytes: usize) -> u64 {
    match bytes {
        1 => read::<1>(place),
        2 => read::<2>(place),
        4 => read::<4>(place),
        8 => read::<8>(place),
        _ => (0..bytes).fold(0, |all, at| all | read::<1>(place.wrapping_add(at)) << (at * 8)),
    }
}

#[inline(always)]
fn read<const N: usize>(place: *const u8) -> u64 {
    // SAFETY: the block gave the place for at least `N` bytes.
    #[allow(unsafe_code)]
    let bytes = unsafe { place.cast::<[u8; N]>().read() };
    let mut value = [0; 8];
    value[..N].copy_from_slice(&bytes);
    u64::from_le_bytes(value)
}

/// Puts the lowest `bytes` (1, 2, 4 or 8) of a value at a place that was checked.
#[inline(always)]
pub(crate) fn put(place: *mut u8, bytes: usize, value: u64) {
    match bytes {
        1 => write(place, value as u8),
        2 => write(place, value as u16),
        4 => write(place, value as u32),
        _ => write(place, value),
    }
}

#[inline(always)]
fn write<T>(place: *mut u8, value: T) {
    // SAFETY: the block gave the place for at least as many bytes as a `T` has.
    #[allow(unsafe_code)]
    unsafe {
        place.cast::<T>().write_unaligned(value);
    }
}

/// `ld` and `st`, of one value or a vector.
pub(crate) fn load_or_store(statement: &Statement, names: &mut Names, instruction: usize) -> Decoded {
    let kind = statement.types().last().copied().ok_or("no type")?;
    let is_load = statement.opcode.starts_with("ld");
    let (value, address) = if is_load { (0, 1) } else { (1, 0) };
    let place = space(statement);
    let address = statement.argument(address)?;
    if place == Space::Parameter && !is_load {
        return Ok(Action::Nothing); // arguments of a call; the call itself is decoded or refused
    }
    let address = Address::decode(names, address)?;
    let registers = Names::list(statement.argument(value)?)
        .into_iter()
        .map(|text| if is_load { names.any_target(text, kind.bank()) } else { names.any_source(text, kind.bank()) })
        .collect::<Result<Vec<_>, _>>()?;
    let access = if is_load { Access::Read } else { Access::Write };
    let bytes = kind.bytes() * registers.len();
    Ok(Action::Touching(Box::new(move |warp, block, mask| {
        let addresses = address.of(warp);
        let places = block.places(warp, (place, access), (&addresses, mask), bytes, instruction)?;
        for (at, register) in registers.iter().enumerate() {
            let places = places.map(|place| place.wrapping_add(at * kind.bytes()));
            match (is_load, register.bank) {
                (true, Bank::Word) => load::<u32>(warp, *register, mask, &places, kind),
                (true, _) => load::<u64>(warp, *register, mask, &places, kind),
                (false, Bank::Word) => store::<u32>(warp, *register, mask, &places, kind),
                (false, _) => store::<u64>(warp, *register, mask, &places, kind),
            }
        }
        Ok(())
    })))
}

/// A cell that goes to and from 64 bits.
trait Wide: Cell {
    fn narrow(wide: u64) -> Self;
    fn wide(self) -> u64;
}
impl Wide for u32 {
    fn narrow(wide: u64) -> u32 {
        wide as u32
    }
    fn wide(self) -> u64 {
        u64::from(self)
    }
}
impl Wide for u64 {
    fn narrow(wide: u64) -> u64 {
        wide
    }
    fn wide(self) -> u64 {
        self
    }
}

#[inline(always)]
fn load<C: Wide>(warp: &mut Warp, register: Register, mask: u32, places: &[*mut u8; WARP], kind: Type) {
    // Every lane has a place, those outside of the mask too.
    let values: [C; WARP] = match (kind.bytes(), kind.is_signed()) {
        (1, false) => places.map(|place| C::narrow(read::<1>(place))),
        (1, true) => places.map(|place| C::narrow(i64::from(read::<1>(place) as i8) as u64)),
        (2, false) => places.map(|place| C::narrow(read::<2>(place))),
        (2, true) => places.map(|place| C::narrow(i64::from(read::<2>(place) as i16) as u64)),
        (4, false) => places.map(|place| C::narrow(read::<4>(place))),
        (4, true) => places.map(|place| C::narrow(i64::from(read::<4>(place) as i32) as u64)),
        _ => places.map(|place| C::narrow(read::<8>(place))),
    };
    C::put(&mut warp.registers, register.index, mask, &values);
}

#[inline(always)]
fn store<C: Wide>(warp: &mut Warp, register: Register, mask: u32, places: &[*mut u8; WARP], kind: Type) {
    let values = &C::bank(&warp.registers)[register.index];
    for lane in (0..WARP).filter(|lane| mask >> lane & 1 == 1) {
        put(places[lane], kind.bytes(), values[lane].wide());
    }
}

/// One `cp.async` of one lane.
#[derive(Clone, Copy)]
struct Copy {
    lane: usize,
    group: u32,
    to: u64,
    from: u64,
    bytes: usize,
    /// Bytes that come from the source; zeros follow.
    take: usize,
}

/// Copies of a warp's lanes that were begun and not yet waited for.
#[derive(Default)]
pub(crate) struct Pending {
    copies: Vec<Copy>,
    /// Groups that each lane has committed.
    committed: [u32; WARP],
}

impl Pending {
    /// A thread that ends takes its copies with it.
    pub(crate) fn forget(&mut self, lanes: u32) {
        self.copies.retain(|copy| lanes >> copy.lane & 1 == 0);
    }
}

/// `cp.async` from global to shared memory, its commits and its waits.
pub(crate) fn copy(statement: &Statement, names: &mut Names, instruction: usize) -> Decoded {
    if statement.has("commit_group") {
        return Ok(touching(|warp, _, mask| {
            (0..WARP).filter(|lane| mask >> lane & 1 == 1).for_each(|lane| warp.pending.committed[lane] += 1);
            Ok(())
        }));
    }
    if statement.has("wait_all") || statement.has("wait_group") {
        let left = if statement.has("wait_all") { "0" } else { statement.argument(0)? };
        let left = super::source::literal(left).ok_or("a count of groups")? as u32;
        let everything = statement.has("wait_all");
        return Ok(touching(move |warp, block, mask| wait(warp, block, mask, (left, everything), instruction)));
    }
    if !statement.has("async") || statement.has("bulk") || statement.has("mbarrier") {
        return Err("this copy".to_owned());
    }
    let (to, from) = (Address::decode(names, statement.argument(0)?)?, Address::decode(names, statement.argument(1)?)?);
    let bytes = super::source::literal(statement.argument(2)?).ok_or("a count of bytes")? as usize;
    if !matches!(bytes, 4 | 8 | 16) {
        return Err(format!("a copy of {bytes} bytes"));
    }
    let take = match statement.arguments.get(3) {
        Some(take) => names.source(take, Bank::Word)?,
        None => names.constant(Bank::Word, bytes as u64).index,
    };
    Ok(touching(move |warp, block, mask| {
        let (to, from) = (to.of(warp), from.of(warp));
        for lane in (0..WARP).filter(|lane| mask >> lane & 1 == 1) {
            let take = (warp.registers.words[take][lane] as usize).min(bytes);
            let group = warp.pending.committed[lane];
            let copy = Copy { lane, group, to: to[lane], from: from[lane], bytes, take };
            match block.launch.copies {
                Copies::Early => copy_now(warp, block, copy, instruction)?,
                Copies::Late => {
                    // It may land from now on until it is waited for: both ends count as writes.
                    let kind = (Space::Shared, Access::Write);
                    block.place(warp, kind, copy.to, bytes, (lane, instruction))?;
                    warp.pending.copies.push(copy);
                }
            }
        }
        Ok(())
    }))
}

fn touching(run: impl Fn(&mut Warp, &mut Block, u32) -> Outcome + Send + Sync + 'static) -> Action {
    let run: Touching = Box::new(run);
    Action::Touching(run)
}

/// Copies of the lanes' groups but the last `left`; where `everything` is waited for, those without a commit too.
fn wait(warp: &mut Warp, block: &mut Block, mask: u32, (left, everything): (u32, bool), instruction: usize) -> Outcome {
    let copies = std::mem::take(&mut warp.pending.copies);
    let is_due = |copy: &Copy| {
        mask >> copy.lane & 1 == 1 && (everything || copy.group + left < warp.pending.committed[copy.lane])
    };
    let (due, rest): (Vec<_>, Vec<_>) = copies.into_iter().partition(is_due);
    warp.pending.copies = rest;
    due.into_iter().try_for_each(|copy| copy_now(warp, block, copy, instruction))
}

fn copy_now(warp: &mut Warp, block: &mut Block, copy: Copy, instruction: usize) -> Outcome {
    let who = (copy.lane, instruction);
    let to = block.place(warp, (Space::Shared, Access::Write), copy.to, copy.bytes, who)?;
    let from = match copy.take {
        0 => std::ptr::null_mut(),
        _ => block.place(warp, (Space::Global, Access::Read), copy.from, copy.bytes, who)?,
    };
    for at in (0..copy.bytes).step_by(4) {
        let count = copy.take.saturating_sub(at).min(4);
        let value = if count == 0 { 0 } else { get(from.wrapping_add(at), count) };
        put(to.wrapping_add(at), 4, value);
    }
    Ok(())
}

/// Whether a mask is the whole warp; instructions with `.aligned` need it.
pub(crate) fn is_whole(warp: &Warp, mask: u32) -> bool {
    mask == ALL && warp.lanes == ALL
}
