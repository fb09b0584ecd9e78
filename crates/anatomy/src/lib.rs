//! Body, lungs, airways and where pulmonary vessels can be, found in a chest CT.
//!
//! [`find`] works in the canonical frame; [`label()`] takes a scan in any orientation and returns labels on its grid.

mod air;
mod airway;
mod anatomy;
mod anchor;
mod body;
mod coarse;
mod fill;
mod findings;
#[cfg(test)]
mod fixture;
mod label;
mod lattice;
pub mod lungs;
pub mod marks;
mod pose;
mod region;
mod side;
mod situs;
mod split;
mod structure;
mod trunk;

pub use airway::Airways;
pub use anatomy::{Anatomy, find};
pub use label::{Labelled, Measured, label};
pub use structure::Structure;
