//! What JavaScript holds by number: loaded segmenters and open trainers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::outcome::Failure;

/// Numbered things; a number is never used twice.
pub struct Registry<T> {
    what: &'static str,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    next: u32,
    things: BTreeMap<u32, Arc<T>>,
}

impl<T> Registry<T> {
    /// An empty registry of `what`.
    pub const fn new(what: &'static str) -> Self {
        Self { what, held: Mutex::new(Held { next: 1, things: BTreeMap::new() }) }
    }

    /// Keeps `thing` and gives its number.
    pub fn keep(&self, thing: T) -> u32 {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let number = held.next;
        held.next += 1;
        held.things.insert(number, Arc::new(thing));
        number
    }

    /// The thing of that number.
    pub fn get(&self, number: u32) -> Result<Arc<T>, Failure> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.things.get(&number).map(Arc::clone);
        found.ok_or_else(|| Failure::new("ERR_USAGE", format!("{} {number} is closed; open another", self.what)))
    }

    /// Lets go of it; running calls keep their share until they end.
    pub fn drop(&self, number: u32) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.things.remove(&number);
    }
}
