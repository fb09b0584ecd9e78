//! What the bundled tower learns from: phrases made by a grammar, half of which mean a target and half none.

mod grammar;
mod lexicon;
mod noise;

pub use grammar::{Corpus, HELD_OUT, Phrase, read_table};
pub use lexicon::LexiconError;
