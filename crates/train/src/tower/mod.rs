//! The bundled text tower: phrases made by a grammar, and the training that turns them into targets or refusals.

mod corpus;
mod lexicon;
mod noise;
mod training;

pub use corpus::{Corpus, HELD_OUT, Phrase, read_table};
pub use training::{TowerConfig, train_tower};
