//! `atom` and `red`: lanes one after another, the lowest first.

use half::{bf16, f16};

use super::block::{Access, Space};
use super::decode::Decoded;
use super::kernel::Action;
use super::memory::{Address, get, put, space};
use super::names::Names;
use super::source::Statement;
use super::value::{Bank, Cell, Pair, Register, Type, Value, WARP};

/// What comes of the old value and the operand.
type Combine = Box<dyn Fn(u64, u64) -> u64 + Send + Sync>;

pub(crate) fn atomic(statement: &Statement, names: &mut Names, instruction: usize) -> Decoded {
    let kind = statement.types().last().copied().ok_or("no type")?;
    let gives = statement.opcode == "atom";
    let first = usize::from(gives);
    let address = Address::decode(names, statement.argument(first)?)?;
    let operands = Names::list(statement.argument(first + 1)?);
    let operands =
        operands.into_iter().map(|text| names.any_source(text, kind.bank())).collect::<Result<Vec<_>, _>>()?;
    let is_exchange = statement.has("cas");
    let new = match statement.arguments.get(first + 2) {
        Some(text) if is_exchange => Some(names.any_source(text, kind.bank())?),
        Some(_) => return Err("a cache policy".to_owned()),
        None => None,
    };
    if operands.len() > 1 && gives {
        return Err("an atomic vector that gives its old values".to_owned());
    }
    let to = if gives { Some(names.any_target(statement.argument(0)?, kind.bank())?) } else { None };
    let combine = combine(statement, kind)?;
    let (bytes, space) = (kind.bytes(), space(statement));
    let space = if space == Space::Parameter { Space::Generic } else { space };
    Ok(Action::Touching(Box::new(move |warp, block, mask| {
        let addresses = address.of(warp);
        let mut old = [0; WARP];
        for lane in (0..WARP).filter(|lane| mask >> lane & 1 == 1) {
            let all = bytes * operands.len();
            let place = block.place(warp, (space, Access::Atomic), addresses[lane], all, (lane, instruction))?;
            for (at, operand) in operands.iter().enumerate() {
                let place = place.wrapping_add(at * bytes);
                let before = get(place, bytes);
                old[lane] = before;
                let operand = lane_of(warp, *operand, lane);
                let after = match new {
                    Some(new) if before == operand & (u64::MAX >> (64 - bytes * 8)) => lane_of(warp, new, lane),
                    Some(_) => before,
                    None => combine(before, operand),
                };
                put(place, bytes, after);
            }
        }
        match to {
            Some(Register { bank: Bank::Long, index }) => u64::put(&mut warp.registers, index, mask, &old),
            Some(Register { index, .. }) => u32::put(&mut warp.registers, index, mask, &old.map(|value| value as u32)),
            None => {}
        }
        Ok(())
    })))
}

fn lane_of(warp: &super::run::Warp, register: Register, lane: usize) -> u64 {
    match register.bank {
        Bank::Long => warp.registers.longs[register.index][lane],
        _ => warp.registers.words[register.index][lane].into(),
    }
}

fn combine(statement: &Statement, kind: Type) -> Result<Combine, String> {
    let what = statement.choice(&["add", "min", "max", "exch", "cas", "and", "or", "xor", "inc", "dec"]);
    let what = what.ok_or("this atomic")?;
    let is_max = what == "max";
    Ok(match (what, kind) {
        ("exch" | "cas", _) => Box::new(|_, new| new),
        ("and", _) => Box::new(|old, new| old & new),
        ("or", _) => Box::new(|old, new| old | new),
        ("xor", _) => Box::new(|old, new| old ^ new),
        ("inc", _) => Box::new(|old, most| if old >= most & 0xffff_ffff { 0 } else { old + 1 }),
        ("dec", _) => Box::new(|old, most| {
            let most = most & 0xffff_ffff;
            if old == 0 || old > most { most } else { old - 1 }
        }),
        ("add", Type::F32) => of(|old: f32, new: f32| old + new),
        ("add", Type::F64) => of(|old: f64, new: f64| old + new),
        ("add", Type::F16) => of(|old: f16, new: f16| f16::from_f32(old.to_f32() + new.to_f32())),
        ("add", Type::Bf16) => of(|old: bf16, new: bf16| bf16::from_f32(old.to_f32() + new.to_f32())),
        ("add", Type::F16x2) => of(|old: Pair<f16>, new: Pair<f16>| {
            let one = |x: f16, y: f16| f16::from_f32(x.to_f32() + y.to_f32());
            Pair(one(old.0, new.0), one(old.1, new.1))
        }),
        ("add", Type::Bf16x2) => of(|old: Pair<bf16>, new: Pair<bf16>| {
            let one = |x: bf16, y: bf16| bf16::from_f32(x.to_f32() + y.to_f32());
            Pair(one(old.0, new.0), one(old.1, new.1))
        }),
        ("add", _) => Box::new(u64::wrapping_add),
        ("min" | "max", Type::U32) => of(move |old: u32, new: u32| if is_max { old.max(new) } else { old.min(new) }),
        ("min" | "max", Type::S32) => of(move |old: i32, new: i32| if is_max { old.max(new) } else { old.min(new) }),
        ("min" | "max", Type::U64) => of(move |old: u64, new: u64| if is_max { old.max(new) } else { old.min(new) }),
        ("min" | "max", Type::S64) => of(move |old: i64, new: i64| if is_max { old.max(new) } else { old.min(new) }),
        _ => return Err(format!("the atomic {what} of {kind:?}")),
    })
}

/// A combination of values of a type.
fn of<T: Value<Cell: TryFrom<u64> + Into<u64>>>(f: impl Fn(T, T) -> T + Send + Sync + 'static) -> Combine {
    let read = |bits: u64| {
        let narrow = if size_of::<T::Cell>() == 8 { bits } else { bits & 0xffff_ffff };
        T::from_cell(T::Cell::try_from(narrow).unwrap_or_default())
    };
    Box::new(move |old, new| f(read(old), read(new)).to_cell().into())
}
