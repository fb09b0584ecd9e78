//! Statements become instructions.

use std::collections::HashMap;

use super::kernel::{Action, Instruction};
use super::names::Names;
use super::source::{Item, Statement};
use super::value::Bank;
use super::{arithmetic, atomics, bits, compare, convert, group, matrix, memory, together};

pub(crate) type Decoded = Result<Action, String>;

/// What the words of an instruction that is not interpreted start with.
pub(crate) const UNKNOWN: &str = "not interpreted";

/// Decodes a body. What is not understood becomes an instruction that ends the launch.
pub(crate) fn body(items: &[Item], names: &mut Names) -> Result<Vec<Instruction>, String> {
    let (labels, tables) = labels(items);
    let mut body = vec![];
    for item in items {
        match item {
            Item::Open => names.open(),
            Item::Close => names.close(),
            Item::Label(_) => {}
            Item::Statement(text) if is_declaration(text) => {
                if let Some(registers) = text.strip_prefix(".reg") {
                    names.declare_registers(registers)?;
                }
            }
            Item::Statement(text) => {
                let statement = Statement::parse(text).map_err(|why| format!("{why} in {text:?}"))?;
                let guard = match statement.guard {
                    Some((name, negated)) => Some((names.source(name, Bank::Predicate)?, negated)),
                    None => None,
                };
                let action = instruction(&statement, names, body.len(), (&labels, &tables))
                    .unwrap_or_else(|why| Action::Trap(format!("{UNKNOWN}: {why} in {text:?}")));
                body.push(Instruction { guard, action, text: (*text).to_owned() });
            }
        }
    }
    Ok(body)
}

fn is_declaration(text: &str) -> bool {
    text.is_empty() || text.starts_with('.')
}

type Labels<'a> = HashMap<&'a str, usize>;
type Tables<'a> = HashMap<&'a str, Vec<&'a str>>;

/// Places of labels among the instructions, and lists of labels for jumps by index.
fn labels<'a>(items: &[Item<'a>]) -> (Labels<'a>, Tables<'a>) {
    let (mut labels, mut tables) = (Labels::new(), Tables::new());
    let (mut at, mut last) = (0, "");
    for item in items {
        match item {
            Item::Label(name) => {
                labels.insert(name, at);
                last = name;
            }
            Item::Statement(text) => {
                if let Some(list) = text.strip_prefix(".branchtargets") {
                    tables.insert(last, super::source::split(list));
                }
                at += usize::from(!is_declaration(text));
            }
            _ => {}
        }
    }
    (labels, tables)
}

fn instruction(statement: &Statement, names: &mut Names, at: usize, (labels, tables): (&Labels, &Tables)) -> Decoded {
    let label = |name: &str| labels.get(name).copied().ok_or_else(|| format!("there is no label {name}"));
    match statement.opcode {
        "bra" => Ok(Action::Branch(label(statement.argument(0)?)?)),
        "brx" => {
            let list = tables.get(statement.argument(1)?).ok_or("there is no such table")?;
            let targets = list.iter().map(|name| label(name)).collect::<Result<_, _>>()?;
            Ok(Action::Switch { index: names.source(statement.argument(0)?, Bank::Word)?, targets })
        }
        "ret" | "exit" => Ok(Action::Exit),
        "trap" => Ok(Action::Trap("trap".to_owned())),
        "call" if statement.text.contains("__assertfail") => Ok(Action::Trap("an assertion failed".to_owned())),
        "bar" | "barrier" => barrier(statement, names),
        "ld" | "ldu" | "st" => memory::load_or_store(statement, names, at),
        "cp" => memory::copy(statement, names, at),
        "atom" | "red" => atomics::atomic(statement, names, at),
        "ldmatrix" => matrix::load(statement, names, at),
        "stmatrix" => matrix::store(statement, names, at),
        "mma" => matrix::multiply(statement, names),
        "wgmma" if statement.has("mma_async") => group::multiply(statement, names, at),
        "wgmma" => group::order(statement),
        "fence" if statement.has("proxy") && statement.words.iter().any(|word| word.starts_with("async")) => {
            Ok(group::publish())
        }
        // Order between accesses is kept anyway, and nothing is cached.
        "fence" | "membar" | "prefetch" | "prefetchu" | "nanosleep" | "discard" | "setmaxnreg" | "griddepcontrol"
        | "applypriority" => Ok(Action::Nothing),
        _ => computing(statement, names),
    }
}

/// What touches registers alone.
fn computing(statement: &Statement, names: &mut Names) -> Decoded {
    let is_carried = statement.has("cc") || matches!(statement.opcode, "addc" | "subc" | "madc");
    let f: fn(&Statement, &mut Names) -> Decoded = match statement.opcode {
        _ if is_carried => bits::carried,
        "mov" => convert::copy,
        "cvt" => convert::convert,
        "cvta" => convert::address,
        "add" | "sub" => arithmetic::add_or_subtract,
        "mul" => arithmetic::multiply,
        "mad" => arithmetic::multiply_add,
        "fma" => arithmetic::fused,
        "div" => arithmetic::divide,
        "rem" => arithmetic::remainder,
        "min" | "max" => arithmetic::extreme,
        "abs" => arithmetic::absolute,
        "neg" => arithmetic::negate,
        "copysign" => arithmetic::copy_sign,
        "sqrt" | "rsqrt" | "rcp" | "ex2" | "lg2" | "sin" | "cos" | "tanh" => arithmetic::function,
        "and" | "or" | "xor" | "not" => bits::logic,
        "shl" | "shr" => bits::shift,
        "shf" => bits::funnel,
        "popc" | "clz" | "brev" | "bfind" => bits::count,
        "bfe" => bits::extract,
        "bfi" => bits::insert,
        "prmt" => bits::permute,
        "lop3" => bits::table,
        "setp" => compare::to_predicate,
        "set" => compare::to_register,
        "selp" => compare::select,
        "shfl" => together::shuffle,
        "vote" => together::vote,
        "redux" => together::reduce,
        "activemask" => together::active,
        "elect" => together::elect,
        _ => return Err("the instruction".to_owned()),
    };
    f(statement, names)
}

/// `bar.sync n{, threads}`, `barrier.sync`, `bar.warp.sync members`.
fn barrier(statement: &Statement, names: &mut Names) -> Decoded {
    if statement.has("warp") {
        return together::meet(statement, names);
    }
    if statement.has("red") || statement.has("cluster") {
        return Err("this barrier".to_owned());
    }
    let number = names.source(statement.argument(0)?, Bank::Word)?;
    let threads = match statement.arguments.get(1) {
        Some(text) => Some(names.source(text, Bank::Word)?),
        None => None,
    };
    Ok(Action::Barrier { number, threads, waits: statement.has("sync") })
}
