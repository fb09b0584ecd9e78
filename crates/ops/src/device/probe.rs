//! What this machine has for tensors beside the CPU, and in words why not more.

/// What was found. Made by [`probe`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probe {
    /// Whether this build has CUDA code.
    pub compiled: bool,
    /// The newest CUDA version that the driver knows, `[major, minor]`.
    pub driver: Option<[u32; 2]>,
    /// Libraries looked for, needed ones first.
    pub libraries: Vec<Library>,
    /// Cards that the driver shows, in its order.
    pub cards: Vec<Card>,
    /// Why no card can be used at all, and what to do.
    pub reason: Option<String>,
}

/// A library that is loaded at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// What it is called.
    pub name: &'static str,
    /// Whether a GPU can be used without it.
    pub optional: bool,
    /// The file name that it was found under; else what the system said of each name that was tried.
    pub found: Result<String, String>,
}

/// A graphics card.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Its number N in `cuda:N`.
    pub number: usize,
    /// What the driver calls it.
    pub name: String,
    /// Compute capability, `[major, minor]`.
    pub capability: [u32; 2],
    /// Its memory.
    pub total_bytes: u64,
    /// What of its memory nobody uses; not known of a card that cannot be used.
    pub free_bytes: Option<u64>,
    /// Why it cannot be used, if it cannot.
    pub reason: Option<String>,
}

impl Probe {
    /// The card of that number, if it can be used; else why not, and what to do.
    pub(super) fn card(&self, number: usize) -> Result<Card, String> {
        if let Some(reason) = &self.reason {
            return Err(reason.clone());
        }
        match self.cards.get(number) {
            Some(Card { reason: Some(reason), .. }) => Err(reason.clone()),
            Some(card) => Ok(card.clone()),
            None => {
                let count = self.cards.len();
                Err(format!("the driver shows {count} card(s), numbered from 0; `pulmoav doctor` lists them"))
            }
        }
    }

    /// The first card that can be used, else why none can.
    pub(super) fn best(&self) -> Result<Card, String> {
        if let Some(reason) = &self.reason {
            return Err(reason.clone());
        }
        let usable = self.cards.iter().find(|card| card.reason.is_none());
        let why_not = || self.cards.first().and_then(|card| card.reason.clone()).unwrap_or_default();
        usable.cloned().ok_or_else(why_not)
    }
}

/// Looks at this machine. Loads the driver where this build has CUDA code; takes no memory of a card for itself.
///
/// A driver that breaks may take the process with it, so who must outlive that asks in a process of its own, as
/// `src/native/device.ts` does.
pub fn probe() -> Probe {
    #[cfg(feature = "cuda")]
    return super::cuda::probe();
    #[cfg(not(feature = "cuda"))]
    Probe {
        reason: Some("this build has CPU code only; `npm run build:cuda` makes one with CUDA code".to_owned()),
        ..Probe::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(number: usize, reason: Option<&str>) -> Card {
        let reason = reason.map(str::to_owned);
        let capability = [9, 0];
        Card { number, name: "H200".to_owned(), capability, total_bytes: 1 << 37, free_bytes: Some(1 << 36), reason }
    }

    #[test]
    fn the_first_usable_card_is_the_best() {
        let probe = Probe { cards: vec![card(0, Some("too old")), card(1, None), card(2, None)], ..Probe::default() };
        assert_eq!(probe.best().unwrap().number, 1);
        assert_eq!(probe.card(2).unwrap().number, 2);
        assert_eq!(probe.card(0).unwrap_err(), "too old");
        assert!(probe.card(3).unwrap_err().contains("shows 3 card(s)"));
        let probe = Probe { cards: vec![card(0, Some("too old"))], ..Probe::default() };
        assert_eq!(probe.best().unwrap_err(), "too old");
        let probe = Probe { reason: Some("no driver".to_owned()), ..probe };
        assert_eq!((probe.best().unwrap_err(), probe.card(0).unwrap_err()), ("no driver".into(), "no driver".into()));
    }
}
