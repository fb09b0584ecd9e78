//! The networks: an image in, and for some the words' embeddings, one logit map a target or class out.
//!
//! A [`Network`] is built from a [`pulmoav_plan::Plan`] and [`Parameters`], a [`ClassNetwork`] from a
//! [`pulmoav_plan::ClassPlan`]; [`weights`] keeps plan and parameters in a model directory. Tensors are channels-last, `[n, d, h, w, c]`, f32.

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
mod unet;
pub mod weights;

pub use block::Mode;
pub use error::ModelError;
pub use network::{Network, prompt_embeddings};
pub use parameters::Parameters;
pub use unet::ClassNetwork;
