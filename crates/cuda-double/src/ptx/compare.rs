//! Comparisons, and choices by their outcome.

use std::cmp::Ordering;

use half::{bf16, f16};

use super::decode::Decoded;
use super::kernel::Action;
use super::map::put_predicate;
use super::names::Names;
use super::source::Statement;
use super::value::{Bank, Cell, Type, Value, WARP};

/// The outcomes of comparing two numbers in which a comparison holds, one bit each.
#[derive(Clone, Copy)]
struct Comparison(u8);

const LESS: u8 = 1;
const EQUAL: u8 = 2;
const GREATER: u8 = 4;
/// One of them is NaN.
const UNORDERED: u8 = 8;

impl Comparison {
    /// By PTX's letters; those with `u` also hold where one is NaN.
    fn of(word: &str) -> Result<Comparison, String> {
        Ok(Comparison(match word {
            "eq" => EQUAL,
            "ne" => LESS | GREATER,
            "lt" | "lo" => LESS,
            "le" | "ls" => LESS | EQUAL,
            "gt" | "hi" => GREATER,
            "ge" | "hs" => GREATER | EQUAL,
            "equ" => EQUAL | UNORDERED,
            "neu" => LESS | GREATER | UNORDERED,
            "ltu" => LESS | UNORDERED,
            "leu" => LESS | EQUAL | UNORDERED,
            "gtu" => GREATER | UNORDERED,
            "geu" => GREATER | EQUAL | UNORDERED,
            "num" => LESS | EQUAL | GREATER,
            "nan" => UNORDERED,
            _ => return Err(format!("the comparison {word}")),
        }))
    }

    #[inline(always)]
    fn holds<T: PartialOrd>(self, x: &T, y: &T) -> bool {
        let outcome = match x.partial_cmp(y) {
            Some(Ordering::Less) => LESS,
            Some(Ordering::Equal) => EQUAL,
            Some(Ordering::Greater) => GREATER,
            None => UNORDERED,
        };
        self.0 & outcome != 0
    }
}

type Bits = Box<dyn Fn(&super::value::Registers) -> u32 + Send + Sync>;

/// The lanes in which a comparison holds.
fn bits(names: &mut Names, kind: Type, comparison: Comparison, (a, b): (&str, &str)) -> Result<Bits, String> {
    fn of<T: Value + PartialOrd>(names: &mut Names, by: Comparison, (a, b): (&str, &str)) -> Result<Bits, String> {
        let bank = if size_of::<T::Cell>() == 8 { Bank::Long } else { Bank::Word };
        let (a, b) = (names.source(a, bank)?, names.source(b, bank)?);
        Ok(Box::new(move |registers| {
            let (x, y) = (&T::Cell::bank(registers)[a], &T::Cell::bank(registers)[b]);
            let holds = |lane: usize| by.holds(&T::from_cell(x[lane]), &T::from_cell(y[lane]));
            (0..WARP).fold(0, |all, lane| all | u32::from(holds(lane)) << lane)
        }))
    }
    let of = match kind {
        Type::U16 | Type::B16 => of::<u16>,
        Type::S16 => of::<i16>,
        Type::U32 | Type::B32 => of::<u32>,
        Type::S32 => of::<i32>,
        Type::U64 | Type::B64 => of::<u64>,
        Type::S64 => of::<i64>,
        Type::F16 => of::<f16>,
        Type::Bf16 => of::<bf16>,
        Type::F32 => of::<f32>,
        Type::F64 => of::<f64>,
        other => return Err(format!("a comparison of {other:?}")),
    };
    of(names, comparison, (a, b))
}

/// `setp.CMP{.BOOL}.TYPE p{|q}, a, b{, c}`.
pub(crate) fn to_predicate(statement: &Statement, names: &mut Names) -> Decoded {
    let comparison = Comparison::of(statement.words.first().ok_or("no comparison")?)?;
    let (p, q) = statement.argument(0)?.split_once('|').unwrap_or((statement.argument(0)?, "_"));
    let p = names.target(p.trim(), Bank::Predicate)?;
    let q = if q == "_" { None } else { Some(names.target(q.trim(), Bank::Predicate)?) };
    let holds = bits(names, statement.kind()?, comparison, (statement.argument(1)?, statement.argument(2)?))?;
    let and = statement.choice(&["and", "or", "xor"]);
    let third = match statement.arguments.get(3) {
        Some(text) => {
            let negated = text.strip_prefix('!');
            Some((names.source(negated.unwrap_or(text), Bank::Predicate)?, negated.is_some()))
        }
        None => None,
    };
    Ok(Action::Plain(Box::new(move |registers, mask| {
        let holds = holds(registers);
        let join = |bits: u32| match third {
            None => bits,
            Some((place, negated)) => {
                let third = registers.predicates[place] ^ if negated { u32::MAX } else { 0 };
                match and {
                    Some("and") => bits & third,
                    Some("or") => bits | third,
                    _ => bits ^ third,
                }
            }
        };
        let (first, second) = (join(holds), join(!holds));
        put_predicate(registers, p, mask, first);
        if let Some(q) = q {
            put_predicate(registers, q, mask, second);
        }
    })))
}

/// `set.CMP.DTYPE.STYPE d, a, b`: all ones, or 1.0.
pub(crate) fn to_register(statement: &Statement, names: &mut Names) -> Decoded {
    let comparison = Comparison::of(statement.words.first().ok_or("no comparison")?)?;
    let types = statement.types();
    let [to, from] = types[..] else { return Err("two types are expected".to_owned()) };
    if statement.arguments.len() != 3 {
        return Err("a third operand".to_owned());
    }
    let d = names.target(statement.argument(0)?, Bank::Word)?;
    let holds = bits(names, from, comparison, (statement.argument(1)?, statement.argument(2)?))?;
    let yes = match to {
        Type::F32 => 1f32.to_bits(),
        Type::F16 => f16::ONE.to_bits().into(),
        Type::Bf16 => bf16::ONE.to_bits().into(),
        _ => u32::MAX,
    };
    Ok(Action::Plain(Box::new(move |registers, mask| {
        let holds = holds(registers);
        let values = std::array::from_fn(|lane| if holds >> lane & 1 == 1 { yes } else { 0 });
        u32::put(registers, d, mask, &values);
    })))
}

/// `selp d, a, b, p`.
pub(crate) fn select(statement: &Statement, names: &mut Names) -> Decoded {
    fn of<C: Cell>(statement: &Statement, names: &mut Names, bank: Bank) -> Decoded {
        let d = names.target(statement.argument(0)?, bank)?;
        let (a, b) = (names.source(statement.argument(1)?, bank)?, names.source(statement.argument(2)?, bank)?);
        let p = names.source(statement.argument(3)?, Bank::Predicate)?;
        Ok(Action::Plain(Box::new(move |registers, mask| {
            let (x, y, p) = (&C::bank(registers)[a], &C::bank(registers)[b], registers.predicates[p]);
            let values = std::array::from_fn(|lane| if p >> lane & 1 == 1 { x[lane] } else { y[lane] });
            C::put(registers, d, mask, &values);
        })))
    }
    match statement.kind()?.bank() {
        Bank::Long => of::<u64>(statement, names, Bank::Long),
        _ => of::<u32>(statement, names, Bank::Word),
    }
}
