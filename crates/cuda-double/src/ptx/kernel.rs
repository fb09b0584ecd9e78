//! A kernel, ready to run.

use super::block::Block;
use super::names::{LOCAL, Names, PARAMETERS, Special};
use super::run::Warp;
use super::source::{Item, KernelText, Source, Statement, Variable, items};
use super::value::Registers;
use super::{decode, fault::Fault};

pub(crate) type Outcome = Result<(), Fault>;
/// Registers in, registers out, for the lanes of a mask.
pub(crate) type Plain = Box<dyn Fn(&mut Registers, u32) + Send + Sync>;
/// What also touches memory.
pub(crate) type Touching = Box<dyn Fn(&mut Warp, &mut Block, u32) -> Outcome + Send + Sync>;

/// What an instruction does; registers are places in their bank.
pub(crate) enum Action {
    Nothing,
    Plain(Plain),
    Touching(Touching),
    /// Lanes of a mask do it once all of them are there; `None` is the whole warp.
    Together(Option<usize>, Touching),
    Branch(usize),
    Switch {
        index: usize,
        targets: Vec<usize>,
    },
    Barrier {
        number: usize,
        threads: Option<usize>,
        waits: bool,
    },
    Exit,
    /// It ends the launch with these words.
    Trap(String),
}

pub(crate) struct Instruction {
    /// A predicate, and whether it is negated.
    pub(crate) guard: Option<(usize, bool)>,
    pub(crate) action: Action,
    pub(crate) text: String,
}

pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
    /// The most threads of a block.
    pub(crate) threads: u32,
    pub(crate) body: Vec<Instruction>,
    pub(crate) registers: Registers,
    pub(crate) specials: Vec<(Special, usize)>,
    pub(crate) shared_bytes: usize,
    pub(crate) local_bytes: usize,
    /// Blocks depend on each other through atomics in global memory: their order is kept.
    pub(crate) is_ordered: bool,
    /// It has products by groups of warps.
    pub(crate) has_groups: bool,
    /// Instructions that are not interpreted; the launch ends where one is met.
    pub(crate) unknown: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

impl Kernel {
    /// Decodes a kernel of a module; `address_of` gives the addresses of the module's variables.
    pub(crate) fn decode(
        name: &str,
        text: &KernelText,
        source: &Source,
        globals: &[(String, u64)],
    ) -> Result<Kernel, String> {
        let mut names = Names::new();
        for (name, address) in globals {
            names.define(name, *address);
        }
        let parameters = place_parameters(&mut names, &text.parameters);
        for variable in &source.shared {
            let at = Names::reserve(&mut names.shared_bytes, variable);
            names.define(&variable.name, at);
        }
        let items = items(&text.body)?;
        place_variables(&mut names, &items)?;
        // Shared memory whose size the launch gives starts behind the rest, at the alignment that it asks for.
        let align = source.dynamic.iter().map(|variable| variable.align).max().unwrap_or(16);
        names.shared_bytes = names.shared_bytes.next_multiple_of(align.max(16));
        for variable in &source.dynamic {
            names.define(&variable.name, names.shared_bytes as u64);
        }
        let mut body = decode::body(&items, &mut names)?;
        body.push(Instruction { guard: None, action: Action::Exit, text: "the end".to_owned() });
        let unknown = body.iter().filter_map(|instruction| match &instruction.action {
            Action::Trap(why) if why.starts_with(decode::UNKNOWN) => Some(why.clone()),
            _ => None,
        });
        Ok(Kernel {
            name: name.to_owned(),
            parameters,
            threads: text.threads.unwrap_or(1024),
            unknown: unknown.collect(),
            has_groups: body.iter().any(|instruction| instruction.text.contains("wgmma")),
            is_ordered: body.iter().any(|instruction| is_global_atomic(&instruction.text)),
            body,
            registers: names.registers,
            specials: names.specials,
            shared_bytes: names.shared_bytes,
            local_bytes: names.local_bytes.next_multiple_of(16),
        })
    }
}

fn is_global_atomic(text: &str) -> bool {
    Statement::parse(text).is_ok_and(|statement| matches!(statement.opcode, "atom" | "red") && !statement.has("shared"))
}

fn place_parameters(names: &mut Names, variables: &[Variable]) -> Vec<Parameter> {
    let mut end = 0;
    let place = |variable: &Variable| {
        let offset = Names::reserve(&mut end, variable);
        names.define(&variable.name, PARAMETERS + offset);
        Parameter { offset: offset as usize, bytes: variable.bytes }
    };
    variables.iter().map(place).collect()
}

/// Places what the body declares in shared and in a thread's own memory; names of it are used before and after.
fn place_variables(names: &mut Names, items: &[Item]) -> Result<(), String> {
    for item in items {
        let Item::Statement(text) = item else { continue };
        if text.starts_with(".shared") {
            let variable = Variable::parse(text)?;
            let at = Names::reserve(&mut names.shared_bytes, &variable);
            names.define(&variable.name, at);
        } else if text.starts_with(".local") {
            let variable = Variable::parse(text)?;
            let at = Names::reserve(&mut names.local_bytes, &variable);
            names.define(&variable.name, LOCAL + at);
        }
    }
    Ok(())
}
