//! Instructions that compute one lane's result from the same lane's operands.

use super::decode::Decoded;
use super::kernel::Action;
use super::names::Names;
use super::source::Statement;
use super::value::{Bank, Cell, Registers, Type, Value, WARP};

/// The bank that holds a type.
fn bank<T: Value>() -> Bank {
    if size_of::<T::Cell>() == 8 { Bank::Long } else { Bank::Word }
}

fn plain(run: impl Fn(&mut Registers, u32) + Send + Sync + 'static) -> Action {
    Action::Plain(Box::new(run))
}

/// Where the result goes: a register of the result's size, or a wider one, which gets zeros above.
fn target<D: Value>(statement: &Statement, names: &mut Names) -> Result<usize, String> {
    names.target(statement.argument(0)?, bank::<D>())
}

/// The place of the operand at `at`.
fn source<T: Value>(statement: &Statement, names: &mut Names, at: usize) -> Result<usize, String> {
    names.source(statement.argument(at)?, bank::<T>())
}

/// `d = f(a)`.
pub(crate) fn map1<A: Value, D: Value>(
    statement: &Statement,
    names: &mut Names,
    f: impl Fn(A) -> D + Send + Sync + 'static,
) -> Decoded {
    let (d, a) = (target::<D>(statement, names)?, source::<A>(statement, names, 1)?);
    Ok(plain(move |registers, mask| {
        let x = &A::Cell::bank(registers)[a];
        let values: [D::Cell; WARP] = std::array::from_fn(|lane| f(A::from_cell(x[lane])).to_cell());
        D::Cell::put(registers, d, mask, &values);
    }))
}

/// `d = f(a, b)`.
pub(crate) fn map2<A: Value, B: Value, D: Value>(
    statement: &Statement,
    names: &mut Names,
    f: impl Fn(A, B) -> D + Send + Sync + 'static,
) -> Decoded {
    let d = target::<D>(statement, names)?;
    let (a, b) = (source::<A>(statement, names, 1)?, source::<B>(statement, names, 2)?);
    Ok(plain(move |registers, mask| {
        let (x, y) = (&A::Cell::bank(registers)[a], &B::Cell::bank(registers)[b]);
        let value = |lane: usize| f(A::from_cell(x[lane]), B::from_cell(y[lane])).to_cell();
        let values: [D::Cell; WARP] = std::array::from_fn(value);
        D::Cell::put(registers, d, mask, &values);
    }))
}

/// `d = f(a, b, c)`.
pub(crate) fn map3<A: Value, B: Value, C: Value, D: Value>(
    statement: &Statement,
    names: &mut Names,
    f: impl Fn(A, B, C) -> D + Send + Sync + 'static,
) -> Decoded {
    let d = target::<D>(statement, names)?;
    let (a, b) = (source::<A>(statement, names, 1)?, source::<B>(statement, names, 2)?);
    let c = source::<C>(statement, names, 3)?;
    Ok(plain(move |registers, mask| {
        let (x, y) = (&A::Cell::bank(registers)[a], &B::Cell::bank(registers)[b]);
        let z = &C::Cell::bank(registers)[c];
        let value = |lane: usize| f(A::from_cell(x[lane]), B::from_cell(y[lane]), C::from_cell(z[lane])).to_cell();
        let values: [D::Cell; WARP] = std::array::from_fn(value);
        D::Cell::put(registers, d, mask, &values);
    }))
}

/// `d = f(a, b, c, e)` of words.
pub(crate) fn map4(
    statement: &Statement,
    names: &mut Names,
    f: impl Fn([u32; 4]) -> u32 + Send + Sync + 'static,
) -> Decoded {
    let d = target::<u32>(statement, names)?;
    let mut from = [0; 4];
    for (at, from) in from.iter_mut().enumerate() {
        *from = source::<u32>(statement, names, at + 1)?;
    }
    Ok(plain(move |registers, mask| {
        let values = std::array::from_fn(|lane| f(from.map(|word| registers.words[word][lane])));
        u32::put(registers, d, mask, &values);
    }))
}

/// Predicates, all lanes at once.
pub(crate) fn predicates(
    statement: &Statement,
    names: &mut Names,
    f: impl Fn(u32, u32) -> u32 + Send + Sync + 'static,
) -> Decoded {
    let d = names.target(statement.argument(0)?, Bank::Predicate)?;
    let a = names.source(statement.argument(1)?, Bank::Predicate)?;
    let b = match statement.arguments.get(2) {
        Some(text) => names.source(text, Bank::Predicate)?,
        None => a,
    };
    Ok(plain(move |registers, mask| {
        let value = f(registers.predicates[a], registers.predicates[b]);
        put_predicate(registers, d, mask, value);
    }))
}

/// Writes the lanes of `mask`.
#[inline(always)]
pub(crate) fn put_predicate(registers: &mut Registers, predicate: usize, mask: u32, value: u32) {
    let old = registers.predicates[predicate];
    registers.predicates[predicate] = old & !mask | value & mask;
}

/// A statement's function over every integer type, by the type that the opcode names.
macro_rules! integers {
    ($map:ident, $statement:expr, $names:expr, |$($x:ident),+| $value:expr) => {{
        use $crate::ptx::value::Type;
        match $statement.kind()? {
            Type::U16 | Type::B16 => $map($statement, $names, |$($x: u16),+| $value),
            Type::S16 => $map($statement, $names, |$($x: i16),+| $value),
            Type::U32 | Type::B32 => $map($statement, $names, |$($x: u32),+| $value),
            Type::S32 => $map($statement, $names, |$($x: i32),+| $value),
            Type::U64 | Type::B64 => $map($statement, $names, |$($x: u64),+| $value),
            Type::S64 => $map($statement, $names, |$($x: i64),+| $value),
            other => Err(format!("integers of type {other:?}")),
        }
    }};
}
pub(crate) use integers;

/// A statement's function over every floating-point type. Halves are computed in f32 and rounded once more: for one sum,
/// product or quotient that gives what rounding once would (Figueroa, "When is double rounding innocuous?", 1995).
macro_rules! floats {
    ($map:ident, $statement:expr, $names:expr, |$($x:ident),+| $value:expr) => {{
        use half::{bf16, f16};
        use $crate::ptx::value::{Pair, Type};
        match $statement.kind()? {
            Type::F32 => $map($statement, $names, |$($x: f32),+| -> f32 { $value }),
            Type::F64 => $map($statement, $names, |$($x: f64),+| -> f64 { $value }),
            Type::F16 => $map($statement, $names, |$($x: f16),+| -> f16 {
                $(let $x = $x.to_f32();)+
                f16::from_f32($value)
            }),
            Type::Bf16 => $map($statement, $names, |$($x: bf16),+| -> bf16 {
                $(let $x = $x.to_f32();)+
                bf16::from_f32($value)
            }),
            Type::F16x2 => $map($statement, $names, |$($x: Pair<f16>),+| -> Pair<f16> {
                Pair(
                    { $(let $x = $x.0.to_f32();)+ f16::from_f32($value) },
                    { $(let $x = $x.1.to_f32();)+ f16::from_f32($value) },
                )
            }),
            Type::Bf16x2 => $map($statement, $names, |$($x: Pair<bf16>),+| -> Pair<bf16> {
                Pair(
                    { $(let $x = $x.0.to_f32();)+ bf16::from_f32($value) },
                    { $(let $x = $x.1.to_f32();)+ bf16::from_f32($value) },
                )
            }),
            other => Err(format!("floats of type {other:?}")),
        }
    }};
}
pub(crate) use floats;

/// Whether the opcode computes with floats.
pub(crate) fn is_float(statement: &Statement) -> bool {
    use Type::{Bf16, Bf16x2, F16, F16x2, F32, F64, Tf32};
    statement.kind().is_ok_and(|kind| matches!(kind, F16 | F16x2 | Bf16 | Bf16x2 | Tf32 | F32 | F64))
}
