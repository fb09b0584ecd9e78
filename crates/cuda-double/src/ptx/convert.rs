//! Moves and conversions.

use half::{bf16, f16};

use super::arithmetic::{flush, saturate};
use super::decode::Decoded;
use super::kernel::Action;
use super::map::{map1, map2, predicates};
use super::names::{LOCAL, Names, SHARED};
use super::source::Statement;
use super::value::{Bank, Cell, Pair, Register, Registers, Type, Value, WARP};

/// `mov`, also of a register's parts: `{a, b}` on either side.
pub(crate) fn copy(statement: &Statement, names: &mut Names) -> Decoded {
    let kind = statement.kind()?;
    match (statement.argument(0)?, statement.argument(1)?) {
        (to, _) if to.starts_with('{') => unpack(statement, names, kind),
        (_, from) if from.starts_with('{') => pack(statement, names, kind),
        _ if kind == Type::Pred => predicates(statement, names, |value, _| value),
        _ if kind.bank() == Bank::Long => map1(statement, names, |value: u64| value),
        _ => map1(statement, names, |value: u32| value),
    }
}

/// A lane of a register, whichever bank it is in.
fn lane_of(registers: &Registers, register: Register, lane: usize) -> u64 {
    match register.bank {
        Bank::Long => registers.longs[register.index][lane],
        Bank::Word => registers.words[register.index][lane].into(),
        Bank::Predicate => u64::from(registers.predicates[register.index] >> lane & 1),
    }
}

/// Writes lanes of a register, whichever bank it is in.
fn put(registers: &mut Registers, register: Register, mask: u32, values: &[u64; WARP]) {
    match register.bank {
        Bank::Long => u64::put(registers, register.index, mask, values),
        _ => u32::put(registers, register.index, mask, &values.map(|value| value as u32)),
    }
}

fn lowest(bits: usize) -> u64 {
    u64::MAX >> (64 - bits)
}

fn pack(statement: &Statement, names: &mut Names, kind: Type) -> Decoded {
    let parts = Names::list(statement.argument(1)?);
    let bits = kind.bytes() * 8 / parts.len();
    let bank = if bits == 64 { Bank::Long } else { Bank::Word };
    let parts = parts.into_iter().map(|part| names.any_source(part, bank)).collect::<Result<Vec<_>, _>>()?;
    let to = names.any_target(statement.argument(0)?, kind.bank())?;
    Ok(Action::Plain(Box::new(move |registers, mask| {
        let value = |lane: usize| {
            let part = |at: usize| (lane_of(registers, parts[at], lane) & lowest(bits)) << (at * bits);
            (0..parts.len()).fold(0, |all, at| all | part(at))
        };
        let values = std::array::from_fn(value);
        put(registers, to, mask, &values);
    })))
}

fn unpack(statement: &Statement, names: &mut Names, kind: Type) -> Decoded {
    let parts = Names::list(statement.argument(0)?);
    let bits = kind.bytes() * 8 / parts.len();
    let parts = parts.into_iter().map(|part| names.any_target(part, Bank::Word)).collect::<Result<Vec<_>, _>>()?;
    let from = names.any_source(statement.argument(1)?, kind.bank())?;
    Ok(Action::Plain(Box::new(move |registers, mask| {
        let whole: [u64; WARP] = std::array::from_fn(|lane| lane_of(registers, from, lane));
        for (at, part) in parts.iter().enumerate() {
            put(registers, *part, mask, &whole.map(|value| value >> (at * bits) & lowest(bits)));
        }
    })))
}

/// `cvta`: to and from generic addresses. Global memory's are the same in both.
pub(crate) fn address(statement: &Statement, names: &mut Names) -> Decoded {
    let is_to = statement.has("to");
    let window = match statement.choice(&["shared", "local"]).or(shared_of_block(statement)) {
        Some("shared") => SHARED,
        Some(_) => LOCAL,
        None => 0,
    };
    if statement.kind()? != Type::U64 {
        return Err("an address of 32 bits".to_owned());
    }
    map1(statement, names, move |address: u64| if is_to { address & !window } else { address | window })
}

fn shared_of_block(statement: &Statement) -> Option<&'static str> {
    statement.words.iter().any(|word| word.starts_with("shared")).then_some("shared")
}

/// `cvt{.ROUNDING}{.ftz}{.sat}.TO.FROM`.
pub(crate) fn convert(statement: &Statement, names: &mut Names) -> Decoded {
    let types = statement.types();
    match types[..] {
        [Type::F16x2, Type::F32] if statement.arguments.len() == 3 => {
            map2(statement, names, |high: f32, low: f32| Pair(f16::from_f32(low), f16::from_f32(high)))
        }
        [Type::Bf16x2, Type::F32] if statement.arguments.len() == 3 => {
            let relu = statement.has("relu");
            map2(statement, names, move |high: f32, low: f32| {
                let one = |x: f32| bf16::from_f32(if relu { x.max(0.0) } else { x });
                Pair(one(low), one(high))
            })
        }
        [Type::Tf32, Type::F32] => map1(statement, names, tf32),
        [to, from] => Cast::of(statement, to, from).decode(statement, names),
        _ => Err("two types are expected".to_owned()),
    }
}

/// f32 with ten bits of mantissa, rounded to nearest, halves away from zero (`cvt.rna.tf32.f32`).
pub(crate) fn tf32(x: f32) -> f32 {
    if x.is_finite() { f32::from_bits((x.to_bits() + 0x1000) & !0x1fff) } else { x }
}

/// A conversion of one number.
#[derive(Clone, Copy)]
struct Cast {
    to: Type,
    from: Type,
    /// `n`, `z`, `m` or `p`: to the nearest, to zero, down, up.
    rounding: char,
    to_integral: bool,
    saturates: bool,
    ftz: bool,
}

impl Cast {
    fn of(statement: &Statement, to: Type, from: Type) -> Cast {
        let integral = statement.choice(&["rni", "rzi", "rmi", "rpi"]);
        let rounding = integral.or(statement.choice(&["rn", "rz", "rm", "rp"])).and_then(|word| word.chars().nth(1));
        Cast {
            to,
            from,
            rounding: rounding.unwrap_or('n'),
            to_integral: integral.is_some(),
            saturates: statement.has("sat"),
            ftz: statement.has("ftz"),
        }
    }

    fn decode(self, statement: &Statement, names: &mut Names) -> Decoded {
        use Type::{B16, B32, B64, F32, S16, S32, S64, U16, U32, U64};
        let from = names.any_source(statement.argument(1)?, self.from.bank())?;
        let to = names.any_target(statement.argument(0)?, self.to.bank())?;
        let is_plain = !self.saturates && from.bank == self.from.bank() && to.bank == self.to.bank();
        // What address arithmetic is full of, first.
        match (self.to, self.from) {
            (U64 | S64 | B64, U32 | B32) if is_plain => map1(statement, names, |x: u32| u64::from(x)),
            (U64 | S64 | B64, S32) if is_plain => map1(statement, names, |x: i32| i64::from(x)),
            (U32 | S32 | B32, U64 | S64 | B64) if is_plain => map1(statement, names, |x: u64| x as u32),
            (U32 | S32 | B32, U16 | B16) if is_plain => map1(statement, names, |x: u16| u32::from(x)),
            (U32 | S32 | B32, S16) if is_plain => map1(statement, names, |x: i16| i32::from(x)),
            (U16 | S16 | B16, U32 | S32 | B32) if is_plain => map1(statement, names, |x: u32| x as u16),
            (F32, Type::Bf16) if is_plain => map1(statement, names, bf16::to_f32),
            (F32, Type::F16) if is_plain && !self.to_integral => map1(statement, names, f16::to_f32),
            (Type::Bf16, F32) if is_plain && self.rounding == 'n' => map1(statement, names, bf16::from_f32),
            _ => Ok(Action::Plain(Box::new(move |registers, mask| {
                let values = std::array::from_fn(|lane| self.number(lane_of(registers, from, lane)));
                put(registers, to, mask, &values);
            }))),
        }
    }

    /// Bits to bits.
    fn number(self, bits: u64) -> u64 {
        match self.from {
            Type::F32 if self.ftz => self.float(f64::from(flush(f32::from_bits(bits as u32)))),
            Type::F32 => self.float(f64::from(f32::from_bits(bits as u32))),
            Type::F64 => self.float(f64::from_bits(bits)),
            Type::F16 => self.float(f16::from_bits(bits as u16).to_f64()),
            Type::Bf16 => self.float(bf16::from_bits(bits as u16).to_f64()),
            _ => self.integer(exact(self.from, bits)),
        }
    }

    fn float(self, x: f64) -> u64 {
        let is_float = matches!(self.to, Type::F16 | Type::Bf16 | Type::F32 | Type::F64);
        let x = match self.rounding {
            _ if is_float && !self.to_integral => x,
            'z' => x.trunc(),
            'm' => x.floor(),
            'p' => x.ceil(),
            _ => x.round_ties_even(),
        };
        match self.to {
            Type::F32 if self.saturates => saturate(x as f32).to_cell().into(),
            Type::F32 if self.ftz => flush(self.single(x)).to_cell().into(),
            Type::F32 => self.single(x).to_cell().into(),
            Type::F64 if self.saturates => (if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) }).to_bits(),
            Type::F64 => x.to_bits(),
            Type::F16 => f16::from_f64(x).to_cell().into(),
            Type::Bf16 => self.brain(x).to_cell().into(),
            Type::S8 => i64::from(x as i8) as u64,
            Type::S16 => i64::from(x as i16) as u64,
            Type::S32 => i64::from(x as i32) as u64,
            Type::S64 => x as i64 as u64,
            Type::U8 | Type::B8 => (x as u8).into(),
            Type::U16 | Type::B16 => (x as u16).into(),
            Type::U32 | Type::B32 => (x as u32).into(),
            _ => x as u64,
        }
    }

    /// To f32 in the direction asked for.
    fn single(self, x: f64) -> f32 {
        let near = x as f32;
        let (low, high) = (f64::from(near) > x, f64::from(near) < x);
        match self.rounding {
            'm' if low => near.next_down(),
            'p' if high => near.next_up(),
            'z' if low && x > 0.0 => near.next_down(),
            'z' if high && x < 0.0 => near.next_up(),
            _ => near,
        }
    }

    fn brain(self, x: f64) -> bf16 {
        match self.rounding {
            'z' if !x.is_nan() => bf16::from_bits(((x as f32).to_bits() >> 16) as u16),
            _ => bf16::from_f64(x),
        }
    }

    fn integer(self, x: i128) -> u64 {
        match self.to {
            Type::F32 => {
                let near = x as f32;
                let (above, below) = (near as i128 > x, (near as i128) < x);
                match self.rounding {
                    'm' if above => near.next_down(),
                    'p' if below => near.next_up(),
                    'z' if above && x > 0 => near.next_down(),
                    'z' if below && x < 0 => near.next_up(),
                    _ => near,
                }
                .to_cell()
                .into()
            }
            Type::F64 => (x as f64).to_bits(),
            Type::F16 => f16::from_f64(x as f64).to_cell().into(),
            Type::Bf16 => bf16::from_f64(x as f64).to_cell().into(),
            to => {
                let bits = to.bytes() * 8;
                let (least, most) = if to.is_signed() {
                    (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
                } else {
                    (0, (1i128 << bits) - 1)
                };
                let x = if self.saturates { x.clamp(least, most) } else { x };
                // A wider register takes the sign along.
                exact(to, x as u64) as u64
            }
        }
    }
}

/// The number that the lowest bits stand for in an integer type.
fn exact(kind: Type, bits: u64) -> i128 {
    match kind {
        Type::S8 => (bits as i8).into(),
        Type::S16 => (bits as i16).into(),
        Type::S32 => (bits as i32).into(),
        Type::S64 => (bits as i64).into(),
        Type::U8 | Type::B8 => (bits as u8).into(),
        Type::U16 | Type::B16 => (bits as u16).into(),
        Type::U32 | Type::B32 => (bits as u32).into(),
        _ => bits.into(),
    }
}
