//! Synthetic chests with known vessels: artery, vein and airway trees rendered as CT.
//!
//! [`layers()`] grows a chest and draws coverage maps; [`compose()`] gives them, or a patch of them, a contrast phase,
//! blur and noise; [`generate`] does both.

mod airways;
mod annotate;
mod arteries;
mod bones;
mod bronchi;
mod calibre;
mod chest;
mod compose;
mod config;
mod devices;
mod disease;
mod error;
mod field;
mod growth;
mod heart;
mod lattice;
mod layers;
mod paint;
mod phantom;
mod point;
mod random;
mod raster;
mod scan;
mod statistics;
mod surroundings;
mod texture;
mod truth;
mod tubes;
mod veins;
mod vessels;

pub use chest::Build;
pub use compose::{Appearance, Patch, compose};
pub use config::{PhantomConfig, Phase, Size, Style};
pub use devices::Device;
pub use error::PhantomError;
pub use field::Field;
pub use layers::{Layers, layers};
pub use phantom::{Phantom, generate, render};
pub use scan::{Centrelines, Kernel, Scan};
pub use statistics::{ARTERY_DIAMETERS_MM, FIRST_ORDER, OrderStatistics, Statistics, VEIN_DIAMETERS_MM, ratio};
pub use surroundings::{Cover, Table};
pub use tubes::CentrelineNode;
