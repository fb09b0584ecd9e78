//! Words: CLIP's tokeniser and text tower, and the head that turns a phrase into a target.

pub mod checkpoint;
mod clean;
pub mod corpus;
pub mod encoder;
pub mod head;
mod renew;
pub mod source;
pub mod tokenizer;
pub mod tower;
mod travel;

pub use checkpoint::load_checkpoint;
pub use encoder::{TextActivation, TextConfig, TextEncoder};
pub use head::{PromptHead, TARGETS, Verdict, template};
pub use renew::renew_text;
pub use source::{Encoded, TextCache, TextModel};
pub use tokenizer::{PromptIds, Tokenizer};
pub use tower::{Resolution, Tower};
