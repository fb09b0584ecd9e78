//! PTX text, taken apart: a module's kernels and variables, a body's statements.

use std::collections::BTreeMap;

use super::value::Type;

/// A module, its kernels' bodies still as text: they are decoded when they are asked for.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) kernels: BTreeMap<String, KernelText>,
    /// Shared memory declared outside of kernels, whose size is known.
    pub(crate) shared: Vec<Variable>,
    /// Shared memory whose size the launch gives.
    pub(crate) dynamic: Vec<Variable>,
    pub(crate) globals: Vec<Variable>,
}

/// A kernel as the text tells it.
pub(crate) struct KernelText {
    pub(crate) parameters: Vec<Variable>,
    /// The most threads of a block, of `.maxntid`.
    pub(crate) threads: Option<u32>,
    pub(crate) body: String,
}

/// A declared name.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    pub(crate) align: usize,
    pub(crate) kind: Type,
    /// What stands behind `=`.
    pub(crate) initial: Option<String>,
}

impl Variable {
    /// Reads `.align A .TYPE name[N] = {…}`; words that say where it lies are passed over.
    pub(crate) fn parse(text: &str) -> Result<Variable, String> {
        let wrong = || format!("the declaration {text:?} is not understood");
        let (head, initial) = match text.split_once('=') {
            Some((head, initial)) => (head, Some(initial.trim().to_owned())),
            None => (text, None),
        };
        let (mut align, mut kind, mut name) = (1, None, None);
        let mut words = head.split_whitespace();
        while let Some(word) = words.next() {
            match word.strip_prefix('.') {
                Some("align") => {
                    align = words.next().and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
                }
                Some(word) => kind = Type::of(word).or(kind),
                None => name = Some(word),
            }
        }
        let (name, kind) = (name.ok_or_else(wrong)?, kind.ok_or_else(wrong)?);
        let (name, count) = match name.split_once('[') {
            Some((name, count)) => (name, count.trim_end_matches(']').parse().unwrap_or(0)),
            None => (name, 1),
        };
        let bytes = count * kind.bytes();
        Ok(Variable { name: name.to_owned(), bytes, align: align.max(kind.bytes()), kind, initial })
    }
}

/// Takes a module's text apart.
pub(crate) fn parse(text: &str) -> Result<Source, String> {
    let text: String =
        text.lines().map(|line| line.split("//").next().unwrap_or("")).flat_map(|line| [line, "\n"]).collect();
    let mut source = Source::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        rest = directive(rest, &mut source)?.trim_start();
    }
    Ok(source)
}

/// Reads what stands first at the top level and gives what follows.
fn directive<'a>(text: &'a str, source: &mut Source) -> Result<&'a str, String> {
    const LINES: [&str; 5] = [".version", ".target", ".address_size", ".file", ".loc"];
    if LINES.iter().any(|word| text.starts_with(word)) {
        return Ok(text.split_once('\n').map_or("", |(_, rest)| rest));
    }
    let end = text.find([';', '{', '=']).ok_or_else(|| format!("{:?} has no end", first_line(text)))?;
    if text.as_bytes()[end] == b'{' {
        let (body, rest) = braced(&text[end..])?;
        if let Some((_, entry)) = text[..end].split_once(".entry") {
            let (name, kernel) = kernel(entry, body)?;
            source.kernels.insert(name, kernel);
        }
        return Ok(rest);
    }
    let end = end + text[end..].find(';').ok_or("a declaration has no end")?;
    let declaration = &text[..end];
    let has = |word: &str| declaration.split(|c: char| c.is_whitespace() || c == '=').any(|found| found == word);
    if has(".shared") {
        let list = if has(".extern") { &mut source.dynamic } else { &mut source.shared };
        list.push(Variable::parse(declaration)?);
    } else if has(".global") || has(".const") {
        source.globals.push(Variable::parse(declaration)?);
    }
    Ok(&text[end + 1..])
}

/// `NAME(PARAMETERS) DIRECTIVES` and the body of an entry.
fn kernel(head: &str, body: &str) -> Result<(String, KernelText), String> {
    let (name, rest) = head.split_once('(').unwrap_or((head, ")"));
    let (parameters, directives) = rest.split_once(')').ok_or("a parameter list has no end")?;
    let parameters = split(parameters).into_iter().map(Variable::parse).collect::<Result<_, _>>()?;
    let threads = directives.split_once(".maxntid").map(|(_, sizes)| {
        let sizes = sizes.split(['.', '\n']).next().unwrap_or("");
        sizes.split(',').filter_map(|size| size.trim().parse::<u32>().ok()).product()
    });
    Ok((name.trim().to_owned(), KernelText { parameters, threads, body: body.to_owned() }))
}

/// What stands between the brace that `text` starts with and its partner, and what follows.
fn braced(text: &str) -> Result<(&str, &str), String> {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((&text[1..at], &text[at + 1..]));
        }
    }
    Err("a brace has no partner".to_owned())
}

/// A piece of a body.
#[derive(Debug, PartialEq)]
pub(crate) enum Item<'a> {
    Open,
    Close,
    Label(&'a str),
    Statement(&'a str),
}

/// A body's pieces, in order.
pub(crate) fn items(body: &str) -> Result<Vec<Item<'_>>, String> {
    let mut items = vec![];
    let mut rest = body.trim_start();
    while !rest.is_empty() {
        let end = rest.find(['{', '}', ';', ':']).ok_or_else(|| format!("{:?} has no end", first_line(rest)))?;
        let (item, next) = match rest.as_bytes()[end] {
            b'{' if end == 0 => (Item::Open, 1),
            b'}' if end == 0 => (Item::Close, 1),
            b':' if is_name(&rest[..end]) => (Item::Label(&rest[..end]), end + 1),
            _ => {
                let end = rest.find(';').ok_or_else(|| format!("{:?} has no end", first_line(rest)))?;
                (Item::Statement(rest[..end].trim()), end + 1)
            }
        };
        items.push(item);
        rest = rest[next..].trim_start();
        if [".loc", ".file"].iter().any(|word| rest.starts_with(word)) {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        }
    }
    Ok(items)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_alphanumeric() || "_$%".contains(letter))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// A statement: its guard, the words of its opcode, its arguments.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) text: &'a str,
    /// A predicate, and whether it is negated.
    pub(crate) guard: Option<(&'a str, bool)>,
    pub(crate) opcode: &'a str,
    pub(crate) words: Vec<&'a str>,
    pub(crate) arguments: Vec<&'a str>,
}

impl<'a> Statement<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Statement<'a>, String> {
        let (guard, rest) = match text.strip_prefix('@') {
            Some(rest) => {
                let (guard, rest) = rest.split_once(char::is_whitespace).ok_or("a guard without an instruction")?;
                let negated = guard.strip_prefix('!');
                (Some((negated.unwrap_or(guard), negated.is_some())), rest.trim_start())
            }
            None => (None, text),
        };
        let (opcode, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let mut words = opcode.split('.');
        let opcode = words.next().unwrap_or("");
        Ok(Statement { text, guard, opcode, words: words.collect(), arguments: split(arguments) })
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// The types that the opcode names, in order.
    pub(crate) fn types(&self) -> Vec<Type> {
        self.words.iter().filter_map(|word| Type::of(word)).collect()
    }

    /// The type that it computes with.
    pub(crate) fn kind(&self) -> Result<Type, String> {
        self.types().first().copied().ok_or_else(|| "no type".to_owned())
    }

    /// The first of `choices` that the opcode names.
    pub(crate) fn choice(&self, choices: &[&'static str]) -> Option<&'static str> {
        choices.iter().copied().find(|choice| self.has(choice))
    }

    pub(crate) fn argument(&self, at: usize) -> Result<&'a str, String> {
        self.arguments.get(at).copied().ok_or_else(|| format!("argument {at} is missing"))
    }
}

/// Parts between commas that stand in no bracket.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (vec![], 0, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        parts.push(text[start..].trim());
    }
    parts
}

/// A literal as PTX writes it, as bits; floats keep their own.
pub(crate) fn literal(text: &str) -> Option<u64> {
    let (negated, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let digits = digits.trim_end_matches('U');
    let hexadecimal = ["0f", "0F", "0d", "0D", "0x", "0X"].iter().find_map(|prefix| digits.strip_prefix(prefix));
    let value = match hexadecimal {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negated { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_module_apart() {
        let source = parse(
            ".version 9.0\n.target sm_80\n.address_size 64\n// a comment\n\
             .extern .shared .align 1024 .b8 memory[];\n.global .align 4 .b8 table[4] = {1, 2, 3, 4};\n\
             .visible .entry scale(.param .u64 .ptr .align 1 x, .param .align 4 .b8 shape[36], .param .f32 by)\n\
             .maxntid 128, 1, 1\n.minnctapersm 2\n{ .reg .b32 %r<3>; { mov.u32 %r1, 5; } $L: ret; }",
        )
        .unwrap();
        assert_eq!((source.dynamic[0].align, source.dynamic[0].name.as_str()), (1024, "memory"));
        assert_eq!((source.globals[0].bytes, source.globals[0].initial.as_deref()), (4, Some("{1, 2, 3, 4}")));
        let kernel = &source.kernels["scale"];
        assert_eq!(kernel.threads, Some(128));
        assert_eq!(kernel.parameters.iter().map(|p| (p.bytes, p.align)).collect::<Vec<_>>(), [(8, 8), (36, 4), (4, 4)]);
        let found = items(&kernel.body).unwrap();
        assert_eq!(
            found,
            [
                Item::Statement(".reg .b32 %r<3>"),
                Item::Open,
                Item::Statement("mov.u32 %r1, 5"),
                Item::Close,
                Item::Label("$L"),
                Item::Statement("ret"),
            ]
        );
    }

    #[test]
    fn takes_a_statement_apart() {
        let statement = Statement::parse("@!%p1 ld.global.v2.f32 {%f1, %f2}, [%rd1+8]").unwrap();
        assert_eq!((statement.guard, statement.opcode), (Some(("%p1", true)), "ld"));
        assert_eq!(statement.words, ["global", "v2", "f32"]);
        assert_eq!(statement.arguments, ["{%f1, %f2}", "[%rd1+8]"]);
    }

    #[test]
    fn reads_literals() {
        let cases = [("0f3F800000", Some(0x3f80_0000)), ("-1", Some(u64::MAX)), ("0x10U", Some(16)), ("%r1", None)];
        for (text, value) in cases {
            assert_eq!(literal(text), value, "{text}");
        }
    }
}
