//! Bits: logic, shifts, fields, permutations, and sums with a carry.

use super::decode::Decoded;
use super::kernel::Action;
use super::map::{integers, map1, map2, map3, map4, predicates};
use super::names::Names;
use super::source::{Statement, literal};
use super::value::{ALL, Bank, Cell, Type, WARP};

/// A width's integer with the shifts that PTX defines: beyond the width they give zeros, or copies of the sign.
trait Shifts: Sized {
    fn left(self, by: u32) -> Self;
    fn right(self, by: u32) -> Self;
}

macro_rules! shifts {
    ($($type:ty, $beyond:expr);*) => {$(
        impl Shifts for $type {
            #[inline(always)]
            fn left(self, by: u32) -> Self {
                if by < <$type>::BITS { self << by } else { 0 }
            }
            #[inline(always)]
            fn right(self, by: u32) -> Self {
                if by < <$type>::BITS { self >> by } else { $beyond(self) }
            }
        }
    )*};
}
shifts!(u16, |_| 0; u32, |_| 0; u64, |_| 0; i16, |x: i16| x >> 15; i32, |x: i32| x >> 31; i64, |x: i64| x >> 63);

pub(crate) fn logic(statement: &Statement, names: &mut Names) -> Decoded {
    let f: fn(u32, u32) -> u32 = match statement.opcode {
        "and" => |x, y| x & y,
        "or" => |x, y| x | y,
        "xor" => |x, y| x ^ y,
        _ => |x, _| !x,
    };
    match (statement.kind()?, statement.opcode) {
        (Type::Pred, _) => predicates(statement, names, f),
        (_, "and") => integers!(map2, statement, names, |x, y| x & y),
        (_, "or") => integers!(map2, statement, names, |x, y| x | y),
        (_, "xor") => integers!(map2, statement, names, |x, y| x ^ y),
        _ => integers!(map1, statement, names, |x| !x),
    }
}

pub(crate) fn shift(statement: &Statement, names: &mut Names) -> Decoded {
    match (statement.opcode, statement.kind()?) {
        ("shl", Type::B16) => map2(statement, names, |x: u16, by: u32| x.left(by)),
        ("shl", Type::B32) => map2(statement, names, |x: u32, by: u32| x.left(by)),
        ("shl", _) => map2(statement, names, |x: u64, by: u32| x.left(by)),
        (_, Type::S16) => map2(statement, names, |x: i16, by: u32| x.right(by)),
        (_, Type::S32) => map2(statement, names, |x: i32, by: u32| x.right(by)),
        (_, Type::S64) => map2(statement, names, |x: i64, by: u32| x.right(by)),
        (_, Type::U16 | Type::B16) => map2(statement, names, |x: u16, by: u32| x.right(by)),
        (_, Type::U32 | Type::B32) => map2(statement, names, |x: u32, by: u32| x.right(by)),
        _ => map2(statement, names, |x: u64, by: u32| x.right(by)),
    }
}

/// `shf`: a window of two words.
pub(crate) fn funnel(statement: &Statement, names: &mut Names) -> Decoded {
    let (is_left, wraps) = (statement.has("l"), statement.has("wrap"));
    map3(statement, names, move |low: u32, high: u32, by: u32| {
        let by = if wraps { by & 31 } else { by.min(32) };
        let both = u64::from(high) << 32 | u64::from(low);
        if is_left { ((both << by) >> 32) as u32 } else { (both >> by) as u32 }
    })
}

pub(crate) fn count(statement: &Statement, names: &mut Names) -> Decoded {
    match (statement.opcode, statement.kind()?) {
        ("popc", Type::B32) => map1(statement, names, u32::count_ones),
        ("popc", _) => map1(statement, names, u64::count_ones),
        ("clz", Type::B32) => map1(statement, names, u32::leading_zeros),
        ("clz", _) => map1(statement, names, u64::leading_zeros),
        ("brev", Type::B32) => map1(statement, names, u32::reverse_bits),
        ("brev", _) => map1(statement, names, u64::reverse_bits),
        ("bfind", Type::U32) => map1(statement, names, |x: u32| x.checked_ilog2().unwrap_or(ALL)),
        ("bfind", Type::S32) => {
            map1(statement, names, |x: u32| (if x >> 31 == 1 { !x } else { x }).checked_ilog2().unwrap_or(ALL))
        }
        ("bfind", Type::U64) => map1(statement, names, |x: u64| x.checked_ilog2().unwrap_or(ALL)),
        _ => Err("this search".to_owned()),
    }
}

/// `bfe d, a, start, length`.
pub(crate) fn extract(statement: &Statement, names: &mut Names) -> Decoded {
    fn field(x: u64, (start, length): (u32, u32), bits: u32, is_signed: bool) -> u64 {
        let (start, length) = (start & 255, length & 255);
        let x = if bits == 64 || !is_signed { x } else { i64::from(x as i32) as u64 };
        let mask = if length >= 64 { u64::MAX } else { (1 << length) - 1 };
        let value = if start < 64 { x >> start } else { 0 } & mask;
        // The sign is the field's highest bit, or the number's, where the field reaches beyond it.
        let top = (start + length).wrapping_sub(1).min(bits - 1);
        if is_signed && length > 0 && x >> top & 1 == 1 { value | !mask } else { value }
    }
    match statement.kind()? {
        Type::U32 => map3(statement, names, |x: u32, s: u32, n: u32| field(x.into(), (s, n), 32, false) as u32),
        Type::S32 => map3(statement, names, |x: u32, s: u32, n: u32| field(x.into(), (s, n), 32, true) as u32),
        Type::U64 => map3(statement, names, |x: u64, s: u32, n: u32| field(x, (s, n), 64, false)),
        _ => map3(statement, names, |x: u64, s: u32, n: u32| field(x, (s, n), 64, true)),
    }
}

/// `bfi d, field, into, start, length`.
pub(crate) fn insert(statement: &Statement, names: &mut Names) -> Decoded {
    fn place(field: u64, into: u64, start: u32, length: u32) -> u64 {
        let (start, length) = (start & 255, length & 255);
        let mask = if start >= 64 { 0 } else { (((1u128 << length.min(64)) - 1) as u64) << start };
        let field = if start >= 64 { 0 } else { field << start };
        into & !mask | field & mask
    }
    let bank = statement.kind()?.bank();
    if bank == Bank::Word {
        return map4(statement, names, |[field, into, start, length]| {
            place(field.into(), into.into(), start, length) as u32
        });
    }
    let d = names.target(statement.argument(0)?, bank)?;
    let [field, into] = [names.source(statement.argument(1)?, bank)?, names.source(statement.argument(2)?, bank)?];
    let [start, length] =
        [names.source(statement.argument(3)?, Bank::Word)?, names.source(statement.argument(4)?, Bank::Word)?];
    Ok(Action::Plain(Box::new(move |registers, mask| {
        let (words, longs) = (&registers.words, &registers.longs);
        let value = |lane: usize| place(longs[field][lane], longs[into][lane], words[start][lane], words[length][lane]);
        let values = std::array::from_fn(value);
        u64::put(registers, d, mask, &values);
    })))
}

/// `prmt`: four bytes chosen of eight; bit 3 of a choice copies its sign instead.
pub(crate) fn permute(statement: &Statement, names: &mut Names) -> Decoded {
    if statement.words.len() != 1 {
        return Err("a mode of prmt".to_owned());
    }
    map3(statement, names, |low: u32, high: u32, choices: u32| {
        let all = u64::from(high) << 32 | u64::from(low);
        let byte = |at: u32| {
            let choice = choices >> (at * 4) & 15;
            let byte = (all >> ((choice & 7) * 8)) as u8;
            let byte = if choice & 8 == 0 { byte } else { ((byte as i8) >> 7) as u8 };
            u32::from(byte) << (at * 8)
        };
        byte(0) | byte(1) | byte(2) | byte(3)
    })
}

/// `lop3`: any function of three bits, by its table.
pub(crate) fn table(statement: &Statement, names: &mut Names) -> Decoded {
    let table = literal(statement.argument(4)?).ok_or("a table")?;
    map3(statement, names, move |x: u32, y: u32, z: u32| {
        (0..8u32).filter(|at| table >> at & 1 == 1).fold(0, |all, at| {
            let pick = |value: u32, bit: u32| if at >> bit & 1 == 1 { value } else { !value };
            all | pick(x, 2) & pick(y, 1) & pick(z, 0)
        })
    })
}

/// `add.cc`, `addc`, `sub.cc`, `subc`, `mad.cc`, `madc`: with a carry in, out, or both.
pub(crate) fn carried(statement: &Statement, names: &mut Names) -> Decoded {
    let takes = statement.opcode.ends_with('c');
    let (gives, is_high) = (statement.has("cc"), statement.has("hi"));
    let kind = statement.kind()?;
    let (bits, bank) = (kind.bytes() as u32 * 8, kind.bank());
    if kind.is_signed() && statement.opcode.starts_with("mad") {
        return Err("a signed product with a carry".to_owned());
    }
    let d = names.target(statement.argument(0)?, bank)?;
    let count = statement.arguments.len() - 1;
    let mut from = [0; 3];
    for at in 0..count {
        from[at] = names.source(statement.argument(at + 1)?, bank)?;
    }
    let opcode = statement.opcode.chars().next();
    let cut = move |wide: u128| wide & ((1u128 << bits) - 1);
    Ok(Action::Plain(Box::new(move |registers, mask| {
        let carries = registers.carry;
        let mut values = [0u64; WARP];
        let mut out = 0;
        for lane in 0..WARP {
            let value = |at: usize| -> u128 {
                match bank {
                    Bank::Long => registers.longs[from[at]][lane].into(),
                    _ => registers.words[from[at]][lane].into(),
                }
            };
            let carry = u128::from(takes && carries >> lane & 1 == 1);
            let (result, has_carry) = match opcode {
                Some('a') => split(value(0) + value(1) + carry, bits),
                Some('s') => (cut(value(0).wrapping_sub(value(1)).wrapping_sub(carry)), value(0) < value(1) + carry),
                _ => {
                    let product = value(0) * value(1);
                    let part = if is_high { product >> bits } else { cut(product) };
                    split(part + value(2) + carry, bits)
                }
            };
            values[lane] = result as u64;
            out |= u32::from(has_carry) << lane;
        }
        if gives {
            registers.carry = carries & !mask | out & mask;
        }
        match bank {
            Bank::Long => u64::put(registers, d, mask, &values),
            _ => u32::put(registers, d, mask, &values.map(|value| value as u32)),
        }
    })))
}

/// A sum's lower bits, and whether there are more.
fn split(sum: u128, bits: u32) -> (u128, bool) {
    (sum & ((1u128 << bits) - 1), sum >> bits != 0)
}
