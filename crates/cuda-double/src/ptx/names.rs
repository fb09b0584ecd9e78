//! What names in a kernel's body mean while it is decoded. Literals, symbols and special registers become registers of
//! their own, filled beforehand, so that instructions read nothing but registers.

use std::collections::HashMap;

use super::source::{Variable, literal};
use super::value::{Bank, Register, Registers, Type, WARP};

/// Start of shared memory among generic addresses.
pub(crate) const SHARED: u64 = 1 << 62;
/// Start of a thread's own memory.
pub(crate) const LOCAL: u64 = 1 << 61;
/// Start of the kernel's parameters.
pub(crate) const PARAMETERS: u64 = 1 << 60;
/// Stands in registers that nothing has written.
const POISON: u64 = 0xdead_beef_dead_beef;

/// A register that tells where a thread is; `u8` is the axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Special {
    Thread(u8),
    Threads(u8),
    Block(u8),
    Blocks(u8),
    Lane,
    Warp,
    LanesBelow,
    LanesUpTo,
    LanesAbove,
    LanesFrom,
    ThisLane,
    DynamicShared,
}

impl Special {
    fn of(text: &str) -> Option<Special> {
        let axis = match text.rsplit('.').next() {
            Some("x") => 0,
            Some("y") => 1,
            _ => 2,
        };
        Some(match text.split('.').next()? {
            "%tid" => Special::Thread(axis),
            "%ntid" => Special::Threads(axis),
            "%ctaid" => Special::Block(axis),
            "%nctaid" => Special::Blocks(axis),
            "%laneid" => Special::Lane,
            "%warpid" => Special::Warp,
            "%lanemask_lt" => Special::LanesBelow,
            "%lanemask_le" => Special::LanesUpTo,
            "%lanemask_gt" => Special::LanesAbove,
            "%lanemask_ge" => Special::LanesFrom,
            "%lanemask_eq" => Special::ThisLane,
            "%dynamic_smem_size" => Special::DynamicShared,
            _ => return None,
        })
    }
}

#[derive(Default)]
struct Scope {
    registers: HashMap<String, Register>,
    /// `%r<9>`: the name before the number, and the first of its registers.
    ranges: Vec<(String, Register)>,
}

/// Names of one kernel.
pub(crate) struct Names {
    scopes: Vec<Scope>,
    symbols: HashMap<String, u64>,
    constants: HashMap<(Bank, u64), usize>,
    /// Special registers in use and the word that holds each.
    pub(crate) specials: Vec<(Special, usize)>,
    /// Registers as a warp starts with them.
    pub(crate) registers: Registers,
    /// Bytes of the thread's own memory.
    pub(crate) local_bytes: usize,
    /// Bytes of shared memory whose size the text gives.
    pub(crate) shared_bytes: usize,
}

impl Names {
    pub(crate) fn new() -> Names {
        Names {
            scopes: vec![Scope::default()],
            symbols: HashMap::new(),
            constants: HashMap::new(),
            specials: vec![],
            registers: Registers::default(),
            local_bytes: 0,
            shared_bytes: 0,
        }
    }

    pub(crate) fn open(&mut self) {
        self.scopes.push(Scope::default());
    }

    pub(crate) fn close(&mut self) {
        self.scopes.pop();
    }

    /// Gives a symbol its value: an address, or an offset in its space.
    pub(crate) fn define(&mut self, name: &str, value: u64) {
        self.symbols.insert(name.to_owned(), value);
    }

    /// Places a variable behind those of its kind and gives its offset.
    pub(crate) fn reserve(bytes: &mut usize, variable: &Variable) -> u64 {
        *bytes = bytes.next_multiple_of(variable.align);
        let at = *bytes;
        *bytes += variable.bytes;
        at as u64
    }

    /// `.reg .TYPE %name<N>` or `.reg .TYPE %a, %b`.
    pub(crate) fn declare_registers(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("{text:?} declares no register");
        let (kind, names) = text.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
        let bank = Type::of(kind.trim_start_matches('.')).ok_or_else(wrong)?.bank();
        for name in names.split(',').map(str::trim) {
            if let Some((base, count)) = name.split_once('<') {
                let count: usize = count.trim_end_matches('>').parse().map_err(|_| wrong())?;
                let first = self.add(bank, count);
                self.scope().ranges.push((base.to_owned(), first));
            } else {
                let register = self.add(bank, 1);
                self.scope().registers.insert(name.to_owned(), register);
            }
        }
        Ok(())
    }

    fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Adds registers that nothing has written.
    fn add(&mut self, bank: Bank, count: usize) -> Register {
        let registers = &mut self.registers;
        let index = match bank {
            Bank::Predicate => extend(&mut registers.predicates, count, POISON as u32),
            Bank::Word => extend(&mut registers.words, count, [POISON as u32; WARP]),
            Bank::Long => extend(&mut registers.longs, count, [POISON; WARP]),
        };
        Register { bank, index }
    }

    /// The register of a name, if it is one.
    pub(crate) fn register(&self, name: &str) -> Option<Register> {
        let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = name[stem.len()..].parse::<usize>().ok();
        self.scopes.iter().rev().find_map(|scope| {
            scope.registers.get(name).copied().or_else(|| {
                let (_, first) = scope.ranges.iter().find(|(base, _)| base == stem)?;
                Some(Register { bank: first.bank, index: first.index + number? })
            })
        })
    }

    /// The register to read for a source operand, whichever bank it is in; constants take `bank`.
    pub(crate) fn any_source(&mut self, text: &str, bank: Bank) -> Result<Register, String> {
        if let Some(register) = self.register(text) {
            return Ok(register);
        }
        if let Some(special) = Special::of(text) {
            return Ok(self.special(special));
        }
        let value = match text {
            "WARP_SZ" => Some(WARP as u64),
            _ => literal(text).or_else(|| self.symbols.get(text).copied()),
        };
        match value {
            Some(value) => Ok(self.constant(bank, value)),
            None => Err(format!("the name {text} is not known")),
        }
    }

    /// The place of a source operand in its bank.
    pub(crate) fn source(&mut self, text: &str, bank: Bank) -> Result<usize, String> {
        let register = self.any_source(text, bank)?;
        if register.bank == bank {
            return Ok(register.index);
        }
        Err(format!("{text} is no register of the size that is read"))
    }

    /// The register that a result goes to.
    pub(crate) fn any_target(&mut self, text: &str, bank: Bank) -> Result<Register, String> {
        if text == "_" {
            return Ok(self.add(bank, 1));
        }
        self.register(text).ok_or_else(|| format!("{text} is no register"))
    }

    /// The place of a result in its bank.
    pub(crate) fn target(&mut self, text: &str, bank: Bank) -> Result<usize, String> {
        let register = self.any_target(text, bank)?;
        if register.bank == bank {
            return Ok(register.index);
        }
        Err(format!("{text} is no register of the size that is written"))
    }

    fn special(&mut self, special: Special) -> Register {
        if let Some((_, index)) = self.specials.iter().find(|(known, _)| *known == special) {
            return Register { bank: Bank::Word, index: *index };
        }
        let register = self.add(Bank::Word, 1);
        self.specials.push((special, register.index));
        register
    }

    /// A register with this value in every lane.
    pub(crate) fn constant(&mut self, bank: Bank, value: u64) -> Register {
        if let Some(index) = self.constants.get(&(bank, value)) {
            return Register { bank, index: *index };
        }
        let Register { index, .. } = self.add(bank, 1);
        match bank {
            Bank::Predicate => self.registers.predicates[index] = if value == 0 { 0 } else { u32::MAX },
            Bank::Word => self.registers.words[index] = [value as u32; WARP],
            Bank::Long => self.registers.longs[index] = [value; WARP],
        }
        self.constants.insert((bank, value), index);
        Register { bank, index }
    }

    /// `{a, b, c}` as single operands, a lone operand as a list of one.
    pub(crate) fn list(text: &str) -> Vec<&str> {
        match text.strip_prefix('{') {
            Some(list) => super::source::split(list.trim_end_matches('}')),
            None => vec![text],
        }
    }

    /// `[base+offset]`, `[base]` or `[symbol]`: the register of the base and the offset.
    pub(crate) fn address(&mut self, text: &str) -> Result<(Register, i64), String> {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or("no address")?.trim();
        let (base, offset) = inner.split_once('+').unwrap_or((inner, "0"));
        let offset = literal(offset.trim()).ok_or_else(|| format!("the offset of {text} is no number"))? as i64;
        Ok((self.any_source(base.trim(), Bank::Long)?, offset))
    }
}

fn extend<T: Copy>(list: &mut Vec<T>, count: usize, value: T) -> usize {
    let first = list.len();
    list.resize(first + count, value);
    first
}
