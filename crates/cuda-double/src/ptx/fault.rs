//! Why a launch ended.

/// What an instruction did wrong, in words.
#[derive(Debug)]
pub(crate) struct Fault(Box<str>);

impl Fault {
    pub(crate) fn new(words: impl Into<String>) -> Fault {
        Fault(words.into().into_boxed_str())
    }

    /// Says where it happened, too.
    pub(crate) fn at(self, place: impl std::fmt::Display) -> Fault {
        Fault::new(format!("{place}: {}", self.0))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}
