//! Progress out, cancellation in.

/// What every long call is handed: it reports how far it has come and asks whether to stop.
pub trait Monitor: Sync {
    /// Tells that `done` of `total` units of `stage` are finished.
    fn report(&self, stage: &'static str, done: u64, total: u64);

    /// Whether the caller has asked to stop; polled at least once a tile or step.
    fn cancelled(&self) -> bool;

    /// Goes on unless the caller has asked to stop.
    ///
    /// # Errors
    /// [`Cancelled`].
    fn proceed(&self) -> Result<(), Cancelled> {
        if self.cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// The caller asked to stop; every pipeline's error has a variant for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

/// Reports to nobody and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn report(&self, _stage: &'static str, _done: u64, _total: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}
