//! Pickle, walked as data. A name of Python's is a word from a closed list ([`crate::globals`]), a call is a note of
//! who was to be called with what: nothing is imported, called or built. Every other opcode ends the walk; every other
//! name ends it too, or is ignored as data.

use std::collections::HashMap;

use crate::error::{Fault, damaged, refused};
use crate::globals::{Global, Strangers, known};
use crate::objects::{Id, Object, Pickle};

/// More opcodes than any checkpoint of tensors has; each costs a few dozen bytes at most.
const MAX_OPCODES: usize = 4_000_000;
/// So much of a global's name is told.
const LONGEST_TOLD: usize = 100;
/// Highest protocol that exists.
const NEWEST_PROTOCOL: u8 = 5;

impl<'a> Pickle<'a> {
    /// Walks the pickle at the start of `bytes`.
    ///
    /// # Errors
    /// [`Fault::Refused`] names the opcode or the global that is not known, [`Fault::Damaged`] says what does not fit.
    pub(crate) fn walk(bytes: &'a [u8], strangers: Strangers) -> Result<Self, Fault> {
        let mut walk = Walk {
            bytes,
            strangers,
            at: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        for _ in 0..MAX_OPCODES {
            if walk.step()? {
                let root = walk.pop()?;
                return Ok(Self::new(walk.objects, root, walk.at));
            }
        }
        refused(format!("its pickle has more than {MAX_OPCODES} opcodes"))
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    strangers: Strangers,
    at: usize,
    objects: Vec<Object<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Walk<'a> {
    /// Takes one opcode; `true` at the end.
    fn step(&mut self) -> Result<bool, Fault> {
        let opcode = self.byte()?;
        match opcode {
            b'.' => return Ok(true),
            0x80 => {
                let protocol = self.byte()?;
                if protocol > NEWEST_PROTOCOL {
                    return refused(format!("pickle protocol {protocol} is not known"));
                }
            }
            // FRAME: a length for readers of streams.
            0x95 => {
                self.take(8)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.since_mark()?;
            }
            b'N' => self.push(Object::None),
            0x88 | 0x89 => self.push(Object::Bool(opcode == 0x88)),
            b'J' | b'K' | b'M' | 0x8a | 0x8b => self.integer(opcode)?,
            b'G' => {
                self.take(8)?;
                self.push(Object::Other);
            }
            b'X' | 0x8c | 0x8d | b'T' | b'U' => self.string(opcode)?,
            b'B' | b'C' | 0x8e | 0x96 => {
                self.lengthy(opcode)?;
                self.push(Object::Other);
            }
            b')' | b't' | 0x85..=0x87 => self.tuple(opcode)?,
            b']' | b'l' | b'}' | b'd' | 0x8f | 0x91 => self.collection(opcode)?,
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'R' | 0x81 | 0x92 | b'b' => self.call(opcode)?,
            b'Q' => {
                let id = self.pop()?;
                self.push(Object::Stored(id));
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(opcode)?,
            other => return refused(unknown(other, self.at - 1)),
        }
        Ok(false)
    }

    fn integer(&mut self, opcode: u8) -> Result<(), Fault> {
        let value = match opcode {
            b'J' => i64::from(i32::from_le_bytes(self.fixed()?)),
            b'K' => i64::from(self.byte()?),
            b'M' => i64::from(u16::from_le_bytes(self.fixed()?)),
            _ => return self.long(opcode),
        };
        self.push(Object::Int(value));
        Ok(())
    }

    /// LONG1 and LONG4: two's complement of any length, little-endian.
    fn long(&mut self, opcode: u8) -> Result<(), Fault> {
        let length = if opcode == 0x8a { u32::from(self.byte()?) } else { u32::from_le_bytes(self.fixed()?) };
        let bytes = self.take(length as usize)?;
        let object = if bytes.len() > 8 {
            Object::Long(bytes)
        } else {
            let negative = bytes.last().is_some_and(|&last| last >= 0x80);
            let mut whole = [if negative { 0xff } else { 0 }; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            Object::Int(i64::from_le_bytes(whole))
        };
        self.push(object);
        Ok(())
    }

    fn string(&mut self, opcode: u8) -> Result<(), Fault> {
        let bytes = self.lengthy(opcode)?;
        let of_python_2 = matches!(opcode, b'T' | b'U');
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(Object::Text(text)),
            Err(_) if of_python_2 => self.push(Object::Other),
            Err(_) => return damaged("a string in its pickle is not UTF-8"),
        }
        Ok(())
    }

    /// The bytes of a string opcode.
    fn lengthy(&mut self, opcode: u8) -> Result<&'a [u8], Fault> {
        let length = match opcode {
            0x8c | b'U' | b'C' => u64::from(self.byte()?),
            b'X' | b'T' | b'B' => u64::from(u32::from_le_bytes(self.fixed()?)),
            _ => u64::from_le_bytes(self.fixed()?),
        };
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn tuple(&mut self, opcode: u8) -> Result<(), Fault> {
        let members = match opcode {
            b')' => Vec::new(),
            b't' => self.since_mark()?,
            _ => {
                let mut members = Vec::with_capacity(3);
                for _ in 0x85..=opcode {
                    members.push(self.pop()?);
                }
                members.reverse();
                members
            }
        };
        self.push(Object::Tuple(members));
        Ok(())
    }

    fn collection(&mut self, opcode: u8) -> Result<(), Fault> {
        let object = match opcode {
            b']' => Object::List(Vec::new()),
            b'l' => Object::List(self.since_mark()?),
            b'}' => Object::Dict(Vec::new()),
            b'd' => Object::Dict(pairs(&self.since_mark()?)?),
            0x91 => {
                self.since_mark()?;
                Object::Other
            }
            _ => Object::Other,
        };
        self.push(object);
        Ok(())
    }

    /// Puts members into the collection below them.
    fn fill(&mut self, opcode: u8) -> Result<(), Fault> {
        let members = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.since_mark()?,
        };
        let keyed = matches!(opcode, b's' | b'u');
        match self.top()? {
            Object::List(list) if !keyed => list.extend(members),
            Object::Dict(entries) if keyed => entries.extend(pairs(&members)?),
            Object::Other | Object::Call { function: Global::Data | Global::Stranger, .. } => {}
            _ => return damaged("its pickle fills something that is no collection"),
        }
        Ok(())
    }

    fn global(&mut self, opcode: u8) -> Result<(), Fault> {
        let (module, name) = if opcode == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (self.objects.get(module as usize), self.objects.get(name as usize)) {
                (Some(Object::Text(module)), Some(Object::Text(name))) => (*module, *name),
                _ => return damaged("STACK_GLOBAL in its pickle finds no strings"),
            }
        };
        let stranger = (self.strangers == Strangers::Ignored).then_some(Global::Stranger);
        let Some(global) = known(module, name).or(stranger) else {
            let asked: String = format!("{module}.{name}").chars().take(LONGEST_TOLD).collect();
            return refused(format!("its pickle asks for the global `{}`", asked.escape_debug()));
        };
        self.push(Object::Global(global));
        Ok(())
    }

    /// REDUCE, NEWOBJ and `NEWOBJ_EX` note the call; BUILD sets attributes, of which nothing is asked.
    fn call(&mut self, opcode: u8) -> Result<(), Fault> {
        let mut arguments = self.pop()?;
        if opcode == b'b' {
            self.top()?;
            return Ok(());
        }
        if opcode == 0x92 {
            arguments = self.pop()?;
        }
        let function = self.pop()?;
        let object = match self.objects.get(function as usize) {
            Some(Object::Global(Global::Dictionary)) => Object::Dict(Vec::new()),
            Some(&Object::Global(function)) => Object::Call { function, arguments },
            Some(_) if self.strangers == Strangers::Ignored => Object::Other,
            _ => return refused("its pickle calls something that is no global (opcode REDUCE)"),
        };
        self.push(object);
        Ok(())
    }

    fn remember(&mut self, opcode: u8) -> Result<(), Fault> {
        let key = match opcode {
            b'q' | b'h' => u32::from(self.byte()?),
            0x94 => self.memo.len() as u32,
            _ => u32::from_le_bytes(self.fixed()?),
        };
        if matches!(opcode, b'h' | b'j') {
            let Some(&id) = self.memo.get(&key) else {
                return damaged(format!("its pickle speaks of object {key}, which it has not written"));
            };
            self.stack.push(id);
        } else {
            let top = self.top_id()?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    fn push(&mut self, object: Object<'a>) {
        // One object an opcode at most, so numbers fit.
        self.stack.push(self.objects.len() as Id);
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let id = self.top_id()?;
        self.stack.pop();
        Ok(id)
    }

    fn top_id(&self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => damaged("its pickle takes more from the stack than it put there"),
        }
    }

    fn top(&mut self) -> Result<&mut Object<'a>, Fault> {
        let id = self.top_id()?;
        self.objects.get_mut(id as usize).ok_or_else(|| Fault::Damaged("its pickle lost an object".to_owned()))
    }

    /// Everything above the last mark.
    fn since_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let Some(mark) = self.marks.pop() else { return damaged("its pickle closes a mark that it has not set") };
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.fixed::<1>()?[0])
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut fixed = [0; N];
        fixed.copy_from_slice(self.take(N)?);
        Ok(fixed)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else { return damaged(format!("its pickle ends early, at byte {}", self.bytes.len())) };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// Up to the next line feed.
    fn line(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return damaged("its pickle ends inside a name");
        };
        self.at += length + 1;
        let line = rest[..length].strip_suffix(b"\r").unwrap_or(&rest[..length]);
        std::str::from_utf8(line).map_err(|_| Fault::Damaged("a name in its pickle is not UTF-8".to_owned()))
    }
}

/// Keys and values in turn.
fn pairs(members: &[Id]) -> Result<Vec<(Id, Id)>, Fault> {
    let (pairs, rest) = members.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    } else {
        damaged("its pickle has a key without a value")
    }
}

/// Opcodes that exist and are not read, by their names in Python's `pickletools`.
fn unknown(opcode: u8, at: usize) -> String {
    let name = match opcode {
        b'i' => "INST",
        b'o' => "OBJ",
        b'P' => "PERSID",
        b'I' => "INT",
        b'L' => "LONG",
        b'F' => "FLOAT",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'p' => "PUT",
        b'g' => "GET",
        b'2' => "DUP",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return format!("byte {at} of its pickle is {opcode:#04x}, which is no opcode"),
    };
    format!("its pickle uses the opcode {name} at byte {at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(bytes: &[u8]) -> String {
        match Pickle::walk(bytes, Strangers::Refused) {
            Err(Fault::Damaged(problem)) => format!("damaged: {problem}"),
            Err(Fault::Refused(problem)) => format!("refused: {problem}"),
            other => panic!("{bytes:?} was walked: {other:?}"),
        }
    }

    #[test]
    fn hostile_and_broken_pickles_end_in_a_sentence() {
        let cases: [(&[u8], &str); 20] = [
            (b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.", "refused: its pickle asks for the global `os.system`"),
            (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "refused: its pickle asks for the global `os.system`"),
            (b"c__builtin__\neval\n.", "`__builtin__.eval`"),
            (b"(S'id'\nios\nsystem\n.", "STRING"),
            (b"(ios\nsystem\n.", "INST"),
            (b"\x82\x01.", "EXT1"),
            (b"\xff", "0xff, which is no opcode"),
            (b"\x80\x09.", "protocol 9"),
            (b"N)R.", "REDUCE"),
            (b"", "damaged: its pickle ends early"),
            (b"\x80", "ends early"),
            (b"N", "ends early"),
            (b"X\xff\xff\xff\xffabc", "ends early"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "ends early"),
            (b"\x8b\xff\xff\xff\x7f\x01", "ends early"),
            (b".", "takes more from the stack"),
            (b"N(0.", "takes more from the stack"),
            (b"t.", "closes a mark"),
            (b"}(Nu.", "key without a value"),
            (b"h\x05.", "object 5, which it has not written"),
        ];
        for (bytes, wanted) in cases {
            let found = fault(bytes);
            assert!(found.contains(wanted), "{bytes:?}: {found}");
        }
        assert!(fault(&vec![b'N'; MAX_OPCODES + 1]).contains("more than"));
        assert!(fault(b"cos\n").contains("ends inside a name"));
        assert!(fault(b"Na.").contains("more from the stack") && fault(b"K\x01Na.").contains("no collection"));
    }

    #[test]
    fn strangers_can_be_ignored_as_data() {
        // {'a': os.system('id') with items and state, 'b': (lambda)()} as far as opcodes go.
        let bytes =
            b"\x80\x02}X\x01\0\0\0acos\nsystem\nX\x02\0\0\0id\x85RX\x01\0\0\0kNsNbsX\x01\0\0\0bcos\nsystem\n)R)Rs.";
        let pickle = Pickle::walk(bytes, Strangers::Ignored).expect("walks");
        let Object::Dict(entries) = pickle.get(pickle.root()) else { panic!("no dict") };
        assert!(matches!(pickle.get(entries[0].1), Object::Call { function: Global::Stranger, .. }));
        assert_eq!(pickle.get(entries[1].1), &Object::Other);
        assert!(matches!(Pickle::walk(bytes, Strangers::Refused), Err(Fault::Refused(_))));
    }

    #[test]
    fn nesting_and_sharing_cost_what_they_take_in_the_file() {
        let mut deep = b"N".to_vec();
        deep.extend(vec![0x85; 1_000_000]);
        deep.push(b'.');
        assert!(Pickle::walk(&deep, Strangers::Refused).is_ok());
        let mut laughs = b"]q\0".to_vec();
        for level in 0..200 {
            // [last, last] each time: 2^200 leaves if it were copied.
            laughs.extend([b']', b'q', level + 1, b'(', b'h', level, b'h', level, b'e']);
        }
        laughs.push(b'.');
        assert_eq!(Pickle::walk(&laughs, Strangers::Refused).expect("walks").objects().len(), 201);
    }

    #[test]
    fn plain_data_is_what_python_wrote() {
        // pickle.dumps({'a': (1, -2, 300, 2**40, True, None, 1.5, [3])}, protocol=2)
        let bytes = b"\x80\x02}q\0X\x01\0\0\0aq\x01(K\x01J\xfe\xff\xff\xffM,\x01\x8a\x06\0\0\0\0\0\x01\x88NG?\xf8\0\0\0\0\0\0]q\x02K\x03atq\x03s.rest";
        let pickle = Pickle::walk(bytes, Strangers::Refused).expect("walks");
        assert_eq!(pickle.length(), bytes.len() - 4);
        let Object::Dict(entries) = pickle.get(pickle.root()) else { panic!("no dict") };
        assert_eq!(pickle.text(entries[0].0), Some("a"));
        let members = pickle.tuple(entries[0].1).expect("a tuple");
        let wanted = [
            Object::Int(1),
            Object::Int(-2),
            Object::Int(300),
            Object::Int(1 << 40),
            Object::Bool(true),
            Object::None,
            Object::Other,
        ];
        for (&member, wanted) in members.iter().zip(&wanted) {
            assert_eq!(pickle.get(member), wanted);
        }
        assert!(matches!(pickle.get(members[7]), Object::List(list) if list.len() == 1));
    }
}
