//! What several scores share is found when the first asks.

use std::cell::OnceCell;

use pulmoav_task::Cancelled;

/// A value that is found once.
#[derive(Debug)]
pub(crate) struct Once<T>(OnceCell<T>);

impl<T> Once<T> {
    pub(crate) fn new() -> Self {
        Self(OnceCell::new())
    }

    /// The value; `find` is called where nobody has asked before.
    pub(crate) fn get(&self, find: impl FnOnce() -> Result<T, Cancelled>) -> Result<&T, Cancelled> {
        if let Some(known) = self.0.get() {
            return Ok(known);
        }
        let found = find()?;
        Ok(self.0.get_or_init(|| found))
    }
}
