//! The networks: an image and the words' embeddings in, one logit map a target out.
//!
//! A [`Network`] is built from a [`pulmoav_plan::Plan`] and [`Parameters`]; [`weights`] keeps both in a model
//! directory. Tensors are channels-last, `[n, d, h, w, c]`, f32.

mod block;
mod dynamic_head;
mod error;
mod fusion;
mod image;
mod la_caf;
mod network;
pub mod parameters;
mod prompt_decoder;
mod pulmoav;
pub mod weights;

pub use block::Mode;
pub use error::ModelError;
pub use network::{Network, prompt_embeddings};
pub use parameters::Parameters;
