//! Synthetic chests with known vessels: artery, vein and airway trees rendered as CT.
//!
//! [`layers()`] grows a chest and draws coverage maps; [`compose()`] gives them, or a patch of them, a contrast phase,
//! blur and noise; [`generate`] does both.

mod annotate;
mod arteries;
mod bones;
mod bronchi;
mod chest;
mod compose;
mod config;
mod error;
mod growth;
mod heart;
mod lattice;
mod layers;
mod paint;
mod phantom;
mod point;
mod random;
mod raster;
mod statistics;
mod texture;
mod truth;
mod tubes;
mod veins;

pub use compose::{Appearance, Patch, compose};
pub use config::{PhantomConfig, Phase, Size};
pub use error::PhantomError;
pub use layers::{Layers, layers};
pub use phantom::{Phantom, generate, render};
pub use statistics::{ARTERY_DIAMETERS_MM, FIRST_ORDER, OrderStatistics, Statistics, VEIN_DIAMETERS_MM, ratio};
