//! Plain values beside the tensors: names, numbers, short lists of them.

use std::collections::BTreeMap;

use crate::objects::{Id, Object, Pickle};

/// Longest text that is kept, bytes.
const LONGEST_TEXT: usize = 512;
/// Longest list that is kept.
const LONGEST_LIST: usize = 16;
/// Most values that are kept.
const MOST: usize = 1000;

/// Values by their place, `init_args.configuration` for instance.
pub(crate) type Facts = BTreeMap<String, Fact>;

/// A plain value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// `None`.
    Nothing,
    Text(String),
    Number(i64),
    /// A tuple or a list.
    Numbers(Vec<i64>),
    /// Anything else.
    Other,
}

/// The values at the top of a pickle's dictionary and one level below.
pub(crate) fn facts(pickle: &Pickle) -> Facts {
    let mut facts = Facts::new();
    let Object::Dict(top) = pickle.get(pickle.root()) else { return facts };
    for (name, value) in named(pickle, top) {
        match pickle.get(value) {
            Object::Dict(entries) => {
                for (inner, value) in named(pickle, entries) {
                    if facts.len() < MOST && !matches!(pickle.get(value), Object::Dict(_) | Object::Call { .. }) {
                        facts.insert(format!("{name}.{inner}"), fact(pickle, value));
                    }
                }
            }
            _ if facts.len() < MOST => {
                facts.insert(name.to_owned(), fact(pickle, value));
            }
            _ => {}
        }
    }
    facts
}

/// Entries with short names.
fn named<'a>(pickle: &'a Pickle, entries: &'a [(Id, Id)]) -> impl Iterator<Item = (&'a str, Id)> {
    let named = entries.iter().filter_map(|&(name, value)| Some((pickle.text(name)?, value)));
    named.filter(|(name, _)| name.len() <= LONGEST_TEXT).take(MOST)
}

fn fact(pickle: &Pickle, id: Id) -> Fact {
    match pickle.get(id) {
        Object::None => Fact::Nothing,
        Object::Text(text) if text.len() <= LONGEST_TEXT => Fact::Text((*text).to_owned()),
        Object::Int(number) => Fact::Number(*number),
        Object::Tuple(members) | Object::List(members) if members.len() <= LONGEST_LIST => {
            let numbers = members.iter().map(|&member| match pickle.get(member) {
                Object::Int(number) => Some(*number),
                _ => None,
            });
            numbers.collect::<Option<_>>().map_or(Fact::Other, Fact::Numbers)
        }
        _ => Fact::Other,
    }
}
