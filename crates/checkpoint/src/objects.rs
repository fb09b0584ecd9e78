//! What a walked pickle holds. Objects lie in one arena and speak of each other by number, so neither shared nor deeply
//! nested ones cost more than the bytes that wrote them; strings are slices of the file.

use crate::globals::Global;

/// An object's number.
pub(crate) type Id = u32;

/// What a pickle can hold here.
#[derive(Debug, PartialEq)]
pub(crate) enum Object<'a> {
    /// A float, a byte string, a set: things of which nothing is asked.
    Other,
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A longer one, little-endian.
    Long(&'a [u8]),
    /// A string.
    Text(&'a str),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary in the order of writing; a later entry replaces an earlier one of the same key.
    Dict(Vec<(Id, Id)>),
    /// A name from the closed list.
    Global(Global),
    /// A call that was not made.
    Call {
        /// Who was to be called.
        function: Global,
        /// A tuple.
        arguments: Id,
    },
    /// Something kept outside the pickle, by its persistent id: a storage.
    Stored(Id),
}

/// A walked pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Id,
    length: usize,
}

impl<'a> Pickle<'a> {
    /// `objects` by number, the outermost one's number, and the bytes they took.
    pub(crate) fn new(objects: Vec<Object<'a>>, root: Id, length: usize) -> Self {
        Self { objects, root, length }
    }

    /// The outermost object.
    pub(crate) fn root(&self) -> Id {
        self.root
    }

    /// Bytes that the pickle takes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The object of that number.
    pub(crate) fn get(&self, id: Id) -> &Object<'a> {
        self.objects.get(id as usize).unwrap_or(&Object::Other)
    }

    /// Every object.
    pub(crate) fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }

    /// The string of that number.
    pub(crate) fn text(&self, id: Id) -> Option<&'a str> {
        match self.get(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members of the tuple of that number.
    pub(crate) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::Tuple(members) => Some(members),
            _ => None,
        }
    }
}
